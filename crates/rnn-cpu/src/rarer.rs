//! The activations that gates seldom have, of vectors. Their code is not copied into the scans, of
//! which there are many; it is compiled for the processor at hand all the same.

use crate::simd::{exponential, magnitude, splat_bits};
use pulp::{Simd, WithSimd};
use rnn_ops::Activation;

/// Returns true for the activations of this file.
pub fn is_rarer(activation: Activation) -> bool {
    use Activation::{HardSigmoid, HardSigmoid2018, Linear, Relu, Sigmoid, Tanh};
    !matches!(activation, Linear | Relu | Sigmoid | Tanh | HardSigmoid | HardSigmoid2018)
}

/// Returns the values of an activation that [`crate::simd`] does not compute itself. NaN stays NaN.
#[inline(always)]
pub fn value<S: Simd>(s: S, activation: Activation, x: S::f32s) -> S::f32s {
    let mut values = [x];
    s.vectorize(Value(activation, bytemuck::cast_slice_mut(&mut values)));
    values[0]
}

/// Returns the derivatives of such an activation, from what is kept of it for the gradient.
#[inline(always)]
pub fn slope<S: Simd>(s: S, activation: Activation, kept: S::f32s) -> S::f32s {
    let mut values = [kept];
    s.vectorize(Slope(activation, bytemuck::cast_slice_mut(&mut values)));
    values[0]
}

/// Replaces vectors by the values of an activation.
struct Value<'a>(Activation, &'a mut [f32]);

/// Replaces vectors of what is kept of an activation by its derivatives.
struct Slope<'a>(Activation, &'a mut [f32]);

impl WithSimd for Value<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for x in bytemuck::cast_slice_mut(self.1) {
            *x = value_of(simd, self.0, *x);
        }
    }
}

impl WithSimd for Slope<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for kept in bytemuck::cast_slice_mut(self.1) {
            *kept = slope_of(simd, self.0, *kept);
        }
    }
}

const SELU_SCALE: f32 = 1.050_701;
const SELU_BELOW: f32 = 1.758_099_3;

#[inline(always)]
fn value_of<S: Simd>(s: S, activation: Activation, x: S::f32s) -> S::f32s {
    let above = s.greater_than_f32s(x, s.splat_f32s(0.0));
    match activation {
        Activation::LeakyRelu => s.select_f32s(above, x, s.mul_f32s(x, s.splat_f32s(0.2))),
        Activation::Relu6 => clip(s, x, 0.0, 6.0),
        Activation::HardTanh => clip(s, x, -1.0, 1.0),
        Activation::Softsign => s.div_f32s(x, s.add_f32s(s.splat_f32s(1.0), s.abs_f32s(x))),
        Activation::Exponential => growth(s, x),
        Activation::Elu | Activation::Celu => s.select_f32s(above, x, decay_less_one(s, x)),
        Activation::Selu => {
            let below = s.mul_f32s(s.splat_f32s(SELU_BELOW), decay_less_one(s, x));
            s.select_f32s(above, s.mul_f32s(s.splat_f32s(SELU_SCALE), x), below)
        }
        Activation::Softplus => {
            let line = s.select_f32s(above, x, s.splat_f32s(0.0));
            s.add_f32s(line, log_of_one_and(s, decay(s, x)))
        }
        Activation::Silu => s.mul_f32s(x, sigmoid(s, x)),
        Activation::HardSilu => {
            let line = s.mul_add_e_f32s(x, s.splat_f32s(1.0 / 6.0), s.splat_f32s(0.5));
            s.mul_f32s(x, clip(s, line, 0.0, 1.0))
        }
        Activation::Mish => s.mul_f32s(x, mish_share(s, x)[0]),
        Activation::Gelu => s.mul_f32s(x, normal_distribution(s, x)),
        Activation::GeluTanh => s.mul_f32s(x, sigmoid(s, gelu_exponent(s, x))),
        _ => x,
    }
}

