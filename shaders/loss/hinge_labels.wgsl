// out = 2 y - 1 if all labels y are 0 or 1, else y.
//
//   count     one workgroup counts the labels that are neither, each thread every THREADS-th of
//             them, then tree_sum.wgsl
//   convert   one thread per label; no shared memory, no barriers
struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> labels: array<f32>;
@group(0) @binding(1) var<storage, read> others: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn count(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < params.count; i += THREADS) {
        let bits = bitcast<u32>(labels[i]);
        sum += select(1.0, 0.0, (bits & 0x7fffffffu) == 0u || bits == 0x3f800000u);
    }
    sum = tree_sum(thread, sum);
    if thread == 0u {
        out[0] = sum;
    }
}

@compute @workgroup_size(THREADS)
fn convert(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        out[i] = select(labels[i], 2.0 * labels[i] - 1.0, others[0] == 0.0);
    }
}
