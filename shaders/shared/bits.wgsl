// What is not a number or not finite is found by its bits: Metal compiles with fast math, under
// which comparisons with either may say anything, and min, max and clamp drop what is no number.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// y, which was computed from x; x where that is not a number.
fn keep_nan(x: f32, y: f32) -> f32 {
    return select(y, x, is_nan(x));
}

// x > 0; false for what is not a number.
fn is_positive(x: f32) -> bool {
    return bitcast<u32>(x) - 1u < 0x7f800000u;
}

// 0 < x < 1.
fn is_fraction(x: f32) -> bool {
    return bitcast<u32>(x) - 1u < 0x3f7fffffu;
}
