// Transposes, reversals, padding and fills. Elements are copied as bits, whatever their type.
//
//   thread      one element of the output; no shared memory, no barriers
struct Params {
    count: u32,
    // Rows and columns of the matrix whose axes are swapped, with items of `inner` elements.
    rows: u32,
    columns: u32,
    inner: u32,
    // Range of the output that pad copies from its input.
    start: u32,
    length: u32,
    x_offset: u32,
    value: f32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

// out[c, r, :] = x[r, c, :]
@compute @workgroup_size(THREADS)
fn transpose_leading(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let item = i / params.inner;
    let c = item / params.rows;
    let r = item % params.rows;
    out[i] = x[params.x_offset + (r * params.columns + c) * params.inner + i % params.inner];
}

// out[r, :] = x[rows - 1 - r, :]
@compute @workgroup_size(THREADS)
fn reverse_leading(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        let r = params.rows - 1u - i / params.inner;
        out[i] = x[params.x_offset + r * params.inner + i % params.inner];
    }
}

// out = 0 except out[start + i] = x[i] for i < length
@compute @workgroup_size(THREADS)
fn pad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let inside = i >= params.start && i < params.start + params.length;
    out[i] = 0u;
    if inside {
        out[i] = x[params.x_offset + i - params.start];
    }
}

// out = value
@compute @workgroup_size(THREADS)
fn fill(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        out[i] = bitcast<u32>(params.value);
    }
}
