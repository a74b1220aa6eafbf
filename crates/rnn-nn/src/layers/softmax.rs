use super::axes::{AxisArgument, AxisSet, Gathered};
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

/// The softmax, probabilities over an axis, by default the last: `[.., C]` -> `[.., C]`; over several
/// axes, c and k run through all indices along these. It is also an activation of [`Dense`](crate::Dense): `Dense::new(3, Softmax::new())`.
///
/// ```text
/// y_c = exp(x_c - max x) / sum over k of exp(x_k - max x)
/// ```
///
/// As in Keras (keras/src/layers/activations/softmax.py), an input with a mask of steps is refused. A cross-entropy behind a softmax over the last
/// axis is computed from x, not from y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    axes: AxisSet,
}

/// Keras's `Softmax` layer takes a mask of features, as which it takes one of steps, too.
pub(super) const NO_MASK: &str =
    "no mask of steps; the layer Activation(\"softmax\") passes one on";
const NO_AXIS: &str = "another axis";

impl Softmax {
    /// Creates a softmax over the last axis, as Keras does by default.
    pub fn new() -> Self {
        Self { axes: AxisSet::LAST }
    }

    /// Creates a softmax over the axis `axis`: 0 is the first after the batch, Keras's 1; -1 is the
    /// last, -2 the one before it. An axis that an input does not have is refused when a model adds
    /// the layer.
    pub fn axis(axis: isize) -> Self {
        Self::axes([axis])
    }

    /// Creates a softmax over several axes together, counted as in [`Self::axis`].
    pub fn axes(axes: impl IntoIterator<Item = isize>) -> Self {
        Self { axes: AxisSet::of(axes.into_iter().map(|axis| AxisArgument::of(axis).0)) }
    }

    /// Checks that an input of the layer `class` has the axis.
    ///
    /// # Errors
    /// Fails if it has not.
    pub(super) fn check(self, class: &'static str, input: &[usize]) -> Result<(), LayerError> {
        match self.axes.places(input.len()) {
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
        let x = Gathered::new(cx, "Softmax", x, self.axes)?;
        let shares = cx.graph.apply(ops::Softmax, &[x.tensor])?;
        x.back(cx, shares)
    }

    /// Adds the softmax of x, of the extents of the layer's output, to an ONNX graph.
    pub(super) fn apply_onnx(self, cx: &mut OnnxContext<'_>, x: &ValueName) -> ValueName {
        if let Some(axis) = self.axes.single() {
            return cx.node("Softmax", &[x], &[("axis", Int(axis as i64))]);
        }
        let dims = cx.output().to_vec();
        let places = self.axes.places(dims.len()).unwrap_or_default();
        let (moved, extents) = cx.axes_last(x, &dims, &places);
        let (rows, columns) = extents.split_at(dims.len() - places.len());
        let flat = cx.reshape(&moved, &[rows, &[columns.iter().product()]].concat());
        let shares = cx.node("Softmax", &[&flat], &[("axis", Int(-1))]);
        let shares = cx.reshape(&shares, &extents);
        cx.axes_back(&shares, dims.len(), &places)
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
        a.optional("axis", &mut self.axes)
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
        AxisSet::read(axis, dialect).map(|axes| Self { axes })
    }

    fn write(&self, reader: Reader) -> Option<serde_json::Value> {
        Some(match self.axes {
            AxisSet::LAST => json!("softmax"),
            axes => object("keras.layers", "Softmax", json!({"axis": axes.write(reader)})),
        })
    }
}
