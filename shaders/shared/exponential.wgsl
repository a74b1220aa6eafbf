// Exponentials and logarithms with bounded errors; those of a driver have no bound, above all with
// fast math. No intermediate overflows. The bounds hold whether fma rounds once or twice, and also
// if a compiler reorders sums, as Metal's and Mesa's do: where that would cost digits, integer
// operations prevent it. Each thread calls them for one value.

// e^-a = scale (1 + rest), where scale is a power of two and rest has no cancellation.
struct Exponential { rest: f32, scale: f32 }

// e^-a for 0 <= a <= 88.
fn exponential(a: f32) -> Exponential {
    // After adding 1.5 * 2^23 the low bits are the nearest integer k to a / ln 2.
    let k = bitcast<u32>(fma(a, 1.442695, 12582912.0)) & 0xffu;
    // r = k ln 2 - a, at most ln 2 / 2. From a = 1/4 on, a is a multiple of 2^-25, in which unit k
    // ln 2 is exact but for the rounding of ln 2, which is added at the end; below, k = 0.
    let bits = bitcast<u32>(a);
    let whole = ((bits & 0x7fffffu) | 0x800000u) << (((bits >> 23u) - 125u) & 31u);
    let difference = f32(i32(k * 23258160u - whole));
    let r = select(fma(difference, 2.9802322e-8, f32(k) * -1.9046543e-9), -a, k == 0u);
    // e^r - 1 = r + r^2 p(r), p by Remez's algorithm to a relative error of 1.4e-8.
    var p = fma(1.3882509e-3, r, 8.36658e-3);
    p = fma(p, r, 0.0416672);
    p = fma(p, r, 0.16666543);
    p = fma(p, r, 0.49999997);
    return Exponential(fma(r * r, p, r), bitcast<f32>((127u - k) << 23u));
}

// min(|x|, limit), and limit for NaN.
fn magnitude(x: f32, limit: f32) -> f32 {
    return bitcast<f32>(min(bitcast<u32>(x) & 0x7fffffffu, bitcast<u32>(limit)));
}

// e^-|x| to 1.6 units in the last place; results below 2^-126 are denormal or zero.
fn decay(x: f32) -> f32 {
    let p = exponential(magnitude(x, 88.0));
    return keep_nan(x, fma(p.rest, p.scale, p.scale));
}

// e^x, which is infinite beyond the largest number.
fn growth(x: f32) -> f32 {
    let a = magnitude(x, 90.0);
    // 2^k is a number up to k = 127.
    let far = a > 80.0;
    let p = exponential(select(a, a - 2.0, far));
    let power = bitcast<f32>(0x7f000000u - bitcast<u32>(p.scale));
    let above = power / (1.0 + p.rest) * select(1.0, 7.389056, far);
    let below = fma(p.rest, p.scale, p.scale) * select(1.0, 0.13533528, far);
    return keep_nan(x, select(above, below, x < 0.0));
}

// 2 atanh(s) = log((1 + s) / (1 - s)) for |s| <= 1/3, by Remez's algorithm to 4.5e-9.
fn twice_atanh(s: f32) -> f32 {
    let z = s * s;
    var p = fma(0.28018773, z, 0.28000537);
    p = fma(p, z, 0.40021598);
    p = fma(p, z, 0.6666641);
    return fma(s * z, p, 2.0 * s);
}

// log(1 + e) for 0 <= e <= 1, to 3 units in the last place.
fn log_of_one_and(e: f32) -> f32 {
    return keep_nan(e, twice_atanh(e / (2.0 + e)));
}

// log x, to 3 units in the last place, for numbers from 2^-126 on; logarithm.wgsl takes the others.
fn log_from_one(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    // x = 2^n m, sqrt(1/2) <= m < sqrt(2).
    let n = i32(bits - 0x3f3504f3u) >> 23u;
    let m = bitcast<f32>(bits - (u32(n) << 23u));
    return keep_nan(x, fma(f32(n), 0.6931472, twice_atanh((m - 1.0) / (m + 1.0))));
}
