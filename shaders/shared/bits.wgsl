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

// A whole number for each number, in the order of the numbers; both zeros have 0.
fn order(x: f32) -> i32 {
    let bits = bitcast<i32>(x);
    return select(bits, -(bits & 0x7fffffff), bits < 0);
}

// True if a > b; false if one is NaN.
fn is_greater(a: f32, b: f32) -> bool {
    return order(a) > order(b) && !is_nan(a) && !is_nan(b);
}
