// Activations by code; the codes are Activation::code in rnn-ops. What is not a number stays so.

// 1 / (1 + e^-x), without cancellation on either side.
fn sigmoid(x: f32) -> f32 {
    let p = exponential(magnitude(x, 88.0));
    let e = fma(p.rest, p.scale, p.scale);
    return keep_nan(x, select(1.0, e, x < 0.0) / (1.0 + e));
}

// -m / (2 + m) with m = e^-2|x| - 1, whose relative error is small near zero, too.
fn tanh_stable(x: f32) -> f32 {
    let p = exponential(2.0 * magnitude(x, 44.0));
    let m = select(fma(p.rest, p.scale, p.scale - 1.0), p.rest, p.scale == 1.0);
    let sign = bitcast<u32>(x) & 0x80000000u;
    return keep_nan(x, bitcast<f32>(bitcast<u32>(-m / (2.0 + m)) | sign));
}

fn activate(code: u32, x: f32) -> f32 {
    switch code {
        case 1u: { return keep_nan(x, max(x, 0.0)); }
        case 2u: { return sigmoid(x); }
        case 3u: { return tanh_stable(x); }
        case 4u: { return keep_nan(x, clamp(x / 6.0 + 0.5, 0.0, 1.0)); }
        case 5u: { return keep_nan(x, clamp(0.2 * x + 0.5, 0.0, 1.0)); }
        default: { return x; }
    }
}

// The derivative, from the activation's output y.
fn slope(code: u32, y: f32) -> f32 {
    switch code {
        case 1u: { return select(0.0, 1.0, is_positive(y)); }
        case 2u: { return y * (1.0 - y); }
        case 3u: { return 1.0 - y * y; }
        case 4u: { return select(0.0, 1.0 / 6.0, is_fraction(y)); }
        case 5u: { return select(0.0, 0.2, is_fraction(y)); }
        default: { return 1.0; }
    }
}

// Zero in place of what is so small that its products would be denormal: 2^-100.
fn flush(v: f32) -> f32 {
    return select(v, 0.0, (bitcast<u32>(v) & 0x7fffffffu) < 0x0d800000u);
}
