use super::axes::{AxisSet, Gathered, NO_AXES};
use crate::layer::{Arguments, ForwardContext, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::Attribute::Ints;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, InverseRoot, Scale, SumRows, TransposeLeading};

/// Divides by the Euclidean norm over an axis or several, by default the last
/// (keras/src/layers/normalization/unit_normalization.py). The output has the shape of the input.
///
/// ```text
/// y = x / sqrt(sum over the axes of x^2 + 1e-24)
/// ```
///
/// Keras takes the larger of the norm and 1e-12 instead of the sum, which differs for norms near
/// 1e-12 alone. Where all of x is 0, the gradient is finite, unlike Keras's on TensorFlow. A mask is
/// passed on.
#[derive(Clone, Debug)]
pub struct UnitNormalization {
    axes: AxisSet,
}

/// The square of the norm that counts as none.
const EPSILON: f32 = 1e-24;

impl UnitNormalization {
    /// Creates a layer that makes the norm over the last axis 1.
    pub fn new() -> Self {
        Self { axes: AxisSet::LAST }
    }

    /// Sets the axes that the norm is over, with the batch as axis 0, which is not among them; -1 is
    /// the last. The default is the last axis. Axes that an input does not have are refused when a
    /// model adds the layer.
    pub fn axes(mut self, axes: impl Into<Vec<isize>>) -> Self {
        self.axes = AxisSet::of(axes.into());
        self
    }
}

impl Default for UnitNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for UnitNormalization {
    fn class(&self) -> &'static str {
        "UnitNormalization"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let places = self.axes.places(input.len());
        let places = places.ok_or_else(|| LayerError::new(self.class(), NO_AXES, input));
        places.map(|_| input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let x = Gathered::new(cx, self.class(), input.tensor, self.axes)?;
        let scaled = divided(cx, x.tensor, Measure::Squares, EPSILON)?;
        Ok(Value { tensor: x.back(cx, scaled)?, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let axes = self.axes.iter().map(|axis| axis as i64).collect();
        let norm = cx.node("ReduceL2", &[&x], &[("axes", Ints(axes))]);
        let least = cx.scalar(EPSILON.sqrt());
        let norm = cx.node("Max", &[&norm, &least], &[]);
        Ok(vec![cx.node("Div", &[&x, &norm], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("axis", &mut self.axes)
    }
}

/// What a row is divided by the root of.
pub(super) enum Measure {
    /// The sum of the squares of its elements.
    Squares,
    /// Their biased variance.
    Variance,
}

/// Adds x / sqrt(m + epsilon) to the graph, m being the measure of each row of x, `[.., F]`.
pub(super) fn divided(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    measure: Measure,
    epsilon: f32,
) -> Result<TensorId, GraphError> {
    let shape = cx.graph.shape(x).clone();
    let (rows, width) = (shape.rows(), shape.last());
    // Elementwise ops repeat along leading axes, along which sums are, too.
    let columns = cx.graph.reshape(x, [rows, width, 1])?;
    let columns = cx.graph.apply(TransposeLeading, &[columns])?;
    let columns = cx.graph.reshape(columns, [width, rows])?;
    let mean = Scale(1.0 / width as f32);
    let deviations = match measure {
        Measure::Squares => columns,
        Measure::Variance => {
            let sum = cx.graph.apply(SumRows, &[columns])?;
            let center = cx.graph.apply(mean.clone(), &[sum])?;
            cx.graph.apply(Binary::Sub, &[columns, center])?
        }
    };
    let squares = cx.graph.apply(Binary::Mul, &[deviations, deviations])?;
    let mut sum = cx.graph.apply(SumRows, &[squares])?;
    if matches!(measure, Measure::Variance) {
        sum = cx.graph.apply(mean, &[sum])?;
    }
    let factor = cx.graph.apply(InverseRoot { epsilon }, &[sum])?;
    let scaled = cx.graph.apply(Binary::Mul, &[columns, factor])?;
    let scaled = cx.graph.reshape(scaled, [width, rows, 1])?;
    let scaled = cx.graph.apply(TransposeLeading, &[scaled])?;
    cx.graph.reshape(scaled, shape)
}
