use super::Softmax;
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, Reader, Value, class_and_config};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::Attribute::Int;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops, Activate, Activation};
use serde_json::json;

/// The activation of a layer's output, y = activation(x); as a layer of its own it is Keras's
/// Activation (keras/src/layers/activations/activation.py). The output has the shape of the input.
/// A mask is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputActivation {
    /// The function [`Activation`], applied to each element.
    Elementwise(Activation),
    /// The softmax over the last axis, with the equation of the layer [`Softmax`].
    Softmax,
}

impl Default for OutputActivation {
    fn default() -> Self {
        Activation::Linear.into()
    }
}

impl From<Activation> for OutputActivation {
    fn from(activation: Activation) -> Self {
        Self::Elementwise(activation)
    }
}

impl From<Softmax> for OutputActivation {
    fn from(_: Softmax) -> Self {
        Self::Softmax
    }
}

impl OutputActivation {
    /// Adds the activation to an ONNX graph.
    pub(super) fn apply_onnx(self, cx: &mut OnnxContext<'_>, x: &ValueName) -> ValueName {
        match self {
            Self::Softmax => cx.node("Softmax", &[x], &[("axis", Int(-1))]),
            Self::Elementwise(activation) => cx.elementwise(activation, x),
        }
    }

    /// Adds the activation as an op of its own, so that a loss can take its input.
    pub(super) fn apply(
        self,
        cx: &mut ForwardContext<'_>,
        z: TensorId,
    ) -> Result<TensorId, GraphError> {
        match self {
            Self::Elementwise(Activation::Linear) => Ok(z),
            Self::Elementwise(activation) => cx.graph.apply(Activate(activation), &[z]),
            Self::Softmax => cx.graph.apply(ops::Softmax, &[z]),
        }
    }
}

impl Layer for OutputActivation {
    fn class(&self) -> &'static str {
        "Activation"
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
        Ok(Value { tensor: self.apply(cx, input.tensor)?, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![self.apply_onnx(cx, &x)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("activation", self)
    }
}

impl Argument for OutputActivation {
    fn supported() -> String {
        format!("{}, softmax", Activation::supported())
    }

    fn read(value: &serde_json::Value, dialect: Dialect) -> Option<Self> {
        match class_and_config(value) {
            Some(("softmax", _)) => Some(Softmax.into()),
            _ => Activation::read(value, dialect).map(Self::from),
        }
    }

    fn write(&self, reader: Reader) -> Option<serde_json::Value> {
        match self {
            Self::Softmax => Some(json!("softmax")),
            Self::Elementwise(activation) => activation.write(reader),
        }
    }
}
