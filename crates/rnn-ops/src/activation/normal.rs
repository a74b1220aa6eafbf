//! The standard normal distribution, of which the gelu is made.

use rnn_graph::Real;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Returns the probability of a value below `x`: Phi(x) = erfc(-x / sqrt 2) / 2, computed in f64.
pub fn normal_distribution<F: Real>(x: F) -> F {
    let wide = x.to_f64().unwrap_or(f64::NAN);
    F::of(0.5 * libm::erfc(-wide * FRAC_1_SQRT_2))
}

/// Returns the density at `x`, the derivative of [`normal_distribution`]: e^(-x^2 / 2) / sqrt(2
/// pi).
pub fn normal_density<F: Real>(x: F) -> F {
    (-x * x / F::of(2.0)).exp() / F::of((2.0 * PI).sqrt())
}
