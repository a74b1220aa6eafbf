use super::Softmax;
use crate::layer::{
    Argument, Arguments, Dialect, ForwardContext, Reader, Value, class_and_config, same_name,
};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::Attribute::Int;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Activate, Activation, Binary, Columns, LogSoftmax};
use serde_json::json;

/// The activation of a layer's output, y = activation(x); as a layer of its own it is Keras's
/// Activation (keras/src/layers/activations/activation.py). But for that of [`Self::Glu`], the
/// output has the shape of the input. A mask is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputActivation {
    /// The function [`Activation`], applied to each element.
    Elementwise(Activation),
    /// The softmax, with the equation of the layer [`Softmax`].
    Softmax(Softmax),
    /// The logarithm of the softmax over the last axis: y_c = x_c - log(sum over k of exp(x_k)).
    LogSoftmax,
    /// The gated linear unit (Dauphin et al., 2017): `[.., 2 C]` -> `[.., C]`, y_c = x_c
    /// sigmoid(x_(C + c)).
    Glu,
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
    fn from(softmax: Softmax) -> Self {
        Self::Softmax(softmax)
    }
}

impl OutputActivation {
    /// Adds the activation to an ONNX graph.
    pub(super) fn apply_onnx(self, cx: &mut OnnxContext<'_>, x: &ValueName) -> ValueName {
        match self {
            Self::Elementwise(activation) => cx.elementwise(activation, x),
            Self::Softmax(softmax) => softmax.apply_onnx(cx, x),
            Self::LogSoftmax => cx.node("LogSoftmax", &[x], &[("axis", Int(-1))]),
            Self::Glu => {
                let parts = cx.graph.node_with_outputs("Split", &[x], 2, &[("axis", Int(-1))]);
                let gate = cx.node("Sigmoid", &[&parts[1]], &[]);
                cx.node("Mul", &[&parts[0], &gate], &[])
            }
        }
    }

    /// Returns the shape of the output of the layer `class`, whose activation has an input of the
    /// shape `z`.
    ///
    /// # Errors
    /// Fails if the activation does not take that shape.
    pub(super) fn shape(
        self,
        class: &'static str,
        mut z: Vec<usize>,
    ) -> Result<Vec<usize>, LayerError> {
        match self {
            Self::Softmax(softmax) => softmax.check(class, &z)?,
            Self::Glu => match z.last_mut().filter(|features| features.is_multiple_of(2)) {
                Some(features) => *features /= 2,
                None => return Err(LayerError::new(class, "an even number of features", &z)),
            },
            Self::Elementwise(_) | Self::LogSoftmax => {}
        }
        Ok(z)
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
            Self::Softmax(softmax) => softmax.apply(cx, z),
            Self::LogSoftmax => cx.graph.apply(LogSoftmax, &[z]),
            Self::Glu => {
                let width = cx.graph.shape(z).last() / 2;
                let value = cx.graph.apply(Columns { start: 0, width }, &[z])?;
                let gate = cx.graph.apply(Columns { start: width, width }, &[z])?;
                let gate = cx.graph.apply(Activate(Activation::Sigmoid), &[gate])?;
                cx.graph.apply(Binary::Mul, &[value, gate])
            }
        }
    }
}

impl Layer for OutputActivation {
    fn class(&self) -> &'static str {
        "Activation"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.shape("Activation", input.to_vec())
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
        format!("{}, softmax, log_softmax, glu", Activation::supported())
    }

    fn read(value: &serde_json::Value, dialect: Dialect) -> Option<Self> {
        let named = |name| class_and_config(value).is_some_and(|(class, _)| same_name(class, name));
        match () {
            () if named("softmax") => Softmax::read(value, dialect).map(Self::from),
            () if named("log_softmax") => Some(Self::LogSoftmax),
            () if named("glu") => Some(Self::Glu),
            () => Activation::read(value, dialect).map(Self::from),
        }
    }

    fn write(&self, reader: Reader) -> Option<serde_json::Value> {
        match self {
            Self::Elementwise(activation) => activation.write(reader),
            Self::Softmax(softmax) => softmax.write(reader),
            Self::LogSoftmax => Some(json!("log_softmax")),
            Self::Glu => Some(json!("glu")),
        }
    }
}
