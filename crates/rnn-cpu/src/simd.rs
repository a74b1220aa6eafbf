//! Elementwise functions of vectors of whichever width the processor has.

use pulp::{Arch, Simd, WithSimd};
use rnn_ops::Activation;

/// Runs a kernel compiled for the processor at hand.
pub fn dispatch<K: WithSimd>(kernel: K) -> K::Output {
    Arch::new().dispatch(kernel)
}

/// Floats of a vector, and vector registers, of the processor at hand.
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

/// The first elements of a slice; zeros behind its end.
#[inline(always)]
pub fn load<S: Simd>(simd: S, from: &[f32]) -> S::f32s {
    match from.get(..S::F32_LANES) {
        Some(whole) => bytemuck::cast_slice(whole)[0],
        None => simd.partial_load_f32s(from),
    }
}

/// The first elements of a slice that has as many as a vector. Loops around it unroll, which they
/// do not around [`load`].
#[inline(always)]
pub fn load_whole<S: Simd>(from: &[f32]) -> S::f32s {
    bytemuck::cast_slice(&from[..S::F32_LANES])[0]
}

/// The reverse of [`load_whole`].
#[inline(always)]
pub fn store_whole<S: Simd>(to: &mut [f32], vector: S::f32s) {
    bytemuck::cast_slice_mut(&mut to[..S::F32_LANES])[0] = vector;
}

/// Stores as many elements as the slice has.
#[inline(always)]
pub fn store<S: Simd>(simd: S, to: &mut [f32], vector: S::f32s) {
    if to.len() == S::F32_LANES {
        to.copy_from_slice(bytemuck::cast_slice(&[vector]));
    } else {
        simd.partial_store_f32s(to, vector);
    }
}

/// e^x to a few units in the last place for x in -40..40, beyond which it stays: 2^n times a
/// polynomial in the rest, whose coefficients are those of the Taylor series on |r| <= ln 2 / 2.
#[inline(always)]
fn exp<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    // Adding 1.5 * 2^23 rounds to the nearest integer, which the low bits then hold.
    const ROUND: f32 = 12_582_912.0;
    // The second operand is what comes of NaN.
    let x = s.min_f32s(s.splat_f32s(40.0), s.max_f32s(s.splat_f32s(-40.0), x));
    let shifted = s.mul_add_e_f32s(x, s.splat_f32s(std::f32::consts::LOG2_E), s.splat_f32s(ROUND));
    let n = s.sub_f32s(shifted, s.splat_f32s(ROUND));
    // ln 2 in two parts, the first short enough that n times it is exact.
    let r = s.mul_add_e_f32s(n, s.splat_f32s(-0.693_359_4), x);
    let r = s.mul_add_e_f32s(n, s.splat_f32s(2.121_944_4e-4), r);
    let mut p = s.splat_f32s(1.0 / 720.0);
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = s.mul_add_e_f32s(p, r, s.splat_f32s(coefficient));
    }
    let exponent = s.wrapping_dyn_shl_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(23));
    s.transmute_f32s_u32s(s.add_u32s(s.transmute_u32s_f32s(p), exponent))
}

/// tanh x where |x| is small: 1 - 2 / (e^2x + 1) cancels there.
#[inline(always)]
fn tanh_near_zero<S: Simd>(s: S, x: S::f32s, far: S::f32s) -> S::f32s {
    let x2 = s.mul_f32s(x, x);
    let mut p = s.splat_f32s(-17.0 / 315.0);
    for coefficient in [2.0 / 15.0, -1.0 / 3.0, 1.0] {
        p = s.mul_add_e_f32s(p, x2, s.splat_f32s(coefficient));
    }
    s.select_f32s(s.less_than_f32s(x2, s.splat_f32s(0.01)), s.mul_f32s(x, p), far)
}

/// The activations that need no exponential; x for the others.
#[inline(always)]
fn activate_light<S: Simd>(s: S, activation: Activation, x: S::f32s) -> S::f32s {
    let (zero, one) = (s.splat_f32s(0.0), s.splat_f32s(1.0));
    let slope = match activation {
        Activation::Relu => return s.max_f32s(zero, x),
        Activation::HardSigmoid => 1.0 / 6.0,
        Activation::HardSigmoid2018 => 0.2,
        Activation::Linear | Activation::Sigmoid | Activation::Tanh => return x,
    };
    let line = s.mul_add_e_f32s(x, s.splat_f32s(slope), s.splat_f32s(0.5));
    s.min_f32s(one, s.max_f32s(zero, line))
}

