use super::array::{Array, repeated};
use super::axes::sample;
use crate::layer::{Arguments, ForwardContext, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Scale};

/// Multiplies the input by a number and adds another (keras/src/layers/preprocessing/rescaling.py).
/// The output has the shape of the input.
///
/// ```text
/// y = x scale + offset
/// ```
///
/// Both may be lists with a number for each of the last axis, or arrays whose axes are those of the
/// last axes of the input, or 1. A mask is passed on.
#[derive(Clone, Debug)]
pub struct Rescaling {
    scale: Array,
    offset: Array,
}

const EXPECTED: &str = "inputs to whose last axes its scale and offset can be repeated";

/// A number for all elements, or one for each of the last axis.
pub trait PerFeature {
    /// Returns the numbers, and true if there is one for each feature.
    fn per_feature(self) -> (Vec<f32>, bool);
}

impl PerFeature for f32 {
    fn per_feature(self) -> (Vec<f32>, bool) {
        (vec![self], false)
    }
}

impl PerFeature for Vec<f32> {
    fn per_feature(self) -> (Vec<f32>, bool) {
        (self, true)
    }
}

impl<const N: usize> PerFeature for [f32; N] {
    fn per_feature(self) -> (Vec<f32>, bool) {
        (self.to_vec(), true)
    }
}

/// The array of a number, or of one for each feature.
pub(super) fn array(numbers: impl PerFeature) -> Array {
    match numbers.per_feature() {
        (values, true) => Array::list(values),
        (values, false) => Array { shape: vec![], values },
    }
}

impl Rescaling {
    /// Creates a layer that multiplies by `scale` and adds `offset`. Numbers that are not finite are
    /// refused when a model adds the layer; lists of another length than the last axis when it is
    /// called.
    pub fn new(scale: impl PerFeature, offset: impl PerFeature) -> Self {
        Self { scale: array(scale), offset: array(offset) }
    }
}

impl Layer for Rescaling {
    fn class(&self) -> &'static str {
        "Rescaling"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let fits = [&self.scale, &self.offset].iter().all(|array| array.beside(input).is_some());
        let input = fits.then(|| input.to_vec()).ok_or(input);
        input.map_err(|input| LayerError::new("Rescaling", EXPECTED, input))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let x = input.tensor;
        let scaled = match self.scale.values[..] {
            [factor] => cx.graph.apply(Scale(factor), &[x])?,
            _ => with(cx, Binary::Mul, x, &self.scale)?,
        };
        let tensor = match self.offset.values[..] {
            [0.0] => scaled,
            _ => with(cx, Binary::Add, scaled, &self.offset)?,
        };
        Ok(Value { tensor, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let mut constant = |name: &str, array: &Array| {
            let values = cx.tensor(array.shape.clone(), array.values.clone())?;
            Ok::<_, ExportError>(cx.graph.tensor(name, &values))
        };
        let (scale, offset) = (constant("scale", &self.scale)?, constant("offset", &self.offset)?);
        let scaled = cx.node("Mul", &[&x, &scale], &[]);
        Ok(vec![cx.node("Add", &[&scaled, &offset], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("scale", &mut self.scale)?;
        a.optional("offset", &mut self.offset)
    }
}

/// An elementwise op of x and an array that is repeated to its shape.
fn with(
    cx: &mut ForwardContext<'_>,
    op: Binary,
    x: TensorId,
    array: &Array,
) -> Result<TensorId, GraphError> {
    let example = sample(cx, x);
    let misfit = || cx.misfit("Rescaling", x, EXPECTED);
    let given = array.beside(&example).ok_or_else(misfit)?;
    let constant = array.constant(cx)?;
    let constant = repeated(cx, constant, &given, x)?;
    cx.graph.apply(op, &[x, constant])
}
