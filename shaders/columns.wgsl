// out[r, out_start + c] = x[r, x_start + c] for c < width; elements are copied as bits.
//
//   thread      one element; no shared memory, no barriers
struct Params {
    count: u32,
    // Number of copied columns; columns of x and of out; first column in each.
    width: u32,
    x_columns: u32,
    out_columns: u32,
    x_start: u32,
    out_start: u32,
    x_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn copy_columns(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        let row = i / params.width;
        let column = i % params.width;
        out[row * params.out_columns + params.out_start + column] =
            x[params.x_offset + row * params.x_columns + params.x_start + column];
    }
}
