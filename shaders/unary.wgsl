// out = |x|, and other functions of x
//
//   thread      one element; no shared memory, no barriers
struct Params { count: u32, x_offset: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

// The functions of Unary in rnn-ops, in its order.
override FUNCTION: u32 = 0u;

// log z: NaN below 0, the negative infinity at 0.
fn logarithm(z: f32) -> f32 {
    let bits = bitcast<u32>(z);
    if (bits & 0x7fffffffu) == 0u {
        return bitcast<f32>(bits | 0xff800000u);
    }
    if bits >= 0x80000000u {
        return bitcast<f32>(bits | 0x7fc00000u);
    }
    if bits >= 0x7f800000u {
        return z;
    }
    // 2^24 z is no denormal number.
    let small = bits < 0x00800000u;
    let scaled = select(z, z * 16777216.0, small);
    return log_from_one(scaled) - select(0.0, 16.635532, small);
}

@compute @workgroup_size(THREADS)
fn unary(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let z = x[params.x_offset + i];
    switch FUNCTION {
        case 0u: { out[i] = bitcast<f32>(bitcast<u32>(z) & 0x7fffffffu); }
        case 1u: { out[i] = keep_nan(z, f32(sign(order(z)))); }
        case 2u: { out[i] = logarithm(z); }
        case 3u: { out[i] = keep_nan(z, sqrt(z)); }
        case 4u: { out[i] = select(z, floor(z), is_finite(z)); }
        default: { out[i] = select(z, round(z), is_finite(z)); }
    }
}
