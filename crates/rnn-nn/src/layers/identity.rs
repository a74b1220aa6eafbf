use crate::layer::{Arguments, ForwardContext, Numbers, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::Penalty;

/// Returns its input: y = x (keras/src/layers/core/identity.py). A mask is passed on.
#[derive(Clone, Debug)]
pub struct Identity;

impl Layer for Identity {
    fn class(&self) -> &'static str {
        "Identity"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        _: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(input)
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![cx.node("Identity", &[&x], &[])])
    }

    fn arguments(&mut self, _: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Returns its input, and adds a penalty on it to the loss
/// (keras/src/layers/regularization/activity_regularization.py).
///
/// ```text
/// y = x,  loss += (l1 sum |x| + l2 sum x^2) / examples of the batch
/// ```
///
/// A mask is passed on; masked steps count in the sums too, as in Keras.
#[derive(Clone, Debug)]
pub struct ActivityRegularization {
    penalty: Penalty,
}

impl ActivityRegularization {
    /// Creates a layer that adds `penalty` on its input to the loss. A factor that is negative or
    /// not finite is refused when a model adds the layer.
    pub fn new(penalty: Penalty) -> Self {
        Self { penalty }
    }
}

impl Layer for ActivityRegularization {
    fn class(&self) -> &'static str {
        "ActivityRegularization"
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
        cx.regularize(input.tensor, Some(&self.penalty))?;
        Ok(input)
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![cx.node("Identity", &[&x], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.number("l1", &mut self.penalty.l1, Numbers::NotNegative)?;
        a.number("l2", &mut self.penalty.l2, Numbers::NotNegative)
    }
}
