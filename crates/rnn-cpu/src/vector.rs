//! Activations over slices, written so that the compiler vectorises them for each instruction set.

use multiversion::multiversion;
use rnn_ops::Activation;

/// e^x to a few units in the last place for x in -87..88: 2^n times a polynomial in the rest,
/// whose coefficients are those of the Taylor series on |r| <= ln 2 / 2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    // ln 2 in two parts, the first short enough that n times it is exact.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    p * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    // Near zero 1 - 2/(e^2x + 1) cancels; there the odd Taylor polynomial is exact to f32.
    let x2 = x * x;
    let series = x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (2.0 / 15.0 + x2 * (-17.0 / 315.0))));
    let far = 1.0 - 2.0 / (exp(2.0 * x.clamp(-15.0, 15.0)) + 1.0);
    if x2 < 0.01 { series } else { far }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn sigmoid_slice(values: &mut [f32]) {
    values.iter_mut().for_each(|v| *v = sigmoid(*v));
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn tanh_slice(values: &mut [f32]) {
    values.iter_mut().for_each(|v| *v = tanh(*v));
}

/// Applies an activation to every element.
pub fn activate(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Linear => {}
        Activation::Sigmoid => sigmoid_slice(values),
        Activation::Tanh => tanh_slice(values),
        light => values.iter_mut().for_each(|v| *v = light.apply(*v)),
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_slice(sum: &mut [f32], values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(s, v)| *s += v);
}

/// sum += values
pub fn add(sum: &mut [f32], values: &[f32]) {
    add_slice(sum, values);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_four_slices(sum: &mut [f32], [a, b, c, d]: [&[f32]; 4]) {
    let rest = b.iter().zip(c).zip(d);
    for ((sum, a), ((b, c), d)) in sum.iter_mut().zip(a).zip(rest) {
        *sum = *sum + a + b + c + d;
    }
}

/// sum += each of four, in their order.
pub fn add_four(sum: &mut [f32], values: [&[f32]; 4]) {
    add_four_slices(sum, values);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn scale_slice(values: &mut [f32], factors: &[f32]) {
    values.iter_mut().zip(factors).for_each(|(v, f)| *v *= f);
}

/// values *= factors
pub fn scale_by(values: &mut [f32], factors: &[f32]) {
    scale_slice(values, factors);
}

/// Zero in place of what is so small that its products would be denormal.
#[inline(always)]
pub fn flush(v: f32) -> f32 {
    if v.abs() < rnn_ops::SMALLEST { 0.0 } else { v }
}

/// The same of each element.
pub fn flush_each(values: &mut [f32]) {
    values.iter_mut().for_each(|v| *v = flush(*v));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_right_to_a_few_roundings() {
        for activation in [Activation::Sigmoid, Activation::Tanh] {
            let xs: Vec<f32> = (-4000..=4000).map(|i| i as f32 * 0.01).collect();
            let mut ys = xs.clone();
            activate(activation, &mut ys);
            for (x, y) in xs.into_iter().zip(ys) {
                let want: f64 = activation.apply(f64::from(x));
                let error = (f64::from(y) - want).abs();
                assert!(error < 3e-7, "{activation:?}({x}) = {y}, not {want}");
            }
        }
    }
}
