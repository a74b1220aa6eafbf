// Sum over a workgroup.
//
//   thread      contributes one value
//   shared      lanes: one value per thread, summed as a tree in a fixed order
//   barriers    one before each level of the tree; all threads must call together
var<workgroup> lanes: array<f32, THREADS>;

// The sum of the threads' values; valid in thread 0 alone. A second call needs a barrier in
// between.
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
