//! Sums and products of slices, written so that the compiler vectorises them for each instruction
//! set.

use multiversion::multiversion;

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_slice(sum: &mut [f32], values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(s, v)| *s += v);
}

/// Computes sum += values, elementwise, for slices of equal length.
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

/// Adds the slices a, b, c and d of `values` to `sum`, elementwise and in this order. All have
/// equal length.
pub fn add_four(sum: &mut [f32], values: [&[f32]; 4]) {
    add_four_slices(sum, values);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn scale_slice(values: &mut [f32], factors: &[f32]) {
    values.iter_mut().zip(factors).for_each(|(v, f)| *v *= f);
}

/// Computes values *= factors, elementwise, for slices of equal length.
pub fn scale_by(values: &mut [f32], factors: &[f32]) {
    scale_slice(values, factors);
}

/// Returns `v`, or 0 if its magnitude is below [`rnn_ops::FLUSH_THRESHOLD`], because its products
/// would be denormal.
#[inline(always)]
pub fn flush(v: f32) -> f32 {
    if v.abs() < rnn_ops::FLUSH_THRESHOLD { 0.0 } else { v }
}

/// Applies [`flush`] to each element of a slice, in place.
pub fn flush_each(values: &mut [f32]) {
    values.iter_mut().for_each(|v| *v = flush(*v));
}

/// Copies `from` to `to`, or fills `to` with zeros if `from` is `None`.
///
/// # Panics
/// Panics if the slices differ in length.
pub fn copy_or_zero(to: &mut [f32], from: Option<&[f32]>) {
    match from {
        Some(from) => to.copy_from_slice(from),
        None => to.fill(0.0),
    }
}
