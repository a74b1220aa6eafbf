// Activations by code; the codes are Activation::code in rnn-ops. Exponents are clamped so that
// no intermediate overflows: WGSL does not promise infinities.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -87.0, 87.0)));
}

fn tanh_stable(x: f32) -> f32 {
    // Near zero 1 - 2/(e^2x + 1) cancels; there the odd Taylor polynomial is exact to f32.
    let x2 = x * x;
    let series = x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (2.0 / 15.0 + x2 * (-17.0 / 315.0))));
    let e = exp(2.0 * clamp(x, -15.0, 15.0));
    return select(1.0 - 2.0 / (e + 1.0), series, x2 < 0.01);
}

fn activate(code: u32, x: f32) -> f32 {
    switch code {
        case 1u: { return max(x, 0.0); }
        case 2u: { return sigmoid(x); }
        case 3u: { return tanh_stable(x); }
        case 4u: { return clamp(x / 6.0 + 0.5, 0.0, 1.0); }
        case 5u: { return clamp(0.2 * x + 0.5, 0.0, 1.0); }
        default: { return x; }
    }
}

// The derivative, from the activation's output y.
fn slope(code: u32, y: f32) -> f32 {
    switch code {
        case 1u: { return select(0.0, 1.0, y > 0.0); }
        case 2u: { return y * (1.0 - y); }
        case 3u: { return 1.0 - y * y; }
        case 4u: { return select(0.0, 1.0 / 6.0, y > 0.0 && y < 1.0); }
        case 5u: { return select(0.0, 0.2, y > 0.0 && y < 1.0); }
        default: { return 1.0; }
    }
}

// Zero in place of what is so small that its products would be denormal: 2^-100.
fn flush(v: f32) -> f32 {
    return select(v, 0.0, abs(v) < 7.888609e-31);
}
