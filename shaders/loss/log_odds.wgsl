// out = log(q / (1 - q)), q = p between epsilon and 1 - epsilon.
//
//   thread      one probability; no shared memory, no barriers
struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> probabilities: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn log_odds(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        let q = inside(probabilities[i]);
        out[i] = logarithm(q / (1.0 - q));
    }
}
