//! What an operation is called on: tensors of the model, numbers and arrays.

use super::Misfit;
use super::laid::Laid;
use crate::layer::{Argument, Dialect, ForwardContext, Reader};
use crate::layers::array::Array;
use crate::onnx::{ExportError, OnnxContext};
use rnn_formats::onnx::ValueName;
use rnn_graph::GraphError;
use rnn_ops::Fill;
use serde_json::{Value, json};

/// One argument of the call of an operation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    /// The next input of the layer.
    Tensor,
    Constant(Array),
}

/// The arguments of the call of an operation, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Operands(pub Vec<Operand>);

/// The name of the argument that holds the operands.
pub(crate) const OPERANDS: &str = "operands";

/// Stands for a tensor among the operands.
pub(crate) fn is_tensor(value: &Value) -> bool {
    value["class_name"] == "__keras_tensor__"
}

impl Operand {
    /// A number, where the operand is one.
    pub fn number(&self) -> Option<f32> {
        match self {
            Self::Constant(Array { values, .. }) if values.len() == 1 => values.first().copied(),
            _ => None,
        }
    }
}

impl Operands {
    /// Operands that are all tensors.
    pub fn tensors(count: usize) -> Self {
        Self(vec![Operand::Tensor; count])
    }

    pub fn constants(&self) -> Vec<f32> {
        let arrays = self.0.iter().filter_map(|operand| match operand {
            Operand::Constant(array) => Some(&array.values[..]),
            Operand::Tensor => None,
        });
        arrays.flatten().copied().collect()
    }

    /// The operands in the graph, with the inputs of the layer in their places.
    ///
    /// # Errors
    /// Fails if the number of inputs is not that of the places.
    pub fn laid(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: Vec<Laid>,
    ) -> Result<Vec<Laid>, Misfit> {
        let mut inputs = inputs.into_iter();
        let (mut all, mut offset) = (Vec::new(), 0);
        for operand in &self.0 {
            all.push(match operand {
                Operand::Tensor => inputs.next().ok_or(Misfit::Inputs)?,
                Operand::Constant(array) => {
                    offset += array.values.len();
                    self.constant(cx, array, offset - array.values.len())?
                }
            });
        }
        if inputs.next().is_some() { Err(Misfit::Inputs) } else { Ok(all) }
    }

    fn constant(
        &self,
        cx: &mut ForwardContext<'_>,
        array: &Array,
        offset: usize,
    ) -> Result<Laid, GraphError> {
        let (shape, first) = (array.shape.as_slice(), array.values.first().copied());
        let tensor = match first.filter(|first| array.values.iter().all(|value| value == first)) {
            Some(value) => {
                let flat = [array.values.len()].into();
                let flat = cx.graph.apply(Fill { shape: flat, value }, &[])?;
                cx.graph.reshape(flat, shape)?
            }
            None => {
                let all = cx.constants(self.constants().len());
                cx.graph.view(all, offset, shape)?
            }
        };
        Ok(Laid::in_order(cx, tensor))
    }

    /// The operands in an ONNX graph.
    ///
    /// # Errors
    /// Fails if the layer has too few inputs.
    pub fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let mut inputs = cx.inputs.clone().into_iter();
        let mut all = Vec::new();
        for operand in &self.0 {
            all.push(match operand {
                Operand::Tensor => {
                    inputs.next().ok_or_else(|| cx.refuse("it is called on nothing"))?.value
                }
                Operand::Constant(Array { shape, values }) => {
                    let constant = cx.tensor(shape.clone(), values.clone())?;
                    cx.graph.tensor("constant", &constant)
                }
            });
        }
        Ok(all)
    }
}

impl Argument for Operands {
    fn supported() -> String {
        "tensors, numbers and arrays of numbers".into()
    }

    /// Tensors are objects without further description, arrays those that Keras 3 writes.
    fn read(value: &Value, dialect: Dialect) -> Option<Self> {
        let operand = |value: &Value| match is_tensor(value) {
            true => Some(Operand::Tensor),
            false => Array::read(value, dialect).map(Operand::Constant),
        };
        value.as_array()?.iter().map(operand).collect::<Option<_>>().map(Self)
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        let operand = |operand: &Operand| match operand {
            Operand::Tensor => Some(json!({"class_name": "__keras_tensor__"})),
            Operand::Constant(array) => {
                let value = array.write(reader)?;
                Some(match array.shape.is_empty() {
                    true => value,
                    false => json!({
                        "class_name": "__numpy__",
                        "config": {"value": value, "dtype": "float32"},
                    }),
                })
            }
        };
        self.0.iter().map(operand).collect()
    }
}
