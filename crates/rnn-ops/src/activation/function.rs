use super::normal::{normal_density, normal_distribution};
use crate::common::{clip, larger};
use rnn_graph::Real;

/// 2 sqrt(2 / pi), of which [`Activation::GeluTanh`] is made.
const GELU_SLOPE: f64 = 1.595_769_121_605_730_7;
/// The factor of x^3 in [`Activation::GeluTanh`].
const GELU_CUBE: f64 = 0.044715;
/// Scale of [`Activation::Selu`].
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// Scale of [`Activation::Selu`] below 0: that above times alpha = 1.6732632423543772.
const SELU_BELOW: f64 = 1.758_099_340_847_376_6;

/// An elementwise activation function, with Keras's names and the defaults of its arguments
/// (keras/src/activations/activations.py).
///
/// The gradient of all but a few is computed from the function's value. [`Self::keeps_input`] tells
/// those of which two x with one value have different slopes; for them x is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// The identity: x.
    #[default]
    Linear,
    /// Rectified linear unit: max(x, 0).
    Relu,
    /// Logistic function: 1 / (1 + e^-x).
    Sigmoid,
    /// Hyperbolic tangent: tanh x.
    Tanh,
    /// Keras 3's piecewise linear sigmoid: clip(x / 6 + 0.5, 0, 1).
    HardSigmoid,
    /// The piecewise linear sigmoid of Keras up to 2.15: clip(0.2 x + 0.5, 0, 1).
    HardSigmoid2018,
    /// Rectified linear unit that leaks: x where x > 0, else 0.2 x.
    LeakyRelu,
    /// Rectified linear unit of at most 6: clip(x, 0, 6).
    Relu6,
    /// Piecewise linear tanh: clip(x, -1, 1).
    HardTanh,
    /// x / (1 + |x|).
    Softsign,
    /// e^x, which is infinite from 88.73 on.
    Exponential,
    /// Exponential linear unit (Clevert et al., 2016): x where x > 0, else e^x - 1.
    Elu,
    /// Continuously differentiable exponential linear unit (Barron, 2017) of alpha = 1, thus the
    /// function of [`Self::Elu`].
    Celu,
    /// Scaled exponential linear unit (Klambauer et al., 2017): s x where x > 0, else s a (e^x -
    /// 1), with s = 1.05070099 and a = 1.67326324.
    Selu,
    /// log(1 + e^x).
    Softplus,
    /// Sigmoid linear unit, or swish (Ramachandran et al., 2017): x / (1 + e^-x).
    Silu,
    /// Piecewise polynomial silu (Howard et al., 2019): x clip(x / 6 + 0.5, 0, 1).
    HardSilu,
    /// x tanh(log(1 + e^x)) (Misra, 2019).
    Mish,
    /// Gaussian error linear unit (Hendrycks and Gimpel, 2016): x Phi(x), where Phi is the normal
    /// distribution, (1 + erf(x / sqrt 2)) / 2.
    Gelu,
    /// Approximation of [`Self::Gelu`], Keras's `approximate=True`: x (1 + tanh(sqrt(2 / pi) (x +
    /// 0.044715 x^3))) / 2.
    GeluTanh,
}

impl Activation {
    /// All activation functions, in the order of their codes ([`Self::code`]).
    pub const ALL: [Self; 20] = [
        Self::Linear,
        Self::Relu,
        Self::Sigmoid,
        Self::Tanh,
        Self::HardSigmoid,
        Self::HardSigmoid2018,
        Self::LeakyRelu,
        Self::Relu6,
        Self::HardTanh,
        Self::Softsign,
        Self::Exponential,
        Self::Elu,
        Self::Celu,
        Self::Selu,
        Self::Softplus,
        Self::Silu,
        Self::HardSilu,
        Self::Mish,
        Self::Gelu,
        Self::GeluTanh,
    ];

