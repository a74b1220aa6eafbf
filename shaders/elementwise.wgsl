// out = a + b, a - b, a * b; out = factor * a; out = a * b + c
//
// b and c repeat after `period` elements, that is they are broadcast over rows.
//
//   thread      one element; no shared memory, no barriers
struct Params { count: u32, period: u32, factor: f32, a_offset: u32, b_offset: u32, c_offset: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> c: array<f32>;

// 0: a + b, 1: a - b, 2: a * b
override OPERATION: u32 = 0u;

@compute @workgroup_size(THREADS)
fn binary(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let left = a[params.a_offset + i];
    let right = b[params.b_offset + i % params.period];
    switch OPERATION {
        case 0u: { out[i] = left + right; }
        case 1u: { out[i] = left - right; }
        default: { out[i] = left * right; }
    }
}

@compute @workgroup_size(THREADS)
fn scale(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        out[i] = params.factor * a[params.a_offset + i];
    }
}

@compute @workgroup_size(THREADS)
fn affine(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        let column = i % params.period;
        let product = a[params.a_offset + i] * b[params.b_offset + column];
        out[i] = product + c[params.c_offset + column];
    }
}
