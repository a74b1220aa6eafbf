// Activation functions and their derivatives, selected by the code of Activation::code in rnn-ops.
// NaN stays NaN. Each thread calls them for one value.

// sigmoid(x) = 1 / (1 + e^-x), without cancellation at either end.
fn sigmoid(x: f32) -> f32 {
    let p = exponential(magnitude(x, 88.0));
    let e = fma(p.rest, p.scale, p.scale);
    return keep_nan(x, select(1.0, e, x < 0.0) / (1.0 + e));
}

// tanh(x) = -m / (2 + m) with m = e^-2|x| - 1, which has a small relative error near zero too.
fn tanh_stable(x: f32) -> f32 {
    let p = exponential(2.0 * magnitude(x, 44.0));
    let m = select(fma(p.rest, p.scale, p.scale - 1.0), p.rest, p.scale == 1.0);
    let sign = bitcast<u32>(x) & 0x80000000u;
    return keep_nan(x, bitcast<f32>(bitcast<u32>(-m / (2.0 + m)) | sign));
}

// The activation of x.
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

// The derivative of the activation, from its value y.
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

// Flushes values below 2^-100 to zero: their products would be denormal, which is slow.
fn flush(v: f32) -> f32 {
    return select(v, 0.0, (bitcast<u32>(v) & 0x7fffffffu) < 0x0d800000u);
}
