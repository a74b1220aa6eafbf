//! The inputs of a model, which have the batch first here.

use super::super::Result;
use super::value::{Atom, Axis, BATCH, Source, Value, View, refuse};
use super::{Import, int, list};
use crate::Tell;
use rnn_formats::onnx::{OnnxInput, OnnxNode};
use serde_json::{Value as Json, json};
use std::collections::HashMap;

/// An input of the model.
pub(super) struct Input {
    pub name: String,
    /// The extents without the batch; `None` for an open one.
    dims: Vec<Option<usize>>,
    /// True for integers, which are tokens.
    pub integers: bool,
}

impl Input {
    pub(super) fn batch_shape(&self) -> Json {
        [None].into_iter().chain(self.dims.iter().copied()).map(|n| json!(n)).collect()
    }
}

impl Import<'_> {
    pub(super) fn add_inputs(
        &mut self,
        inputs: &[OnnxInput],
        nodes: &[OnnxNode],
        tell: &Tell,
    ) -> Result<()> {
        // Equal names stand for equal extents.
        let mut named: HashMap<String, Axis> = HashMap::new();
        for OnnxInput { name, dims, names, element_type } in inputs {
            if !self.uses.contains_key(&**name) {
                continue;
            }
            if dims.len() < 2 {
                return refuse(format!(
                    "input {name} has {} axes; supported: a batch and at least one more",
                    dims.len()
                ));
            }
            let batch = batch_axis(name, dims.len(), nodes).unwrap_or(0);
            let mut axes: Vec<Axis> = Vec::new();
            for (axis, (extent, dim)) in dims.iter().zip(names).enumerate() {
                axes.push(match named.get(dim).filter(|_| extent.is_none()) {
                    _ if axis == batch => {
                        vec![Atom { id: BATCH, extent: *extent, reversed: false }]
                    }
                    Some(same) => same.clone(),
                    None => self.axis(*extent),
                });
                if !dim.is_empty() {
                    named.entry(dim.clone()).or_insert_with(|| axes[axis].clone());
                }
            }
            if batch != 0 {
                let order: Vec<&str> =
                    (0..dims.len()).map(|i| if i == batch { "batch" } else { "other" }).collect();
                tell(&format!(
                    "input {name} has the batch as its first axis here, in the file as axis {batch} \
                     ({})",
                    order.join(", ")
                ));
            }
            let without = |at: usize| (0..at).filter(move |&axis| axis != batch);
            let own = without(dims.len()).map(|axis| axes[axis].clone()).collect();
            let extents = without(dims.len()).map(|axis| dims[axis]).collect();
            let source = Source::Input(self.inputs.len());
            // Keras's names have no slashes.
            let letter = |c: char| if c.is_alphanumeric() { c } else { '_' };
            let integers = !matches!(element_type, 1 | 10 | 11 | 16);
            let name_here = name.chars().map(letter).collect();
            self.inputs.push(Input { name: name_here, dims: extents, integers });
            self.store(name, Value::View(View { source, own, axes }))?;
        }
        match self.inputs.is_empty() {
            true => refuse("the graph has no inputs"),
            false => Ok(()),
        }
    }
}

/// The axis of the batch of an input of so many axes: that which the first recurrent layer or
/// convolution behind it takes for the batch.
fn batch_axis(input: &str, rank: usize, nodes: &[OnnxNode]) -> Option<usize> {
    /// Which axis of the input each axis of a value is.
    type Places = Vec<Option<usize>>;
    let mut values: HashMap<&str, Places> = HashMap::new();
    values.insert(input, (0..rank).map(Some).collect());
    for node in nodes {
        let at = |index: usize| values.get(node.inputs.get(index)?.as_str()).cloned();
        let first = at(0);
        let made = match (&*node.operator, &first) {
            ("LSTM" | "GRU" | "RNN", _) => {
                let batch = usize::from(int(node, "layout", 0) == 0);
                let sequence = first.as_ref().and_then(|places| *places.get(batch)?);
                let state = [5, 6].into_iter().find_map(|index| *at(index)?.get(batch)?);
                match sequence.or(state) {
                    None => continue,
                    found => return found,
                }
            }
            ("Conv" | "MaxPool" | "AveragePool" | "BatchNormalization", Some(places)) => {
                return *places.first()?;
            }
            ("Transpose", Some(places)) => {
                let order =
                    list(node, "perm").unwrap_or_else(|| (0..places.len() as i64).rev().collect());
                order.iter().map(|&axis| places.get(usize::try_from(axis).ok()?).copied()).collect()
            }
            // The tokens of an embedding are its second operand.
            ("Gather", None) => at(1).map(|places| [places, vec![None]].concat()),
            ("MatMul" | "Add" | "Sub" | "Mul" | "Div" | "Concat" | "Slice", _) => {
                first.or_else(|| at(1))
            }
            (
                "Identity" | "Cast" | "Dropout" | "Relu" | "Tanh" | "Sigmoid" | "Gelu"
                | "LayerNormalization" | "Softmax",
                Some(_),
            ) => first,
            _ => None,
        };
        if let (Some(places), Some(output)) = (made, node.outputs.first()) {
            values.insert(output, places);
        }
    }
    None
}
