use crate::layer::{Arguments, ForwardContext, MaskFlow, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_core::HostTensor;
use rnn_formats::onnx::{
    Attribute::{Int, Ints},
    ValueName,
};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{MaskItems, StepMask};

/// Masks the steps whose features all equal a value, and sets them to zero: `[T, F]` -> `[T, F]`
/// (keras/src/layers/core/masking.py).
///
/// ```text
/// mask(t) = any over f of x(t, f) != value,  y(t, f) = x(t, f) mask(t)
/// ```
///
/// The layers that follow pass the mask on until one whose output is no sequence. Recurrent layers
/// keep their state at masked steps, and [`GlobalAveragePooling1D`](crate::GlobalAveragePooling1D)
/// leaves them out of the mean.
#[derive(Clone, Debug)]
pub struct Masking {
    value: f32,
}

impl Masking {
    /// Creates a layer that masks the steps whose features all equal `value`; Keras's default is 0.
    pub fn new(value: f32) -> Self {
        Self { value }
    }
}

impl Layer for Masking {
    fn class(&self) -> &'static str {
        "Masking"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input {
            [_, _] => Ok(input.to_vec()),
            _ => Err(LayerError::new("Masking", "a sequence [T, F]", input)),
        }
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let mask = cx.graph.apply(StepMask { padding: self.value }, &[input.tensor])?;
        let tensor = cx.graph.apply(MaskItems, &[input.tensor, mask])?;
        Ok(Value { tensor, mask: Some(mask) })
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Steps(self.value)
    }

    /// Steps of which every feature is the mask's value become zeros.
    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let value = cx.graph.tensor("mask_value", &HostTensor::scalar(self.value));
        let x = cx.x()?;
        let equal = cx.node("Equal", &[&x, &value], &[]);
        let differs = cx.node("Not", &[&equal], &[]);
        let differs = cx.node("Cast", &[&differs], &[("to", Int(1))]);
        let last = [("axes", Ints(vec![-1])), ("keepdims", Int(1))];
        let kept = cx.node("ReduceMax", &[&differs], &last);
        Ok(vec![cx.node("Mul", &[&x, &kept], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("mask_value", &mut self.value)
    }
}
