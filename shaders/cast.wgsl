// out = x, converted to another precision.
//
//   thread      one element; no shared memory, no barriers
struct Params { count: u32, x_offset: u32 }

@group(0) @binding(0) var<storage, read> x: array<From>;
@group(0) @binding(1) var<storage, read_write> out: array<To>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn convert(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        out[i] = To(x[params.x_offset + i]);
    }
}
