//! Arguments that are arrays of numbers, which elementwise ops repeat along missing axes.

use super::axes::{sample, spread};
use crate::layer::{Argument, Dialect, ForwardContext, Reader};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Concat, Fill};
use serde_json::{Value, json};

/// A number, or an array of numbers of any shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    /// The extents; none for a number.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub values: Vec<f32>,
}

impl Array {
    pub fn number(value: f32) -> Self {
        Self { shape: vec![], values: vec![value] }
    }

    pub fn list(values: impl Into<Vec<f32>>) -> Self {
        let values = values.into();
        Self { shape: vec![values.len()], values }
    }

    /// The extents beside those of an example, with an extent of 1 for each axis that is missing in
    /// front; `None` if the array cannot be repeated to that shape.
    pub fn beside(&self, example: &[usize]) -> Option<Vec<usize>> {
        let missing = example.len().checked_sub(self.shape.len())?;
        let given = [&vec![1; missing], &self.shape[..]].concat();
        let fits = given.iter().zip(example).all(|(&own, &extent)| own == 1 || own == extent);
        fits.then_some(given)
    }

    /// Adds the array as a constant, `[elements]`. A run of equal elements is one fill.
    pub fn constant(&self, cx: &mut ForwardContext<'_>) -> Result<TensorId, GraphError> {
        let runs = self.values.chunk_by(|a, b| a.to_bits() == b.to_bits());
        let fills = runs.map(|run| {
            let shape = [run.len()].into();
            cx.graph.apply(Fill { shape, value: run[0] }, &[])
        });
        match fills.collect::<Result<Vec<_>, _>>()?[..] {
            [all] => Ok(all),
            ref parts => cx.graph.apply(Concat, parts),
        }
    }

    /// The nested lists that say the shape.
    fn nested(shape: &[usize], values: &[f32], reader: Reader) -> Option<Value> {
        let Some((&count, rest)) = shape.split_first() else {
            return values.first()?.write(reader);
        };
        let each = values.chunks(values.len().div_ceil(count).max(1));
        each.map(|part| Self::nested(rest, part, reader))
            .collect::<Option<Vec<_>>>()
            .map(Value::from)
    }
}

/// Repeats x, whose extents beside those of an example of `like` are `given`, along the axes in
/// which it has 1, but for leading ones: the result has the last axes of `like`.
pub(super) fn repeated(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    given: &[usize],
    like: TensorId,
) -> Result<TensorId, GraphError> {
    let dims = cx.graph.shape(like).dims().to_vec();
    // The batch is the second of several axes.
    let batch = usize::from(sample(cx, like).len() > 1);
    let given = [&given[..batch], &[1], &given[batch..]].concat();
    spread(cx, x, &given, &dims)
}

impl Argument for Array {
    fn supported() -> String {
        "a number, or a list of numbers".into()
    }

    /// Keras writes an array of NumPy and a tuple as objects.
    fn read(value: &Value, dialect: Dialect) -> Option<Self> {
        match value["class_name"].as_str() {
            Some("__numpy__" | "__tensor__") => {
                return Self::read(&value["config"]["value"], dialect);
            }
            Some("__tuple__") => return Self::read(&value["items"], dialect),
            _ => {}
        }
        let Some(list) = value.as_array() else {
            let truth = value.as_bool().map(f32::from);
            return truth.or_else(|| f32::read(value, dialect)).map(Self::number);
        };
        let parts = list.iter().map(|part| Self::read(part, dialect));
        let parts = parts.collect::<Option<Vec<Self>>>().filter(|parts| !parts.is_empty())?;
        let shape = [&[parts.len()], &parts[0].shape[..]].concat();
        let even = parts.iter().all(|part| part.shape == parts[0].shape);
        let values = parts.into_iter().flat_map(|part| part.values).collect();
        even.then_some(Self { shape, values })
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        Self::nested(&self.shape, &self.values, reader).or_else(|| Some(json!([])))
    }
}
