// y = activation(x), and dx = dy activation'(x) from y, or from x where the activation keeps it.
//
//   thread      one element; no shared memory, no barriers
struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

override ACTIVATION: u32 = 0u;

@compute @workgroup_size(THREADS)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        out[i] = activate(ACTIVATION, x[i]);
    }
}

// x is what is kept of the activation here.
@compute @workgroup_size(THREADS)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        out[i] = gradient[i] * slope(ACTIVATION, x[i]);
    }
}
