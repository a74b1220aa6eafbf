//! The ONNX graph that a layer adds its operators to.

use crate::error::ExportError;
use crate::layers::inverse;
use rnn_core::{HostTensor, Shape};
use rnn_formats::onnx::Attribute::Ints;
use rnn_formats::onnx::{Attribute, Graph, ValueName};
use std::collections::HashMap;

/// A value of an ONNX graph, with its extents.
#[derive(Clone, Debug)]
pub struct OnnxTensor {
    /// The name of the value in the graph.
    pub value: ValueName,
    /// The extents of one example, without the batch, in Keras's order.
    pub dims: Vec<usize>,
}

/// One call of a layer in the ONNX graph of a model, with what [`Layer::onnx`](crate::Layer::onnx)
/// needs to add its operators.
pub struct OnnxContext<'a> {
    /// The graph that the operators are added to.
    pub graph: &'a mut Graph,
    /// The name of the layer, for messages.
    pub layer: String,
    /// Keras's class name of the layer, for messages.
    pub class: &'static str,
    /// The tensors that the layer is called on.
    pub inputs: Vec<OnnxTensor>,
    /// The extents of the outputs of the call, without the batch.
    pub outputs: Vec<Vec<usize>>,
    /// The weights of the layer, by their names within it, such as `kernel`.
    pub weights: HashMap<String, HostTensor>,
}

