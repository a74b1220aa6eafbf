// Logarithms and powers of any float, from those of exponential.wgsl. The bounds of that file hold
// for positive numbers from 2^-126 on; what is smaller counts as zero, as on GPUs that flush it.

// log x: minus infinity for zero, NaN below zero.
fn logarithm(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let size = bits & 0x7fffffffu;
    // NaN and infinity are logarithms of themselves.
    let normal = select(log_from_one(x), x, size >= 0x7f800000u);
    let above = select(normal, bitcast<f32>(bits | 0xff800000u), size < 0x800000u);
    return select(above, bitcast<f32>(bits | 0x7fc00000u), bits >= 0x80800000u);
}

// x^exponent for x >= 0, and 0^exponent for x < 0.
fn power(x: f32, exponent: f32) -> f32 {
    if exponent == 0.0 {
        return 1.0;
    }
    let zero = select(0.0, growth(3.4028234e38), exponent < 0.0);
    return keep_nan(x, select(zero, growth(exponent * logarithm(x)), is_positive(x)));
}

// A probability within what Keras takes the logarithm of.
const EPSILON = 1e-7;
const CEILING = 0.99999988;

fn inside(p: f32) -> f32 {
    return keep_nan(p, clamp(p, EPSILON, CEILING));
}

// The slope of `inside`.
fn slope_inside(p: f32) -> f32 {
    return select(0.0, 1.0, p >= EPSILON && p <= CEILING);
}
