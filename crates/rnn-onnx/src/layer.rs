use crate::ExportError;
use rnn_core::{HostTensor, Shape};
use rnn_formats::onnx::ValueName;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// A value, and its extents without the batch.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub value: ValueName,
    pub dims: Vec<usize>,
}

/// A use of a layer: what it is, and what it is applied to.
pub(crate) struct Layer {
    pub name: String,
    pub class: String,
    pub arguments: Map<String, Value>,
    pub weights: HashMap<String, HostTensor>,
    pub inputs: Vec<Tensor>,
    /// The extents of its outputs, without the batch.
    pub outputs: Vec<Vec<usize>>,
}

impl Layer {
    pub fn refuse(&self, what: impl Into<String>) -> ExportError {
        let (layer, class) = (self.name.clone(), self.class.clone());
        ExportError::Layer { layer, class, what: what.into() }
    }

    /// The number of axes that its windows move along, from the end of its class.
    pub fn axes(&self) -> usize {
        ["1D", "2D", "3D"].iter().position(|end| self.class.ends_with(end)).map_or(0, |i| i + 1)
    }

    pub fn makes_mask(&self) -> bool {
        self.class == "Masking" || self.flag("mask_zero")
    }

    pub fn uses_mask(&self) -> bool {
        let recurrent = self.arguments.contains_key("return_sequences");
        let others = ["Bidirectional", "GlobalAveragePooling1D", "Multiply"];
        recurrent || others.contains(&self.class.as_str())
    }

    pub fn input(&self) -> Result<&Tensor, ExportError> {
        self.inputs.first().ok_or_else(|| self.refuse("it is applied to nothing"))
    }

    pub fn output(&self) -> &[usize] {
        self.outputs.first().map_or(&[], |dims| dims)
    }

    fn argument<'a, T>(
        &'a self,
        name: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, ExportError> {
        let value = self.arguments.get(name).and_then(read);
        value.ok_or_else(|| self.refuse(format!("its argument {name}")))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.arguments.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub fn text(&self, name: &str) -> Result<&str, ExportError> {
        self.argument(name, Value::as_str)
    }

    pub fn float(&self, name: &str) -> Result<f64, ExportError> {
        self.argument(name, Value::as_f64)
    }

    pub fn int(&self, name: &str) -> Result<i64, ExportError> {
        self.argument(name, Value::as_i64)
    }

    /// One number for each axis.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>, ExportError> {
        self.argument(name, |value| value.as_array()?.iter().map(Value::as_i64).collect())
    }

    pub fn weight(&self, name: &str) -> Result<&HostTensor, ExportError> {
        self.weights.get(name).ok_or_else(|| self.refuse(format!("it has no weight {name}")))
    }

    /// A constant that the layer needs.
    pub fn tensor(
        &self,
        dims: impl Into<Shape>,
        values: Vec<f32>,
    ) -> Result<HostTensor, ExportError> {
        HostTensor::from_f32(dims, values).map_err(|error| self.refuse(error.to_string()))
    }

    pub fn floats<'a>(&self, tensor: &'a HostTensor) -> Result<&'a [f32], ExportError> {
        tensor.as_f32().map_err(|error| self.refuse(error.to_string()))
    }

    /// The layer in an argument of this one, whose weights begin with `prefix` here.
    pub fn part(&self, argument: &str, prefix: &str) -> Result<Layer, ExportError> {
        let described = self.argument(argument, Value::as_object)?;
        let class = described.get("class_name").and_then(Value::as_str);
        let arguments = described.get("config").and_then(Value::as_object);
        let (class, arguments) = class.zip(arguments).ok_or_else(|| self.refuse(argument))?;
        let weights = self.weights.iter().filter_map(|(name, weight)| {
            Some((name.strip_prefix(prefix)?.to_owned(), weight.clone()))
        });
        Ok(Layer {
            name: self.name.clone(),
            class: class.to_owned(),
            arguments: arguments.clone(),
            weights: weights.collect(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
        })
    }

    /// The elements of a weight with its axes in another order.
    pub fn transposed(&self, name: &str, order: &[usize]) -> Result<HostTensor, ExportError> {
        let weight = self.weight(name)?;
        let misfit = || self.refuse(format!("weight {name} is of shape {}", weight.shape()));
        let elements = self.floats(weight)?;
        let dims = weight.shape().dims();
        let axes = order.iter().map(|&axis| dims.get(axis).copied());
        let axes: Vec<usize> = axes.collect::<Option<_>>().ok_or_else(misfit)?;
        let stride = |axis: usize| dims.iter().skip(axis + 1).product::<usize>();
        let strides: Vec<usize> = order.iter().map(|&axis| stride(axis)).collect();
        let mut places = vec![0];
        for (extent, stride) in axes.iter().zip(&strides) {
            places =
                places.iter().flat_map(|p| (0..*extent).map(move |i| p + i * stride)).collect();
        }
        let moved = places.iter().filter_map(|&place| elements.get(place).copied()).collect();
        self.tensor(axes, moved)
    }

    /// The parts of equal size along the first axis of a tensor, in another order.
    pub fn reordered(&self, tensor: &HostTensor, parts: &[u32]) -> Result<HostTensor, ExportError> {
        let misfit = || self.refuse(format!("a weight of shape {}", tensor.shape()));
        let rows = tensor.shape().dims().first().copied().unwrap_or(0);
        let size = (rows / parts.len()) as u32;
        let rows: Vec<u32> = parts.iter().flat_map(|part| part * size..(part + 1) * size).collect();
        tensor.rows(&rows).ok_or_else(misfit)
    }
}