    /// Returns the name in model files and tables: Keras's name, except for `hard_sigmoid_2018` and
    /// `gelu_tanh`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::HardSigmoid => "hard_sigmoid",
            Self::HardSigmoid2018 => "hard_sigmoid_2018",
            Self::LeakyRelu => "leaky_relu",
            Self::Relu6 => "relu6",
            Self::HardTanh => "hard_tanh",
            Self::Softsign => "softsign",
            Self::Exponential => "exponential",
            Self::Elu => "elu",
            Self::Celu => "celu",
            Self::Selu => "selu",
            Self::Softplus => "softplus",
            Self::Silu => "silu",
            Self::HardSilu => "hard_silu",
            Self::Mish => "mish",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
        }
    }

    /// Returns the value of the WGSL constant `ACTIVATION` that selects the function; see
    /// `shaders/shared/activations.wgsl`.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// Returns true if x is kept for the gradient, because the function's value does not determine
    /// its slope; false if the value is kept.
    pub fn keeps_input(self) -> bool {
        self.code() >= Self::Silu.code()
    }

    /// Returns what is kept for the gradient, of x and the function's value y at x.
    pub fn kept<T>(self, x: T, y: T) -> T {
        if self.keeps_input() { x } else { y }
    }

    /// Returns the function's value from what is kept for the gradient.
    pub fn recall<F: Real>(self, kept: F) -> F {
        if self.keeps_input() { self.apply(kept) } else { kept }
    }

    /// Returns the function's value at `x`, by the formula of its variant; NaN stays NaN.
    pub fn apply<F: Real>(self, x: F) -> F {
        let (zero, one) = (F::zero(), F::one());
        let sigmoid = |x: F| one / (one + (-x).exp());
        let softplus = |x: F| larger(x, zero) + (-x.abs()).exp().ln_1p();
        match self {
            Self::Linear => x,
            Self::Relu => larger(x, zero),
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::HardSigmoid => clip(x / F::of(6.0) + F::of(0.5), zero, one),
            Self::HardSigmoid2018 => clip(F::of(0.2) * x + F::of(0.5), zero, one),
            Self::LeakyRelu if x > zero => x,
            Self::LeakyRelu => F::of(0.2) * x,
            Self::Relu6 => clip(x, zero, F::of(6.0)),
            Self::HardTanh => clip(x, -one, one),
            Self::Softsign => x / (one + x.abs()),
            Self::Exponential => x.exp(),
            Self::Elu | Self::Celu if x > zero => x,
            Self::Elu | Self::Celu => x.exp_m1(),
            Self::Selu if x > zero => F::of(SELU_SCALE) * x,
            Self::Selu => F::of(SELU_BELOW) * x.exp_m1(),
            Self::Softplus => softplus(x),
            Self::Silu => x * sigmoid(x),
            Self::HardSilu => x * clip(x / F::of(6.0) + F::of(0.5), zero, one),
            Self::Mish => x * softplus(x).tanh(),
            Self::Gelu => x * normal_distribution(x),
            Self::GeluTanh => x * sigmoid(gelu_exponent(x)),
        }
    }

    /// Returns the derivative of the function from what is kept for the gradient: from the
    /// function's value y, or from x. At the kinks of the functions with piecewise polynomials it is
    /// that of TensorFlow: 0 next to a constant piece, and that of the piece below next to others.
    pub fn slope<F: Real>(self, kept: F) -> F {
        let (zero, one) = (F::zero(), F::one());
        let (x, y) = (kept, kept);
        let within = |low: f64, high: f64, slope: f64| {
            if y > F::of(low) && y < F::of(high) { F::of(slope) } else { zero }
        };
        let sigmoid = |x: F| Self::Sigmoid.apply(x);
        match self {
            Self::Linear => one,
            Self::Relu if y > zero => one,
            Self::Relu => zero,
            Self::Sigmoid => y * (one - y),
            Self::Tanh => one - y * y,
            Self::HardSigmoid => within(0.0, 1.0, 1.0 / 6.0),
            Self::HardSigmoid2018 => within(0.0, 1.0, 0.2),
            Self::LeakyRelu if y > zero => one,
            Self::LeakyRelu => F::of(0.2),
            Self::Relu6 => within(0.0, 6.0, 1.0),
            Self::HardTanh => within(-1.0, 1.0, 1.0),
            Self::Softsign => (one - y.abs()).powi(2),
            Self::Exponential => y,
            Self::Elu | Self::Celu if y < zero => y + one,
            Self::Elu | Self::Celu => one,
            Self::Selu if y < zero => y + F::of(SELU_BELOW),
            Self::Selu => F::of(SELU_SCALE),
            Self::Softplus => -(-y).exp_m1(),
            Self::Silu => {
                let share = sigmoid(x);
                share * (one + x * (one - share))
            }
            Self::HardSilu if x <= F::of(-3.0) => zero,
            Self::HardSilu if x >= F::of(3.0) => one,
            Self::HardSilu => x / F::of(3.0) + F::of(0.5),
            Self::Mish => {
                let share = Self::Softplus.apply(x).tanh();
                share + x * (one - share * share) * sigmoid(x)
            }
            Self::Gelu => normal_distribution(x) + x * normal_density(x),
            Self::GeluTanh => {
                let share = sigmoid(gelu_exponent(x));
                let rest = share * (one - share);
                // Where that is 0, x may be infinite.
                if rest == zero {
                    return share;
                }
                let slope = F::of(GELU_SLOPE) * (one + F::of(3.0 * GELU_CUBE) * x * x);
                share + x * rest * slope
            }
        }
    }
}

/// Returns 2 sqrt(2 / pi) (x + 0.044715 x^3), whose sigmoid is the share of x in
/// [`Activation::GeluTanh`]: (1 + tanh(z)) / 2 = sigmoid(2 z).
fn gelu_exponent<F: Real>(x: F) -> F {
    F::of(GELU_SLOPE) * (x + F::of(GELU_CUBE) * x * x * x)
}
