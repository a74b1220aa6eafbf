use super::axes::{AxisArgument, place};
use super::permute::permuted;
use crate::layer::{
    Argument, Arguments, Dialect, ForwardContext, Reader, Value, class_and_config, object,
};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::Attribute::Int;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops};
use serde_json::json;

/// The softmax, probabilities over an axis, by default the last: `[.., C]` -> `[.., C]`. It is also
/// an activation of [`Dense`](crate::Dense): `Dense::new(3, Softmax::new())`.
///
/// ```text
/// y_c = exp(x_c - max x) / sum over k of exp(x_k - max x)
/// ```
///
/// Unlike Keras's layer (keras/src/layers/activations/softmax.py) it takes no list of axes. As
/// there, an input with a mask of steps is refused. A cross-entropy behind a softmax over the last
/// axis is computed from x, not from y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// From the last, if negative; the batch does not count.
    axis: isize,
}

/// Keras's `Softmax` layer takes a mask of features, as which it takes one of steps, too.
pub(super) const NO_MASK: &str =
    "no mask of steps; the layer Activation(\"softmax\") passes one on";
const NO_AXIS: &str = "another axis";

impl Softmax {
    /// Creates a softmax over the last axis, as Keras does by default.
    pub fn new() -> Self {
        Self { axis: -1 }
    }

    /// Creates a softmax over the axis `axis`: 0 is the first after the batch, Keras's 1; -1 is the
    /// last, -2 the one before it. An axis that an input does not have is refused when a model adds
    /// the layer.
    pub fn axis(axis: isize) -> Self {
        Self { axis }
    }

    /// Checks that an input of the layer `class` has the axis.
    ///
    /// # Errors
    /// Fails if it has not.
    pub(super) fn check(self, class: &'static str, input: &[usize]) -> Result<(), LayerError> {
        match place(self.axis, input.len()) {
            Some(_) => Ok(()),
            None => Err(LayerError::new(class, NO_AXIS, input)),
        }
    }

    /// Adds the softmax of x to the graph, and returns it. A softmax over the last axis is its last
    /// op, so that a loss can take its input.
    ///
    /// # Errors
    /// Fails if x lacks the axis.
    pub(super) fn apply(
        self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
    ) -> Result<TensorId, GraphError> {
        let rank = cx.graph.shape(x).rank();
        let misfit = || cx.misfit("Softmax", x, NO_AXIS);
        let place = place(self.axis, rank.saturating_sub(1)).ok_or_else(misfit)?;
        if place + 2 == rank {
            return cx.graph.apply(ops::Softmax, &[x]);
        }
        // Of two axes and more the first stands in front of the batch.
        let axis = if place == 0 { 0 } else { place + 1 };
        let order: Vec<usize> = (0..rank).filter(|&other| other != axis).chain([axis]).collect();
        let back: Vec<usize> = (0..rank)
            .map(|axis| order.iter().take_while(|&&other| other != axis).count())
            .collect();
        let last = permuted(cx, x, &order)?;
        let shares = cx.graph.apply(ops::Softmax, &[last])?;
        permuted(cx, shares, &back)
    }

    /// Adds the softmax to an ONNX graph.
    pub(super) fn apply_onnx(self, cx: &mut OnnxContext<'_>, x: &ValueName) -> ValueName {
        cx.node("Softmax", &[x], &[("axis", Int(AxisArgument::of(self.axis).0 as i64))])
    }
}

impl Default for Softmax {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for Softmax {
    fn class(&self) -> &'static str {
        "Softmax"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.check("Softmax", input)?;
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
        Ok(self.apply(cx, input.tensor)?.into())
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![self.apply_onnx(cx, &x)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        AxisArgument::visit(a, &mut self.axis)
    }
}

/// The softmax as an activation: its name; or, over another axis, the layer.
impl Argument for Softmax {
    fn supported() -> String {
        "softmax".into()
    }

    fn read(value: &serde_json::Value, dialect: Dialect) -> Option<Self> {
        let (_, config) = class_and_config(value)?;
        let Some(axis) = config.get("axis") else { return Some(Self::new()) };
        Some(Self { axis: AxisArgument(isize::read(axis, dialect)?).place()? })
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(match AxisArgument::of(self.axis).0 {
            -1 => json!("softmax"),
            axis => object("keras.layers", "Softmax", json!({"axis": axis})),
        })
    }
}
