//! Losses of one prediction.

use super::{EPSILON, inside, power, slope_inside};
use crate::Activation;
use crate::common::{clip, larger};
use rnn_graph::Real;

/// Loss l(x, y) of one prediction x for its label y (keras/src/losses/losses.py). Where a logarithm
/// is taken, epsilon is Keras's 1e-7, and `q` a probability x between epsilon and 1 - epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ElementLoss {
    /// Binary cross-entropy of sigmoid(x) from the logit x: max(x, 0) - x y + log(1 + e^-|x|),
    /// which cannot overflow.
    BinaryCrossEntropy,
    /// Binary cross-entropy of a probability: -y log q - (1 - y) log(1 - q).
    BinaryCrossEntropyOfProbability,
    /// Squared error: (x - y)^2.
    SquaredError,
    /// Absolute error: |x - y|.
    AbsoluteError,
    /// Absolute error in percent of the label: 100 |x - y| / max(|y|, epsilon).
    AbsolutePercentageError,
    /// Squared error of logarithms: (log(1 + max(x, epsilon)) - log(1 + max(y, epsilon)))^2.
    SquaredLogarithmicError,
    /// Huber loss: (x - y)^2 / 2 if |x - y| <= delta, else delta (|x - y| - delta / 2).
    Huber {
        /// The distance |x - y| beyond which the loss is linear.
        delta: f32,
    },
    /// Pinball loss of the quantile q: q (y - x) if y >= x, else (1 - q) (x - y) (Koenker and
    /// Bassett, "Regression Quantiles", 1978).
    Pinball {
        /// The quantile q, from 0 to 1, which the x of the smallest mean loss is.
        quantile: f32,
    },
    /// Logarithm of the hyperbolic cosine of the error: log cosh(x - y).
    LogCosh,
    /// Poisson loss: x - y log(x + epsilon).
    Poisson,
    /// Hinge loss: max(1 - x y, 0), for labels -1 and 1.
    Hinge,
    /// Squared hinge loss: max(1 - x y, 0)^2, for labels -1 and 1.
    SquaredHinge,
    /// Focal loss of sigmoid(x) from the logit x: w (1 - p_t)^gamma l, where l is
    /// [`Self::BinaryCrossEntropy`], p = sigmoid(x), p_t = y p + (1 - y) (1 - p), and w = y alpha +
    /// (1 - y) (1 - alpha).
    BinaryFocal {
        /// The exponent, at least 0.
        gamma: f32,
        /// The weight of the positive class, from 0 to 1; `None` for w = 1.
        alpha: Option<f32>,
    },
    /// [`Self::BinaryFocal`] of a probability p = x, with
    /// [`Self::BinaryCrossEntropyOfProbability`].
    BinaryFocalOfProbability {
        /// The exponent, at least 0.
        gamma: f32,
        /// The weight of the positive class, from 0 to 1; `None` for w = 1.
        alpha: Option<f32>,
    },
}