#[inline(always)]
fn slope_of<S: Simd>(s: S, activation: Activation, kept: S::f32s) -> S::f32s {
    let (zero, one) = (s.splat_f32s(0.0), s.splat_f32s(1.0));
    let above = s.greater_than_f32s(kept, zero);
    let below = s.less_than_f32s(kept, zero);
    match activation {
        Activation::LeakyRelu => s.select_f32s(above, one, s.splat_f32s(0.2)),
        Activation::Relu6 => {
            let inside = s.select_f32s(s.less_than_f32s(kept, s.splat_f32s(6.0)), one, zero);
            s.select_f32s(above, inside, zero)
        }
        Activation::HardTanh => s.select_f32s(s.less_than_f32s(s.abs_f32s(kept), one), one, zero),
        Activation::Softsign => {
            let rest = s.sub_f32s(one, s.abs_f32s(kept));
            s.mul_f32s(rest, rest)
        }
        Activation::Exponential => kept,
        Activation::Elu | Activation::Celu => s.select_f32s(below, s.add_f32s(kept, one), one),
        Activation::Selu => {
            let curve = s.add_f32s(kept, s.splat_f32s(SELU_BELOW));
            s.select_f32s(below, curve, s.splat_f32s(SELU_SCALE))
        }
        Activation::Softplus => s.neg_f32s(decay_less_one(s, kept)),
        Activation::Silu => {
            let [share, rest] = sigmoids(s, kept);
            s.mul_f32s(share, s.mul_add_e_f32s(kept, rest, one))
        }
        Activation::HardSilu => {
            let line = s.mul_add_e_f32s(kept, s.splat_f32s(1.0 / 3.0), s.splat_f32s(0.5));
            let past = s.greater_than_or_equal_f32s(kept, s.splat_f32s(3.0));
            let before = s.less_than_or_equal_f32s(kept, s.splat_f32s(-3.0));
            s.select_f32s(before, zero, s.select_f32s(past, one, line))
        }
        Activation::Mish => {
            let [share, rest] = mish_share(s, kept);
            let slope = s.mul_f32s(s.mul_f32s(rest, s.add_f32s(one, share)), sigmoid(s, kept));
            s.mul_add_e_f32s(kept, slope, share)
        }
        Activation::Gelu => {
            let bell = bell(s, magnitude(s, kept, 14.0));
            let density = s.mul_f32s(s.splat_f32s(0.398_942_3), bell);
            s.mul_add_e_f32s(kept, density, normal_distribution(s, kept))
        }
        Activation::GeluTanh => {
            // Beyond 16 the slope is 0 or 1, where the square of x could be infinite.
            let x = clip(s, kept, -16.0, 16.0);
            let [share, rest] = sigmoids(s, gelu_exponent(s, x));
            let square = s.mul_f32s(x, x);
            let slope =
                s.mul_add_e_f32s(square, s.splat_f32s(0.214_064_44), s.splat_f32s(1.595_769));
            let bend = s.mul_f32s(s.mul_f32s(share, rest), slope);
            s.mul_add_e_f32s(x, bend, share)
        }
        _ => one,
    }
}

/// Returns x clamped to a range; NaN stays NaN.
#[inline(always)]
fn clip<S: Simd>(s: S, x: S::f32s, low: f32, high: f32) -> S::f32s {
    let (low, high) = (s.splat_f32s(low), s.splat_f32s(high));
    let x = s.select_f32s(s.less_than_f32s(x, low), low, x);
    s.select_f32s(s.greater_than_f32s(x, high), high, x)
}

/// Returns e^-|x|.
#[inline(always)]
fn decay<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let [rest, scale] = exponential(s, magnitude(s, x, 88.0));
    s.mul_add_e_f32s(rest, scale, scale)
}

/// Returns e^-|x| - 1, with a small relative error near zero too.
#[inline(always)]
fn decay_less_one<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let [rest, scale] = exponential(s, magnitude(s, x, 88.0));
    s.mul_add_e_f32s(rest, scale, s.sub_f32s(scale, s.splat_f32s(1.0)))
}

/// Returns e^x; `growth` of activations.wgsl explains the steps.
#[inline(always)]
fn growth<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let a = magnitude(s, x, 90.0);
    let far = s.greater_than_f32s(a, s.splat_f32s(80.0));
    let near = s.select_f32s(far, s.sub_f32s(a, s.splat_f32s(2.0)), a);
    let [rest, scale] = exponential(s, near);
    let power = s.sub_u32s(s.splat_u32s(0x7f00_0000), s.transmute_u32s_f32s(scale));
    let one = s.splat_f32s(1.0);
    let grown = s.div_f32s(s.transmute_f32s_u32s(power), s.add_f32s(one, rest));
    let grown = s.mul_f32s(grown, s.select_f32s(far, s.splat_f32s(7.389_056), one));
    let shrunk = s.mul_add_e_f32s(rest, scale, scale);
    let shrunk = s.mul_f32s(shrunk, s.select_f32s(far, s.splat_f32s(0.135_335_28), one));
    s.select_f32s(s.less_than_f32s(x, s.splat_f32s(0.0)), shrunk, grown)
}

