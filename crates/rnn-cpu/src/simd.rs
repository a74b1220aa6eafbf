//! Elementwise functions of vectors, of the width that the processor has.

use crate::rarer;
use pulp::{Arch, Simd, WithSimd};
use rnn_ops::Activation;

/// Runs a kernel compiled for the vector instructions of the processor at hand, and returns its
/// result.
pub fn dispatch<K: WithSimd>(kernel: K) -> K::Output {
    Arch::new().dispatch(kernel)
}

/// Returns the number of floats per vector and the number of vector registers of the processor at
/// hand.
pub fn processor() -> (usize, usize) {
    struct Processor;
    impl WithSimd for Processor {
        type Output = (usize, usize);
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> Self::Output {
            (S::F32_LANES, S::REGISTER_COUNT)
        }
    }
    dispatch(Processor)
}

/// Loads the first elements of a slice into a vector. If the slice is shorter, the rest of the
/// vector is zero.
#[inline(always)]
pub fn load<S: Simd>(simd: S, from: &[f32]) -> S::f32s {
    match from.get(..S::F32_LANES) {
        Some(whole) => bytemuck::cast_slice(whole)[0],
        None => simd.partial_load_f32s(from),
    }
}

/// Loads the first elements of a slice into a vector. The compiler unrolls loops around this
/// function, unlike loops around [`load`].
///
/// # Panics
/// Panics if the slice is shorter than a vector.
#[inline(always)]
pub fn load_whole<S: Simd>(from: &[f32]) -> S::f32s {
    bytemuck::cast_slice(&from[..S::F32_LANES])[0]
}

/// Stores a vector to the first elements of a slice.
///
/// # Panics
/// Panics if the slice is shorter than a vector.
#[inline(always)]
pub fn store_whole<S: Simd>(to: &mut [f32], vector: S::f32s) {
    bytemuck::cast_slice_mut(&mut to[..S::F32_LANES])[0] = vector;
}

/// Stores the first elements of a vector to `to`, as many as `to` has. `to` must not be longer than
/// a vector.
#[inline(always)]
pub fn store<S: Simd>(simd: S, to: &mut [f32], vector: S::f32s) {
    if to.len() == S::F32_LANES {
        to.copy_from_slice(bytemuck::cast_slice(&[vector]));
    } else {
        simd.partial_store_f32s(to, vector);
    }
}

/// Returns a vector whose elements have these bits.
#[inline(always)]
pub fn splat_bits<S: Simd>(s: S, bits: u32) -> S::f32s {
    s.transmute_f32s_u32s(s.splat_u32s(bits))
}

/// Returns min(|x|, limit); NaN stays NaN.
#[inline(always)]
pub fn magnitude<S: Simd>(s: S, x: S::f32s, limit: f32) -> S::f32s {
    let (x, limit) = (s.abs_f32s(x), s.splat_f32s(limit));
    s.select_f32s(s.greater_than_f32s(x, limit), limit, x)
}

/// Returns q and s of e^-a = s (1 + q) for 0 <= a <= 88, where s is a power of two and q has no
/// cancellation; `exponential` of exponential.wgsl explains the constants.
#[inline(always)]
pub fn exponential<S: Simd>(s: S, a: S::f32s) -> [S::f32s; 2] {
    const ROUND: f32 = 12_582_912.0;
    let per_octave = s.splat_f32s(-std::f32::consts::LOG2_E);
    let shifted = s.mul_add_e_f32s(a, per_octave, s.splat_f32s(ROUND));
    let n = s.sub_f32s(shifted, s.splat_f32s(ROUND));
    let r = s.neg_f32s(s.mul_add_e_f32s(n, s.splat_f32s(0.693_359_4), a));
    let r = s.mul_add_e_f32s(n, s.splat_f32s(2.121_944_4e-4), r);
    let mut p = s.splat_f32s(1.388_250_9e-3);
    for coefficient in [8.366_58e-3, 0.041_667_2, 0.166_665_43, 0.499_999_97] {
        p = s.mul_add_e_f32s(p, r, s.splat_f32s(coefficient));
    }
    let rest = s.mul_add_e_f32s(s.mul_f32s(r, r), p, r);
    let n = s.wrapping_dyn_shl_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(23));
    [rest, s.transmute_f32s_u32s(s.add_u32s(n, s.splat_u32s(0x3f80_0000)))]
}

/// Returns an activation that is no quotient of exponentials. NaN stays NaN.
#[inline(always)]
fn activate_light<S: Simd, const RARER: bool>(s: S, activation: Activation, x: S::f32s) -> S::f32s {
    let (zero, one) = (s.splat_f32s(0.0), s.splat_f32s(1.0));
    let slope = match activation {
        Activation::Relu => return s.select_f32s(s.less_than_f32s(x, zero), zero, x),
        Activation::HardSigmoid => 1.0 / 6.0,
        Activation::HardSigmoid2018 => 0.2,
        other if RARER => return rarer::value(s, other, x),
        _ => return x,
    };
    let line = s.mul_add_e_f32s(x, s.splat_f32s(slope), s.splat_f32s(0.5));
    let line = s.select_f32s(s.less_than_f32s(line, zero), zero, line);
    s.select_f32s(s.greater_than_f32s(line, one), one, line)
}

