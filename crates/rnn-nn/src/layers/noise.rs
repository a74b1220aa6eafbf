//! Layers that add or multiply random numbers in training, and pass their input on otherwise.

use super::dropout::{NoiseShape, below_one};
use crate::layer::{Arguments, ForwardContext, Numbers, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Fill, Scale};

/// Adds normally distributed numbers to each element during training
/// (keras/src/layers/regularization/gaussian_noise.py). The output has the shape of the input.
///
/// ```text
/// y = x + stddev n,  n of mean 0 and variance 1                  during training
/// y = x                                                          otherwise
/// ```
///
/// n is a function of the seed, the step, the layer and the element, as what
/// [`Dropout`](crate::Dropout) drops is. A mask is passed on.
#[derive(Clone, Debug)]
pub struct GaussianNoise {
    stddev: f32,
}

impl GaussianNoise {
    /// Creates a layer that adds numbers of the standard deviation `stddev`, at least 0. Another
    /// number is refused when a model adds the layer. Keras 3 takes numbers up to 1 alone.
    pub fn new(stddev: f32) -> Self {
        Self { stddev }
    }
}

/// Multiplies each element by a normally distributed number of mean 1 during training
/// (keras/src/layers/regularization/gaussian_dropout.py). The output has the shape of the input.
///
/// ```text
/// y = x (1 + sqrt(rate / (1 - rate)) n),  n of mean 0 and variance 1     during training
/// y = x                                                                  otherwise
/// ```
///
/// The variance of the factor is that of [`Dropout`](crate::Dropout) at this rate, and n is drawn
/// as in [`GaussianNoise`]. A training at a rate of 1 fails, as in Keras. A mask is passed on.
#[derive(Clone, Debug)]
pub struct GaussianDropout {
    rate: f32,
}

impl GaussianDropout {
    /// Creates a layer of the rate `rate`, from 0 to 1; another rate is refused when a model adds
    /// the layer.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }
}

/// Sets a fraction of the elements to the value at which SELU saturates, and scales and shifts all
/// so that mean 0 and variance 1 are kept, during training
/// (keras/src/layers/regularization/alpha_dropout.py). The output has the shape of the input.
///
/// ```text
/// y = a (x m + s (1 - m)) + b,  m = 0 with probability rate, else 1      during training
/// y = x                                                                  otherwise
/// s = -1.7580993..,  a = 1 / sqrt((1 - rate) (1 + rate s^2)),  b = -a s rate
/// ```
///
/// m is drawn as in [`Dropout`](crate::Dropout). A training at a rate of 1 fails; Keras's numbers
/// are infinite there. A mask is passed on.
#[derive(Clone, Debug)]
pub struct AlphaDropout {
    rate: f32,
    noise_shape: Option<NoiseShape>,
}

/// -alpha scale of SELU.
const SATURATION: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;

impl AlphaDropout {
    /// Creates a layer that drops the fraction `rate` of the elements, from 0 to 1; another rate is
    /// refused when a model adds the layer.
    pub fn new(rate: f32) -> Self {
        Self { rate, noise_shape: None }
    }

    /// Sets the shape of m, as [`Dropout::noise_shape`](crate::Dropout::noise_shape) does.
    pub fn noise_shape(mut self, shape: impl Into<Vec<Option<usize>>>) -> Self {
        self.noise_shape = Some(NoiseShape(shape.into()));
        self
    }
}

macro_rules! identity_at_inference {
    () => {
        fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
            Ok(input.to_vec())
        }

        fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
            let x = cx.x()?;
            Ok(vec![cx.node("Identity", &[&x], &[])])
        }
    };
}

impl Layer for GaussianNoise {
    fn class(&self) -> &'static str {
        "GaussianNoise"
    }

    identity_at_inference!();

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(Value { tensor: cx.noise(self.stddev, false, input.tensor)?, ..input })
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("stddev", &mut self.stddev)?;
        a.number("stddev", &mut self.stddev, Numbers::NotNegative)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}

impl Layer for GaussianDropout {
    fn class(&self) -> &'static str {
        "GaussianDropout"
    }

    identity_at_inference!();

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        below_one(cx, self.class(), self.rate, input.tensor)?;
        let deviation = (self.rate / (1.0 - self.rate)).sqrt();
        Ok(Value { tensor: cx.noise(deviation, true, input.tensor)?, ..input })
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("rate", &mut self.rate)?;
        a.number("rate", &mut self.rate, Numbers::Fraction)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}

impl Layer for AlphaDropout {
    fn class(&self) -> &'static str {
        "AlphaDropout"
    }

    identity_at_inference!();

    /// With the factors f = m / (1 - rate): y = x g + (a s + b - s g), where g = a (1 - rate) f.
    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let x = input.tensor;
        let whole = vec![None; cx.graph.shape(x).rank()];
        let shape = self.noise_shape.clone().unwrap_or(NoiseShape(whole));
        let Some(factors) = shape.factors(cx, self.class(), self.rate, x)? else {
            return Ok(input);
        };
        let rate = f64::from(self.rate);
        let a = 1.0 / ((1.0 - rate) * (1.0 + rate * SATURATION * SATURATION)).sqrt();
        let constant = a * SATURATION * (1.0 - rate);
        let gains = cx.graph.apply(Scale((a * (1.0 - rate)) as f32), &[factors])?;
        let shape = cx.graph.shape(gains).clone();
        let constant = cx.graph.apply(Fill { shape, value: constant as f32 }, &[])?;
        let fall = cx.graph.apply(Scale(SATURATION as f32), &[gains])?;
        let shifts = cx.graph.apply(Binary::Sub, &[constant, fall])?;
        let scaled = cx.graph.apply(Binary::Mul, &[x, gains])?;
        Ok(Value { tensor: cx.graph.apply(Binary::Add, &[scaled, shifts])?, ..input })
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("rate", &mut self.rate)?;
        a.number("rate", &mut self.rate, Numbers::Fraction)?;
        a.optional("noise_shape", &mut self.noise_shape)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}
