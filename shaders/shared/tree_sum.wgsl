var<workgroup> lanes: array<f32, THREADS>;

// The sum of one value a thread, in thread 0, as a tree: the same order on every device.
fn tree_sum(thread: u32, value: f32) -> f32 {
    lanes[thread] = value;
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            lanes[thread] += lanes[thread + half];
        }
    }
    return lanes[0];
}
