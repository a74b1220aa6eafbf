use super::OutputActivation;
use crate::layer::{Arguments, ForwardContext, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops};

/// The softmax, probabilities over the last axis: `[.., C]` -> `[.., C]`. It is also an activation
/// of [`Dense`](crate::Dense): `Dense::new(3, Softmax)`.
///
/// ```text
/// y_c = exp(x_c - max x) / sum over k of exp(x_k - max x)
/// ```
///
/// Unlike Keras's layer (keras/src/layers/activations/softmax.py) it takes no other axis. As there,
/// an input with a mask of steps is refused. A cross-entropy behind the layer is computed from x,
/// not from y.
#[derive(Clone, Copy, Debug)]
pub struct Softmax;

/// Keras's `Softmax` layer takes a mask of features, as which it takes one of steps, too.
pub(super) const NO_MASK: &str =
    "no mask of steps; the layer Activation(\"softmax\") passes one on";

impl Layer for Softmax {
    fn class(&self) -> &'static str {
        "Softmax"
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
        if input.mask.is_some() {
            return Err(cx.misfit("Softmax", input.tensor, NO_MASK));
        }
        Ok(cx.graph.apply(ops::Softmax, &[input.tensor])?.into())
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![OutputActivation::Softmax.apply_onnx(cx, &x)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.fixed("axis", -1)
    }
}
