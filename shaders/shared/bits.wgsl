// Tests for NaN and infinity by bit pattern. Metal compiles with fast math, under which comparisons
// with either have any result, and min, max and clamp drop NaN.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// Returns y, a function of x, or x if it is NaN.
fn keep_nan(x: f32, y: f32) -> f32 {
    return select(y, x, is_nan(x));
}

// True if x > 0; false for NaN.
fn is_positive(x: f32) -> bool {
    return bitcast<u32>(x) - 1u < 0x7f800000u;
}

// True if -1 < x < 1; false for NaN.
fn is_below_one(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) < 0x3f800000u;
}

// True if 0 < x < 1; false for NaN.
fn is_fraction(x: f32) -> bool {
    return bitcast<u32>(x) - 1u < 0x3f7fffffu;
}