/// Returns an activation as numerator and denominator, the latter between 1 and 2: of e = e^-|x|
/// for sigmoid, of m = e^-2|x| - 1 for tanh x = -m / (2 + m). The denominator of others is 1.
#[inline(always)]
fn quotient<S: Simd, const RARER: bool>(s: S, activation: Activation, x: S::f32s) -> [S::f32s; 2] {
    let one = s.splat_f32s(1.0);
    match activation {
        Activation::Sigmoid => {
            let [rest, scale] = exponential(s, magnitude(s, x, 88.0));
            let e = s.mul_add_e_f32s(rest, scale, scale);
            let negative = s.less_than_f32s(x, s.splat_f32s(0.0));
            [s.select_f32s(negative, e, one), s.add_f32s(one, e)]
        }
        Activation::Tanh => {
            let a = magnitude(s, x, 44.0);
            let [rest, scale] = exponential(s, s.add_f32s(a, a));
            let m = s.mul_add_e_f32s(rest, scale, s.sub_f32s(scale, one));
            let sign = s.and_f32s(x, splat_bits(s, 1 << 31));
            [s.or_f32s(s.abs_f32s(m), sign), s.add_f32s(s.splat_f32s(2.0), m)]
        }
        light => [activate_light::<S, RARER>(s, light, x), one],
    }
}

/// Applies an activation to each element of a vector. Sigmoid and tanh have an error of at most 2.5
/// units in the last place. Without RARER the code lacks the activations of [`rarer`], which must not
/// be asked for: in a scan it would take registers from the product.
#[inline(always)]
pub fn activate<S: Simd, const RARER: bool>(s: S, activation: Activation, x: S::f32s) -> S::f32s {
    let [above, below] = quotient::<S, RARER>(s, activation, x);
    match activation {
        Activation::Sigmoid | Activation::Tanh => s.div_f32s(above, below),
        _ => above,
    }
}

/// Applies `activations[i]` to the vector `x[i]`. Both together take one division, the slowest
/// instruction: 1/a = b / (a b) for their denominators a and b. Sigmoid and tanh have an error of
/// at most 4 units in the last place. The other activations give the bits of [`activate`], since
/// the slope of a hard sigmoid must be zero at exactly 1.
#[inline(always)]
pub fn activate_two<S: Simd, const RARER: bool>(
    s: S,
    activations: [Activation; 2],
    x: [S::f32s; 2],
) -> [S::f32s; 2] {
    let [a_above, a] = quotient::<S, RARER>(s, activations[0], x[0]);
    let [b_above, b] = quotient::<S, RARER>(s, activations[1], x[1]);
    let both = s.div_f32s(s.splat_f32s(1.0), s.mul_f32s(a, b));
    [
        value_of(s, activations[0], [a_above, s.mul_f32s(both, b)]),
        value_of(s, activations[1], [b_above, s.mul_f32s(both, a)]),
    ]
}

#[inline(always)]
fn value_of<S: Simd>(s: S, activation: Activation, [above, reciprocal]: [S::f32s; 2]) -> S::f32s {
    match activation {
        Activation::Sigmoid | Activation::Tanh => s.mul_f32s(above, reciprocal),
        _ => above,
    }
}

/// Applies an activation to every element of a slice, in place.
pub fn activate_each(activation: Activation, values: &mut [f32]) {
    struct Each<'a>(Activation, &'a mut [f32]);
    impl WithSimd for Each<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(activation, values) = self;
            for values in values.chunks_mut(S::F32_LANES) {
                let value = activate::<S, true>(simd, activation, load(simd, values));
                store(simd, values, value);
            }
        }
    }
    if activation != Activation::Linear {
        dispatch(Each(activation, values));
    }
}

/// Returns the values of an activation from what is kept of it for the gradient.
#[inline(always)]
pub fn recall<S: Simd, const RARER: bool>(s: S, activation: Activation, kept: S::f32s) -> S::f32s {
    let keeps_input = RARER && activation.keeps_input();
    if keeps_input { activate::<S, true>(s, activation, kept) } else { kept }
}

/// Returns what is kept of an activation for the gradient, of its input x and its value y.
#[inline(always)]
pub fn kept<T, const RARER: bool>(activation: Activation, x: T, y: T) -> T {
    if RARER { activation.kept(x, y) } else { y }
}