/// What sigmoid and tanh divide by: 1 + e^-x and 1 + e^2x; 1 for the others.
#[inline(always)]
fn denominator<S: Simd>(s: S, activation: Activation, x: S::f32s) -> S::f32s {
    let scale = match activation {
        Activation::Sigmoid => -1.0,
        Activation::Tanh => 2.0,
        _ => return s.splat_f32s(1.0),
    };
    s.add_f32s(exp(s, s.mul_f32s(x, s.splat_f32s(scale))), s.splat_f32s(1.0))
}

#[inline(always)]
fn from_reciprocal<S: Simd>(
    s: S,
    activation: Activation,
    x: S::f32s,
    reciprocal: S::f32s,
) -> S::f32s {
    match activation {
        Activation::Sigmoid => reciprocal,
        Activation::Tanh => {
            let far = s.mul_add_e_f32s(reciprocal, s.splat_f32s(-2.0), s.splat_f32s(1.0));
            tanh_near_zero(s, x, far)
        }
        light => activate_light(s, light, x),
    }
}

/// One activation of one vector.
#[inline(always)]
pub fn activate<S: Simd>(s: S, activation: Activation, x: S::f32s) -> S::f32s {
    let below = denominator(s, activation, x);
    let reciprocal = match activation {
        Activation::Sigmoid | Activation::Tanh => s.div_f32s(s.splat_f32s(1.0), below),
        _ => below,
    };
    from_reciprocal(s, activation, x, reciprocal)
}

/// Two activations for one division, the slowest of all instructions: 1/a = b / (a b).
#[inline(always)]
pub fn activate_two<S: Simd>(s: S, activations: [Activation; 2], x: [S::f32s; 2]) -> [S::f32s; 2] {
    let a = denominator(s, activations[0], x[0]);
    let b = denominator(s, activations[1], x[1]);
    let both = s.div_f32s(s.splat_f32s(1.0), s.mul_f32s(a, b));
    [
        from_reciprocal(s, activations[0], x[0], s.mul_f32s(both, b)),
        from_reciprocal(s, activations[1], x[1], s.mul_f32s(both, a)),
    ]
}

/// The derivative of an activation, from its value.
#[inline(always)]
pub fn slope<S: Simd>(s: S, activation: Activation, y: S::f32s) -> S::f32s {
    let (zero, one) = (s.splat_f32s(0.0), s.splat_f32s(1.0));
    let above = s.greater_than_f32s(y, zero);
    let inside = match activation {
        Activation::Linear => return one,
        Activation::Relu => return s.select_f32s(above, one, zero),
        Activation::Sigmoid => return s.mul_f32s(y, s.sub_f32s(one, y)),
        Activation::Tanh => return s.sub_f32s(one, s.mul_f32s(y, y)),
        Activation::HardSigmoid => 1.0 / 6.0,
        Activation::HardSigmoid2018 => 0.2,
    };
    let below = s.select_f32s(s.less_than_f32s(y, one), s.splat_f32s(inside), zero);
    s.select_f32s(above, below, zero)
}

/// Zero in place of what is so small that its products would be denormal.
#[inline(always)]
pub fn flush<S: Simd>(s: S, v: S::f32s) -> S::f32s {
    let zero = s.splat_f32s(0.0);
    s.select_f32s(s.less_than_f32s(s.abs_f32s(v), s.splat_f32s(rnn_ops::SMALLEST)), zero, v)
}

/// to = factors x for each of several blocks of factors, as long as x; nothing without factors.
#[inline(always)]
pub fn scale_each<S: Simd>(s: S, to: &mut [f32], factors: &[f32], x: &[f32]) {
    for (to, factors) in to.chunks_exact_mut(x.len()).zip(factors.chunks_exact(x.len())) {
        to.copy_from_slice(x);
        scale(s, to, factors);
    }
}

/// values *= factors
#[inline(always)]
pub fn scale<S: Simd>(s: S, values: &mut [f32], factors: &[f32]) {
    let lanes = S::F32_LANES;
    for (values, factors) in values.chunks_mut(lanes).zip(factors.chunks(lanes)) {
        let product = s.mul_f32s(load(s, values), load(s, factors));
        store(s, values, product);
    }
}
