// Activation functions and their derivatives, selected by the code of Activation::code in rnn-ops; its
// documentation has the equations.
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

// e^-|x| - 1, with a small relative error near zero too.
fn decay_less_one(x: f32) -> f32 {
    let p = exponential(magnitude(x, 88.0));
    let m = select(fma(p.rest, p.scale, p.scale - 1.0), p.rest, p.scale == 1.0);
    return keep_nan(x, m);
}

// log(1 + e^x).
fn softplus(x: f32) -> f32 {
    return keep_nan(x, max(x, 0.0) + log_of_one_and(decay(x)));
}

// tanh(log(1 + e^x)), and what it lacks to 1. With w = e^x the two are w (w + 2) / (w (w + 2) + 2) and
// 2 / (w (w + 2) + 2), which are divided by w^2 where x > 0.
fn mish_share(x: f32) -> vec2<f32> {
    let e = decay(x);
    let above = x > 0.0;
    let share = select(e * (e + 2.0), 1.0 + 2.0 * e, above);
    let rest = 2.0 * select(1.0, e * e, above);
    return vec2<f32>(share, rest) / (share + rest);
}

// e^(-a^2 / 2) for 0 <= a <= 14. The square of the upper digits of a is exact, and so is the difference;
// of that, at most 0.1, five terms of the series suffice.
fn bell(a: f32) -> f32 {
    let upper = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
    let d = 0.5 * (a - upper) * (a + upper);
    var rest = fma(-0.2, d, 1.0);
    rest = fma(-0.25 * d, rest, 1.0);
    rest = fma(-0.33333334 * d, rest, 1.0);
    rest = fma(-0.5 * d, rest, 1.0);
    return decay(0.5 * upper * upper) * fma(-d, rest, 1.0);
}

// The normal distribution, (1 + erf(x / sqrt 2)) / 2: below 0 it is e^(-x^2 / 2) t p(2 t - 1) with
// t = 1 / (1 + 0.34 |x|), p by weighted least squares to a relative error of 2.5e-8; `bell_of_x` is
// e^(-x^2 / 2).
fn normal_distribution(x: f32, bell_of_x: f32) -> f32 {
    let t = 1.0 / fma(0.34, magnitude(x, 14.0), 1.0);
    let s = fma(2.0, t, -1.0);
    var p = fma(-1.0340841e-4, s, 2.754908e-4);
    p = fma(p, s, 5.0481484e-4);
    p = fma(p, s, -2.1165637e-3);
    p = fma(p, s, -4.2172783e-3);
    p = fma(p, s, 0.0134992041);
    p = fma(p, s, 0.07448598);
    p = fma(p, s, 0.17053245);
    p = fma(p, s, 0.24713932);
    let tail = t * p * bell_of_x;
    return keep_nan(x, select(1.0 - tail, tail, x < 0.0));
}

// sigmoid(x) and what it lacks to 1, sigmoid(-x), both without cancellation.
fn sigmoids(x: f32) -> vec2<f32> {
    let e = decay(x);
    return select(vec2<f32>(e, 1.0), vec2<f32>(1.0, e), x >= 0.0) / (1.0 + e);
}

// The exponent of which the sigmoid is the share of x in the gelu that is approximated by a tanh.
fn gelu_exponent(x: f32) -> f32 {
    return x * fma(0.071354814, x * x, 1.5957691);
}

// The activations that gates seldom have, apart, so that a compiler drops them at once.
fn activate_rarer(code: u32, x: f32) -> f32 {
    switch code {
        case 6u: { return select(0.2 * x, x, x > 0.0); }
        case 7u: { return keep_nan(x, clamp(x, 0.0, 6.0)); }
        case 8u: { return keep_nan(x, clamp(x, -1.0, 1.0)); }
        case 9u: { return x / (1.0 + abs(x)); }
        case 10u: { return growth(x); }
        case 11u, 12u: { return select(decay_less_one(x), x, x > 0.0); }
        case 13u: { return select(1.7580993 * decay_less_one(x), 1.050701 * x, x > 0.0); }
        case 14u: { return softplus(x); }
        case 15u: { return x * sigmoid(x); }
        case 16u: { return x * keep_nan(x, clamp(x / 6.0 + 0.5, 0.0, 1.0)); }
        case 17u: { return x * mish_share(x).x; }
        case 18u: { return x * normal_distribution(x, bell(magnitude(x, 14.0))); }
        default: { return x * sigmoid(gelu_exponent(x)); }
    }
}

// The activation of x.
fn activate(code: u32, x: f32) -> f32 {
    if code > 5u {
        return activate_rarer(code, x);
    }
    switch code {
        case 1u: { return keep_nan(x, max(x, 0.0)); }
        case 2u: { return sigmoid(x); }
        case 3u: { return tanh_stable(x); }
        case 4u: { return keep_nan(x, clamp(x / 6.0 + 0.5, 0.0, 1.0)); }
        case 5u: { return keep_nan(x, clamp(0.2 * x + 0.5, 0.0, 1.0)); }
        default: { return x; }
    }
}

// True if x is kept for the gradient, false if y is.
fn keeps_input(code: u32) -> bool {
    return code >= 15u;
}

// What is kept of an activation y of x for its gradient.
fn kept(code: u32, x: f32, y: f32) -> f32 {
    if keeps_input(code) {
        return x;
    }
    return y;
}

// The activation, from what is kept of it.
fn recall(code: u32, y: f32) -> f32 {
    if keeps_input(code) {
        return activate(code, y);
    }
    return y;
}

// The derivative of the activation, from its input x.
fn slope_of_input(code: u32, x: f32) -> f32 {
    switch code {
        case 15u: {
            let share = sigmoids(x);
            return share.x * (1.0 + x * share.y);
        }
        case 16u: {
            return keep_nan(x, select(select(x / 3.0 + 0.5, 1.0, x >= 3.0), 0.0, x <= -3.0));
        }
        case 17u: {
            let share = mish_share(x);
            return share.x + x * share.y * (1.0 + share.x) * sigmoid(x);
        }
        case 18u: {
            let density = bell(magnitude(x, 14.0));
            return normal_distribution(x, density) + x * 0.39894228 * density;
        }
        default: {
            // Beyond 16 the slope is 0 or 1, where the square of x could be infinite.
            let sign = bitcast<u32>(x) & 0x80000000u;
            let z = bitcast<f32>(bitcast<u32>(magnitude(x, 16.0)) | sign);
            let share = sigmoids(gelu_exponent(z));
            return keep_nan(x, share.x + z * share.x * share.y * fma(0.21406444, z * z, 1.5957691));
        }
    }
}

// The derivatives of the activations that gates seldom have, from their values.
fn slope_rarer(code: u32, y: f32) -> f32 {
    switch code {
        case 6u: { return select(0.2, 1.0, is_positive(y)); }
        case 7u: { return select(0.0, 1.0, bitcast<u32>(y) - 1u < 0x40bfffffu); }
        case 8u: { return select(0.0, 1.0, is_below_one(y)); }
        case 9u: { return (1.0 - abs(y)) * (1.0 - abs(y)); }
        case 10u: { return y; }
        case 11u, 12u: { return select(1.0, y + 1.0, is_positive(-y)); }
        case 13u: { return select(1.050701, y + 1.7580993, is_positive(-y)); }
        default: { return -decay_less_one(y); }
    }
}

// The derivative of the activation, from what is kept of it: its value y, or its input.
fn slope(code: u32, y: f32) -> f32 {
    if keeps_input(code) {
        return slope_of_input(code, y);
    }
    if code > 5u {
        return slope_rarer(code, y);
    }
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
