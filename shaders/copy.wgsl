// out[out_offset + i] = x[x_offset + i]; elements are copied as bits.
//
//   thread      one element; no shared memory, no barriers
struct Params { count: u32, x_offset: u32, out_offset: u32 }

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn copy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        out[params.out_offset + i] = x[params.x_offset + i];
    }
}
