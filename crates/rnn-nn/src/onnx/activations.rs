//! Activations as ONNX's operators, one or a few of them; and those that its recurrent operators
//! know by name.

use super::OnnxContext;
use rnn_core::HostTensor;
use rnn_formats::onnx::Attribute::Float;
use rnn_formats::onnx::ValueName;
use rnn_ops::Activation;
use std::f32::consts::FRAC_1_SQRT_2;

impl OnnxContext<'_> {
    /// Adds `activation` of each element of x, and returns the result. For the linear activation no
    /// node is added, and x itself is returned.
    pub fn elementwise(&mut self, activation: Activation, x: &ValueName) -> ValueName {
        let line = |alpha| [("alpha", Float(alpha)), ("beta", Float(0.5))];
        match activation {
            Activation::Linear => x.clone(),
            Activation::Relu => self.node("Relu", &[x], &[]),
            Activation::Sigmoid => self.node("Sigmoid", &[x], &[]),
            Activation::Tanh => self.node("Tanh", &[x], &[]),
            Activation::HardSigmoid => self.node("HardSigmoid", &[x], &line(1.0 / 6.0)),
            Activation::HardSigmoid2018 => self.node("HardSigmoid", &[x], &line(0.2)),
            Activation::LeakyRelu => self.node("LeakyRelu", &[x], &[("alpha", Float(0.2))]),
            Activation::Relu6 => self.clip(x, 0.0, 6.0),
            Activation::HardTanh => self.clip(x, -1.0, 1.0),
            Activation::Softsign => self.node("Softsign", &[x], &[]),
            Activation::Exponential => self.node("Exp", &[x], &[]),
            Activation::Elu => self.node("Elu", &[x], &[]),
            Activation::Celu => self.node("Celu", &[x], &[]),
            Activation::Selu => self.node("Selu", &[x], &[]),
            Activation::Softplus => self.node("Softplus", &[x], &[]),
            Activation::HardSilu => self.node("HardSwish", &[x], &[]),
            Activation::Silu => {
                let share = self.node("Sigmoid", &[x], &[]);
                self.node("Mul", &[x, &share], &[])
            }
            Activation::Mish => {
                let soft = self.node("Softplus", &[x], &[]);
                let share = self.node("Tanh", &[&soft], &[]);
                self.node("Mul", &[x, &share], &[])
            }
            // x (1 + erf(x / sqrt 2)) / 2.
            Activation::Gelu => {
                let scaled = self.times(x, FRAC_1_SQRT_2);
                let erf = self.node("Erf", &[&scaled], &[]);
                let one = self.scalar(1.0);
                let sum = self.node("Add", &[&erf, &one], &[]);
                let share = self.times(&sum, 0.5);
                self.node("Mul", &[x, &share], &[])
            }
            // x sigmoid(x (a + b x^2)).
            Activation::GeluTanh => {
                let square = self.node("Mul", &[x, x], &[]);
                let cube = self.times(&square, 0.071_354_814);
                let slope = self.scalar(1.595_769);
                let sum = self.node("Add", &[&cube, &slope], &[]);
                let exponent = self.node("Mul", &[x, &sum], &[]);
                let share = self.node("Sigmoid", &[&exponent], &[]);
                self.node("Mul", &[x, &share], &[])
            }
        }
    }

    /// Adds x clamped to a range, and returns the result.
    pub fn clip(&mut self, x: &ValueName, low: f32, high: f32) -> ValueName {
        let [low, high] = [low, high].map(|limit| self.scalar(limit));
        self.node("Clip", &[x, &low, &high], &[])
    }

    /// Adds x times a number, and returns the result.
    pub fn times(&mut self, x: &ValueName, factor: f32) -> ValueName {
        let factor = self.scalar(factor);
        self.node("Mul", &[x, &factor], &[])
    }

    /// Adds a constant number without axes, and returns it.
    pub fn scalar(&mut self, value: f32) -> ValueName {
        self.graph.tensor("number", &HostTensor::scalar(value))
    }
}

/// The name of an activation among those of ONNX's recurrent operators, and its alpha and beta;
/// `None` if they do not have it.
pub(super) fn of_recurrence(
    activation: Activation,
) -> Option<(&'static str, Option<f32>, Option<f32>)> {
    let (name, alpha, beta) = match activation {
        Activation::Tanh => ("Tanh", None, None),
        Activation::Sigmoid => ("Sigmoid", None, None),
        Activation::Relu => ("Relu", None, None),
        Activation::Softsign => ("Softsign", None, None),
        Activation::Softplus => ("Softplus", None, None),
        Activation::Elu | Activation::Celu => ("Elu", Some(1.0), None),
        Activation::LeakyRelu => ("LeakyRelu", Some(0.2), None),
        Activation::Linear => ("Affine", Some(1.0), Some(0.0)),
        Activation::HardSigmoid => ("HardSigmoid", Some(1.0 / 6.0), Some(0.5)),
        Activation::HardSigmoid2018 => ("HardSigmoid", Some(0.2), Some(0.5)),
        _ => return None,
    };
    Some((name, alpha, beta))
}