/// Returns log(1 + e) for 0 <= e <= 1; `twice_atanh` of exponential.wgsl explains the constants.
#[inline(always)]
fn log_of_one_and<S: Simd>(s: S, e: S::f32s) -> S::f32s {
    let quotient = s.div_f32s(e, s.add_f32s(s.splat_f32s(2.0), e));
    let z = s.mul_f32s(quotient, quotient);
    let mut p = s.splat_f32s(0.280_187_73);
    for coefficient in [0.280_005_37, 0.400_215_98, 0.666_664_1] {
        p = s.mul_add_e_f32s(p, z, s.splat_f32s(coefficient));
    }
    s.mul_add_e_f32s(s.mul_f32s(quotient, z), p, s.add_f32s(quotient, quotient))
}

/// Returns 1 / (1 + e^-x).
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    crate::simd::activate::<S, false>(s, Activation::Sigmoid, x)
}

/// Returns tanh(log(1 + e^x)), and what it lacks to 1; `mish_share` of activations.wgsl has the
/// equations.
#[inline(always)]
fn mish_share<S: Simd>(s: S, x: S::f32s) -> [S::f32s; 2] {
    let (one, two) = (s.splat_f32s(1.0), s.splat_f32s(2.0));
    let e = decay(s, x);
    let above = s.greater_than_f32s(x, s.splat_f32s(0.0));
    let below = s.mul_f32s(e, s.add_f32s(e, two));
    let share = s.select_f32s(above, s.mul_add_e_f32s(two, e, one), below);
    let rest = s.mul_f32s(two, s.select_f32s(above, s.mul_f32s(e, e), one));
    let all = s.add_f32s(share, rest);
    [s.div_f32s(share, all), s.div_f32s(rest, all)]
}

/// Returns e^(-a^2 / 2) for 0 <= a <= 14. The square of the upper digits of a is exact, and so is
/// the difference.
#[inline(always)]
fn bell<S: Simd>(s: S, a: S::f32s) -> S::f32s {
    let half = s.splat_f32s(0.5);
    let upper = s.and_f32s(a, splat_bits(s, 0xffff_f000));
    let rest = s.mul_f32s(s.sub_f32s(a, upper), s.add_f32s(a, upper));
    let of_upper = decay(s, s.mul_f32s(half, s.mul_f32s(upper, upper)));
    s.mul_f32s(of_upper, decay(s, s.mul_f32s(half, rest)))
}

/// Returns the normal distribution; `normal_distribution` of activations.wgsl explains the
/// constants.
#[inline(always)]
fn normal_distribution<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let one = s.splat_f32s(1.0);
    let a = magnitude(s, x, 14.0);
    let t = s.div_f32s(one, s.mul_add_e_f32s(a, s.splat_f32s(0.34), one));
    let centred = s.mul_add_e_f32s(s.splat_f32s(2.0), t, s.splat_f32s(-1.0));
    let mut p = s.splat_f32s(-1.034_084_1e-4);
    for coefficient in [
        2.754_908e-4,
        5.048_148_4e-4,
        -2.116_563_7e-3,
        -4.217_278e-3,
        0.013_499_204,
        0.074_485_98,
        0.170_532_45,
        0.247_139_32,
    ] {
        p = s.mul_add_e_f32s(p, centred, s.splat_f32s(coefficient));
    }
    let tail = s.mul_f32s(s.mul_f32s(t, p), bell(s, a));
    s.select_f32s(s.less_than_f32s(x, s.splat_f32s(0.0)), tail, s.sub_f32s(one, tail))
}

/// Returns sigmoid(x) and what it lacks to 1, sigmoid(-x), both without cancellation.
#[inline(always)]
fn sigmoids<S: Simd>(s: S, x: S::f32s) -> [S::f32s; 2] {
    let one = s.splat_f32s(1.0);
    let e = decay(s, x);
    let larger = s.div_f32s(one, s.add_f32s(one, e));
    let smaller = s.mul_f32s(e, larger);
    let below = s.less_than_f32s(x, s.splat_f32s(0.0));
    [s.select_f32s(below, smaller, larger), s.select_f32s(below, larger, smaller)]
}

/// Returns the exponent of which the sigmoid is the share of x in the gelu that is approximated by a
/// tanh.
#[inline(always)]
fn gelu_exponent<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let slope = s.splat_f32s(1.595_769);
    s.mul_f32s(x, s.mul_add_e_f32s(s.mul_f32s(x, x), s.splat_f32s(0.071_354_814), slope))
}