impl OnnxContext<'_> {
    /// Returns the error [`ExportError::Layer`] with the text `what` and the name and class of the
    /// layer.
    pub fn refuse(&self, what: impl Into<String>) -> ExportError {
        let (layer, class) = (self.layer.clone(), self.class);
        ExportError::Layer { layer, class, what: what.into() }
    }

    /// Returns the first input of the layer: its value and extents.
    ///
    /// # Errors
    /// Fails if the layer is called on nothing.
    pub fn input(&self) -> Result<OnnxTensor, ExportError> {
        self.inputs.first().cloned().ok_or_else(|| self.refuse("it is called on nothing"))
    }

    /// Returns the name of the value of the first input.
    ///
    /// # Errors
    /// Fails if the layer is called on nothing.
    pub fn x(&self) -> Result<ValueName, ExportError> {
        Ok(self.input()?.value)
    }

    /// Returns the extents of the first output, without the batch; empty if there is none.
    pub fn output(&self) -> &[usize] {
        self.outputs.first().map_or(&[], Vec::as_slice)
    }

    /// Returns the context of an inner layer of the class `class`, with the same inputs and
    /// outputs. Its weights are those whose names begin with `prefix`, under their names without
    /// the prefix.
    pub fn within(&mut self, class: &'static str, prefix: &str) -> OnnxContext<'_> {
        let weights = self.weights.iter().filter_map(|(name, weight)| {
            Some((name.strip_prefix(prefix)?.to_owned(), weight.clone()))
        });
        OnnxContext {
            weights: weights.collect(),
            graph: &mut *self.graph,
            layer: self.layer.clone(),
            class,
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
        }
    }

    /// Adds a node of the ONNX operator `operator` with one output, and returns the name of the
    /// output.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&ValueName],
        attributes: &[(&str, Attribute)],
    ) -> ValueName {
        self.graph.node(operator, inputs, attributes)
    }

    /// Adds a node of the ONNX operator `operator` with one output on all inputs of the layer, in
    /// order, and returns the name of the output.
    pub fn node_of_inputs(
        &mut self,
        operator: &str,
        attributes: &[(&str, Attribute)],
    ) -> ValueName {
        let inputs: Vec<&ValueName> = self.inputs.iter().map(|input| &input.value).collect();
        self.graph.node(operator, &inputs, attributes)
    }

    /// Adds the weight `name` of the layer to the graph as a constant, and returns the constant's
    /// name.
    ///
    /// # Errors
    /// Fails if the layer has no such weight.
    pub fn constant_weight(&mut self, name: &str) -> Result<ValueName, ExportError> {
        let weight = self.weight(name)?.clone();
        Ok(self.graph.tensor(name, &weight))
    }

    /// Adds the weight `bias` to x along the last axis and returns the result. If `use_bias` is
    /// false, returns x itself.
    ///
    /// # Errors
    /// Fails if `use_bias` is true and the layer has no weight `bias`.
    pub fn add_bias(&mut self, x: ValueName, use_bias: bool) -> Result<ValueName, ExportError> {
        if !use_bias {
            return Ok(x);
        }
        let bias = self.constant_weight("bias")?;
        Ok(self.node("Add", &[&x, &bias], &[]))
    }

    /// Adds a reshape of x to `[B, dims]`, where B is the batch, and returns the result.
    pub fn reshape(&mut self, x: &ValueName, dims: &[usize]) -> ValueName {
        let dims: Vec<i64> = [-1].into_iter().chain(dims.iter().map(|&d| d as i64)).collect();
        let shape = self.graph.ints("shape", &dims);
        self.node("Reshape", &[x, &shape], &[])
    }

    /// Adds a transposition of x and returns the result, whose axis i is axis `order[i]` of x; axis
    /// 0 is the batch. `order` has each axis once.
    pub fn transpose(&mut self, x: &ValueName, order: &[i64]) -> ValueName {
        self.node("Transpose", &[x], &[("perm", Ints(order.to_vec()))])
    }

    /// Adds x, of the extents `dims`, with the axes of an example at `places` behind the others, and
    /// returns it with its extents.
    pub(crate) fn axes_last(
        &mut self,
        x: &ValueName,
        dims: &[usize],
        places: &[usize],
    ) -> (ValueName, Vec<usize>) {
        let order = last(dims.len(), places);
        let extents = order.iter().map(|&place| dims[place]).collect();
        (self.ordered(x, &order), extents)
    }

    /// Adds what undoes [`Self::axes_last`] for x, of `rank` axes without the batch.
    pub(crate) fn axes_back(&mut self, x: &ValueName, rank: usize, places: &[usize]) -> ValueName {
        let order = inverse(&last(rank, places));
        self.ordered(x, &order)
    }

    /// Adds x with the axes of an example in another order, of which the batch is none.
    fn ordered(&mut self, x: &ValueName, order: &[usize]) -> ValueName {
        if order.is_sorted() {
            return x.clone();
        }
        let axes = order.iter().map(|&place| place as i64 + 1);
        self.transpose(x, &[0].into_iter().chain(axes).collect::<Vec<i64>>())
    }

    /// Adds the reversal of the order of the steps of a sequence `[B, T, ..]`, and returns the
    /// result.
    pub fn reverse(&mut self, sequence: &ValueName) -> ValueName {
        let [start, end] = [-1, i64::MIN].map(|at| self.graph.ints("steps", &[at]));
        let [axis, step] = [1, -1].map(|at| self.graph.ints("steps", &[at]));
        self.node("Slice", &[sequence, &start, &end, &axis, &step], &[])
    }

    /// Returns a weight by its name within the layer.
    ///
    /// # Errors
    /// Fails if the layer has no weight of this name.
    pub fn weight(&self, name: &str) -> Result<&HostTensor, ExportError> {
        self.weights.get(name).ok_or_else(|| self.refuse(format!("it has no weight {name}")))
    }

    /// Returns a tensor of the extents `dims` with the elements `values`, row-major.
    ///
    /// # Errors
    /// Fails if there are not as many values as the extents need.
    pub fn tensor(
        &self,
        dims: impl Into<Shape>,
        values: Vec<f32>,
    ) -> Result<HostTensor, ExportError> {
        HostTensor::from_f32(dims, values).map_err(|error| self.refuse(error.to_string()))
    }

    /// Returns the elements of a tensor, row-major.
    ///
    /// # Errors
    /// Fails if they are not floats.
    pub fn floats<'a>(&self, tensor: &'a HostTensor) -> Result<&'a [f32], ExportError> {
        tensor.as_f32().map_err(|error| self.refuse(error.to_string()))
    }

    /// Returns the weight `name` transposed: axis i of the result is axis `order[i]` of the weight.
    ///
    /// # Errors
    /// Fails if there is no such weight, it is not of floats, or it lacks an axis of `order`.
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

    /// Returns a copy of `tensor` with its first axis cut into `parts.len()` parts of equal size,
    /// which are put in another order: part i of the result is part `parts[i]` of `tensor`. Rows
    /// that are left over are dropped.
    ///
    /// # Errors
    /// Fails if a part lies beyond the end of the axis.
    ///
    /// # Panics
    /// Panics if `parts` is empty.
    pub fn reordered(&self, tensor: &HostTensor, parts: &[u32]) -> Result<HostTensor, ExportError> {
        let misfit = || self.refuse(format!("a weight of shape {}", tensor.shape()));
        let rows = tensor.shape().dims().first().copied().unwrap_or(0);
        let size = (rows / parts.len()) as u32;
        let rows: Vec<u32> = parts.iter().flat_map(|part| part * size..(part + 1) * size).collect();
        tensor.rows(&rows).ok_or_else(misfit)
    }
}

/// The axes of an example of `rank` axes with those at `places` last.
fn last(rank: usize, places: &[usize]) -> Vec<usize> {
    let others = (0..rank).filter(|place| !places.contains(place));
    others.chain(places.iter().copied()).collect()
}