/// Returns the derivative of an activation for each element of a vector y of what is kept of it for
/// the gradient ([`Activation::kept`]): its values, or its inputs.
#[inline(always)]
pub fn slope<S: Simd, const RARER: bool>(s: S, activation: Activation, y: S::f32s) -> S::f32s {
    let (zero, one) = (s.splat_f32s(0.0), s.splat_f32s(1.0));
    let above = s.greater_than_f32s(y, zero);
    let inside = match activation {
        Activation::Relu => return s.select_f32s(above, one, zero),
        Activation::Sigmoid => return s.mul_f32s(y, s.sub_f32s(one, y)),
        Activation::Tanh => return s.sub_f32s(one, s.mul_f32s(y, y)),
        Activation::HardSigmoid => 1.0 / 6.0,
        Activation::HardSigmoid2018 => 0.2,
        other if RARER => return rarer::slope(s, other, y),
        _ => return one,
    };
    let below = s.select_f32s(s.less_than_f32s(y, one), s.splat_f32s(inside), zero);
    s.select_f32s(above, below, zero)
}

/// Replaces each element whose magnitude is below [`rnn_ops::FLUSH_THRESHOLD`] by zero, because its
/// products would be denormal.
#[inline(always)]
pub fn flush<S: Simd>(s: S, v: S::f32s) -> S::f32s {
    let zero = s.splat_f32s(0.0);
    s.select_f32s(s.less_than_f32s(s.abs_f32s(v), s.splat_f32s(rnn_ops::FLUSH_THRESHOLD)), zero, v)
}

/// Computes values *= factors, elementwise, for slices of equal length.
#[inline(always)]
pub fn scale<S: Simd>(s: S, values: &mut [f32], factors: &[f32]) {
    let lanes = S::F32_LANES;
    for (values, factors) in values.chunks_mut(lanes).zip(factors.chunks(lanes)) {
        let product = s.mul_f32s(load(s, values), load(s, factors));
        store(s, values, product);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of activations of a slice.
    struct Two<'a>([Activation; 2], &'a [f32], [&'a mut [f32]; 2]);
    impl WithSimd for Two<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(activations, x, [a, b]) = self;
            let outs = a.chunks_mut(S::F32_LANES).zip(b.chunks_mut(S::F32_LANES));
            for (x, (a, b)) in x.chunks(S::F32_LANES).zip(outs) {
                let x = load(simd, x);
                let [first, second] = activate_two::<S, true>(simd, activations, [x, x]);
                store(simd, a, first);
                store(simd, b, second);
            }
        }
    }

    /// Every 4,001st number of both signs, with those at which something changes.
    fn dense() -> Vec<f32> {
        let edges = [0.0, f32::MIN_POSITIVE, 1e-40, 0.5, 44.0, 88.0, 104.0, f32::MAX];
        let grid = (0..0x7f80_0000).step_by(4001).map(f32::from_bits);
        edges.into_iter().chain(grid).flat_map(|x| [x, -x]).collect()
    }

    /// The error in units of the last place; for results below 2^-126, in units of 2^-126.
    fn units(y: f32, want: f64) -> f64 {
        let place = want.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
        let unit = if want.abs() < f64::from(f32::MIN_POSITIVE) { -126.0 } else { place - 23.0 };
        (f64::from(y) - want).abs() / unit.exp2()
    }

    #[test]
    fn activations_keep_their_bound_everywhere() {
        let xs = dense();
        for activation in [Activation::Sigmoid, Activation::Tanh] {
            let mut one = xs.clone();
            activate_each(activation, &mut one);
            let (mut two, mut other) = (xs.clone(), xs.clone());
            let outs = [&mut two[..], &mut other[..]];
            dispatch(Two([activation, Activation::Sigmoid], &xs, outs));
            for (ys, bound) in [(one, 2.5), (two, 4.0)] {
                for (x, y) in xs.iter().zip(ys) {
                    let wide = f64::from(*x);
                    let want = match activation {
                        Activation::Sigmoid => 1.0 / (1.0 + (-wide).exp()),
                        _ => wide.tanh(),
                    };
                    let error = units(y, want);
                    assert!(error <= bound, "{activation:?}({x}) = {y}, not {want}: {error}");
                }
            }
        }
    }

    #[test]
    fn hard_sigmoids_saturate_at_exactly_one_beside_any_other() {
        let xs = dense();
        for hard in [Activation::HardSigmoid, Activation::HardSigmoid2018] {
            for other in Activation::ALL {
                let mut alone = xs.clone();
                activate_each(hard, &mut alone);
                let (mut first, mut second) = (xs.clone(), xs.clone());
                dispatch(Two([hard, other], &xs, [&mut first, &mut second]));
                assert_eq!(first, alone, "{hard:?} beside {other:?}");
                dispatch(Two([other, hard], &xs, [&mut first, &mut second]));
                assert_eq!(second, alone, "{hard:?} behind {other:?}");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so_and_infinities_saturate() {
        for activation in Activation::ALL {
            for lanes in [1, 16, 37] {
                for special in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut values = vec![special; lanes];
                    activate_each(activation, &mut values);
                    let want: f64 = activation.apply(f64::from(special));
                    for y in values {
                        let same = y == want as f32 || (y.is_nan() && want.is_nan());
                        assert!(same, "{activation:?}({special}) = {y}, not {want}");
                    }
                }
            }
        }
    }
}
