// out = a + b, and other functions of a and b; out = factor * a; out = a * b + c; out = b where a is
// not 0, else c
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

// The functions of Binary in rnn-ops, in its order: a + b, a - b, a * b, a / b; the larger and the
// smaller; 1 where a = b, a > b, a >= b, else 0.
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
        case 2u: { out[i] = left * right; }
        case 3u: { out[i] = left / right; }
        case 4u: {
            let larger = select(right, left, order(left) > order(right));
            out[i] = keep_nan(left, keep_nan(right, larger));
        }
        case 5u: {
            let smaller = select(right, left, order(left) < order(right));
            out[i] = keep_nan(left, keep_nan(right, smaller));
        }
        case 6u: {
            let equal = order(left) == order(right) && !is_nan(left) && !is_nan(right);
            out[i] = select(0.0, 1.0, equal);
        }
        case 7u: { out[i] = select(0.0, 1.0, is_greater(left, right)); }
        default: {
            let least = order(left) >= order(right) && !is_nan(left) && !is_nan(right);
            out[i] = select(0.0, 1.0, least);
        }
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

@compute @workgroup_size(THREADS)
fn choose(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        let second = (bitcast<u32>(a[params.a_offset + i]) & 0x7fffffffu) == 0u;
        out[i] = select(b[params.b_offset + i], c[params.c_offset + i], second);
    }
}
