use crate::layer::{Arguments, ForwardContext, Numbers, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::Binary;

/// Sets a fraction of the elements to zero during training and scales the others up
/// (keras/src/layers/regularization/dropout.py). The output has the shape of the input.
///
/// ```text
/// y = x m / (1 - rate),  m = 0 with probability rate, else 1     during training
/// y = x                                                          otherwise
/// ```
///
/// Unlike in Keras, m is a function of the seed, the step, the layer and the element, the same in
/// every run and on every device; a rate of 1 is refused; there is no `noise_shape`. A mask is
/// passed on.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f32,
}

impl Dropout {
    /// Creates a layer that drops the fraction `rate` of the elements, at least 0 and below 1;
    /// another rate is refused when a model adds the layer.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }
}

impl Layer for Dropout {
    fn class(&self) -> &'static str {
        "Dropout"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(Value { tensor: cx.drop(self.rate, input.tensor)?, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![cx.node("Identity", &[&x], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("rate", &mut self.rate)?;
        a.number("rate", &mut self.rate, Numbers::Rate)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}

/// Drops whole features of a sequence, the same at all steps: `[T, F]` -> `[T, F]`
/// (keras/src/layers/regularization/spatial_dropout.py).
///
/// ```text
/// y(t, f) = x(t, f) m(f) / (1 - rate)                            during training
/// ```
///
/// y = x otherwise. m is drawn as in [`Dropout`], for each feature of each example. A mask is
/// passed on.
#[derive(Clone, Debug)]
pub struct SpatialDropout1D {
    rate: f32,
}

impl SpatialDropout1D {
    /// Creates a layer that drops the fraction `rate` of the features, at least 0 and below 1;
    /// another rate is refused when a model adds the layer.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }
}

impl Layer for SpatialDropout1D {
    fn class(&self) -> &'static str {
        "SpatialDropout1D"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input {
            [_, _] => Ok(input.to_vec()),
            _ => Err(LayerError::new("SpatialDropout1D", "a sequence [T, F]", input)),
        }
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let step = cx.graph.shape(input.tensor).dims()[1..].to_vec();
        match cx.drop_factors(self.rate, step)? {
            None => Ok(input),
            Some(factors) => {
                let tensor = cx.graph.apply(Binary::Mul, &[input.tensor, factors])?;
                Ok(Value { tensor, ..input })
            }
        }
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![cx.node("Identity", &[&x], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("rate", &mut self.rate)?;
        a.number("rate", &mut self.rate, Numbers::Rate)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}