impl ElementLoss {
    /// The number by which the kernel knows the loss.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::BinaryCrossEntropy => 0,
            Self::SquaredError => 1,
            Self::AbsoluteError => 2,
            Self::Huber { .. } => 3,
            Self::BinaryCrossEntropyOfProbability => 4,
            Self::AbsolutePercentageError => 5,
            Self::SquaredLogarithmicError => 6,
            Self::LogCosh => 7,
            Self::Poisson => 8,
            Self::Hinge => 9,
            Self::SquaredHinge => 10,
            Self::BinaryFocal { .. } => 11,
            Self::BinaryFocalOfProbability { .. } => 12,
            Self::Pinball { .. } => 13,
        }
    }

    pub(super) fn delta(self) -> f32 {
        if let Self::Huber { delta } = self { delta } else { 1.0 }
    }

    fn focus(self) -> (f32, Option<f32>) {
        match self {
            Self::BinaryFocal { gamma, alpha }
            | Self::BinaryFocalOfProbability { gamma, alpha } => (gamma, alpha),
            _ => (0.0, None),
        }
    }

    pub(super) fn gamma(self) -> f32 {
        self.focus().0
    }

    /// The weight of the positive class as the kernel takes it, -1 for none, or the quantile.
    pub(super) fn alpha(self) -> f32 {
        match self {
            Self::Pinball { quantile } => quantile,
            _ => self.focus().1.unwrap_or(-1.0),
        }
    }

    pub(super) fn apply<F: Real>(self, x: F, y: F) -> F {
        let (error, half, epsilon) = ((x - y).abs(), F::of(0.5), F::of(EPSILON.into()));
        match self {
            Self::BinaryCrossEntropy => larger(x, F::zero()) - x * y + (-x.abs()).exp().ln_1p(),
            Self::BinaryCrossEntropyOfProbability => {
                let q = inside(x);
                -(y * q.ln() + (F::one() - y) * (F::one() - q).ln())
            }
            Self::SquaredError => error * error,
            Self::AbsoluteError => error,
            Self::AbsolutePercentageError => F::of(100.0) * error / larger(y.abs(), epsilon),
            Self::SquaredLogarithmicError => {
                let difference = larger(x, epsilon).ln_1p() - larger(y, epsilon).ln_1p();
                difference * difference
            }
            Self::Huber { delta } => {
                let delta = F::of(delta.into());
                let far = delta * (error - half * delta);
                if error <= delta { half * error * error } else { far }
            }
            Self::Pinball { quantile } => {
                let q = F::of(quantile.into());
                error * if y >= x { q } else { F::one() - q }
            }
            Self::LogCosh => error + ((-(error + error)).exp().ln_1p() - F::of(2.0).ln()),
            Self::Poisson => x - y * (x + epsilon).ln(),
            Self::Hinge => larger(F::one() - x * y, F::zero()),
            Self::SquaredHinge => larger(F::one() - x * y, F::zero()).powi(2),
            Self::BinaryFocal { gamma, alpha } => {
                let factor = power(missed(sigmoid(x), sigmoid(-x), y), gamma);
                balance(alpha, y) * factor * Self::BinaryCrossEntropy.apply(x, y)
            }
            Self::BinaryFocalOfProbability { gamma, alpha } => {
                let factor = power(missed(x, F::one() - x, y), gamma);
                balance(alpha, y) * factor * Self::BinaryCrossEntropyOfProbability.apply(x, y)
            }
        }
    }

    pub(super) fn slope<F: Real>(self, x: F, y: F) -> F {
        let (error, epsilon) = (x - y, F::of(EPSILON.into()));
        match self {
            Self::BinaryCrossEntropy => sigmoid(x) - y,
            Self::BinaryCrossEntropyOfProbability => {
                let q = inside(x);
                slope_inside(x) * ((F::one() - y) / (F::one() - q) - y / q)
            }
            Self::SquaredError => error + error,
            Self::AbsoluteError if error == F::zero() => error,
            Self::AbsoluteError => error.signum(),
            Self::AbsolutePercentageError => {
                F::of(100.0) * Self::AbsoluteError.slope(x, y) / larger(y.abs(), epsilon)
            }
            Self::SquaredLogarithmicError if x < epsilon => F::zero(),
            Self::SquaredLogarithmicError => {
                let difference = x.ln_1p() - larger(y, epsilon).ln_1p();
                (difference + difference) / (F::one() + x)
            }
            Self::Huber { delta } => {
                let delta = F::of(delta.into());
                clip(error, -delta, delta)
            }
            Self::Pinball { .. } if error == F::zero() || error.is_nan() => error,
            Self::Pinball { quantile } => {
                let q = F::of(quantile.into());
                if error < F::zero() { -q } else { F::one() - q }
            }
            Self::LogCosh => error.tanh(),
            Self::Poisson => F::one() - y / (x + epsilon),
            Self::Hinge => match F::one() - x * y {
                left if left.is_nan() => left,
                left if left < F::zero() => F::zero(),
                _ => -y,
            },
            Self::SquaredHinge => -(y + y) * larger(F::one() - x * y, F::zero()),
            Self::BinaryFocal { gamma, alpha } => {
                let (p, rest) = (sigmoid(x), sigmoid(-x));
                let missed = missed(p, rest, y);
                let of_factor = focal_slope(gamma, missed, y) * p * rest;
                balance(alpha, y)
                    * (of_factor * Self::BinaryCrossEntropy.apply(x, y)
                        + power(missed, gamma) * (p - y))
            }
            Self::BinaryFocalOfProbability { gamma, alpha } => {
                let of = Self::BinaryCrossEntropyOfProbability;
                let missed = missed(x, F::one() - x, y);
                balance(alpha, y)
                    * (focal_slope(gamma, missed, y) * of.apply(x, y)
                        + power(missed, gamma) * of.slope(x, y))
            }
        }
    }
}

fn sigmoid<F: Real>(x: F) -> F {
    Activation::Sigmoid.apply(x)
}

/// 1 - p_t of a focal loss, for a probability p and 1 - p.
fn missed<F: Real>(p: F, rest: F, y: F) -> F {
    y * rest + (F::one() - y) * p
}

/// The weight of a class in a focal loss.
fn balance<F: Real>(alpha: Option<f32>, y: F) -> F {
    let weight = |alpha: F| y * alpha + (F::one() - y) * (F::one() - alpha);
    alpha.map_or(F::one(), |alpha| weight(F::of(alpha.into())))
}

/// The derivative of (1 - p_t)^gamma with respect to p.
fn focal_slope<F: Real>(gamma: f32, missed: F, y: F) -> F {
    if gamma == 0.0 {
        return F::zero();
    }
    F::of(gamma.into()) * power(missed, gamma - 1.0) * (F::one() - (y + y))
}
