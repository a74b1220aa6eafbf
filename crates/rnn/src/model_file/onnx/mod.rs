//! Models in ONNX files, as Keras describes models.
//!
//! Each node is read once, in the order of the graph ([`Import::node`]); an operator that is not in its
//! table is refused with the name of its node. What only computes shapes is computed here.

mod build;
mod elementwise;
mod fold;
mod gelu;
mod inputs;
mod products;
mod recurrent;
mod shapes;
mod value;
mod windows;

use super::{ModelFileError, Result};
use crate::Tell;
use build::Layer;
use rnn_core::HostTensor;
use rnn_formats::budget;
use rnn_formats::onnx::{self, Array, Attribute, Elements, OnnxModel, OnnxNode};
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use value::{Value, View, refuse};

/// A model that was read: its description in Keras's terms, and the weights of each layer by its
/// name, in Keras's order.
pub(super) struct Imported {
    pub description: Json,
    pub weights: Vec<(String, Vec<HostTensor>)>,
}

/// Reads the model in the ONNX file `path`. `tell` is called with a line for each input or output
/// whose axes have another order here.
///
/// # Errors
/// Fails with [`ModelFileError::Onnx`] if the file cannot be read, and with
/// [`ModelFileError::Description`] if it has an operator that is not supported.
pub(super) fn read(path: &Path, tell: &Tell) -> Result<Imported> {
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    import(onnx::read(path)?, size, tell)
}

fn import(model: OnnxModel, size: u64, tell: &Tell) -> Result<Imported> {
    let OnnxModel { opset, nodes, constants, inputs, outputs } = model;
    let mut uses: HashMap<&str, usize> = HashMap::new();
    let operands = nodes.iter().flat_map(|node| &node.inputs);
    for name in operands.chain(&outputs) {
        *uses.entry(name).or_default() += 1;
    }
    let mut import = Import {
        opset,
        uses,
        values: HashMap::new(),
        layers: vec![],
        inputs: vec![],
        shared: HashSet::new(),
        atoms: 1,
        // Constants are stored once more as weights.
        left: budget::memory(size) / 4,
    };
    for (name, array) in constants {
        import.values.insert(name, Value::Array(Rc::new(array)));
    }
    import.add_inputs(&inputs, &nodes, tell)?;
    for node in &nodes {
        let made = import.node(node).map_err(|error| named(node, error))?;
        for (name, value) in node.outputs.iter().zip(made) {
            import.store(name, value).map_err(|error| named(node, error))?;
        }
    }
    import.finish(&outputs, tell)
}

/// An error of a node, with its name and operator.
fn named(node: &OnnxNode, error: ModelFileError) -> ModelFileError {
    let result = || node.outputs.first().cloned().unwrap_or_default();
    let name = if node.name.is_empty() { result() } else { node.name.clone() };
    match error {
        ModelFileError::Description(what) => {
            ModelFileError::Description(format!("node {name} ({}): {what}", node.operator))
        }
        other => other,
    }
}

/// The most axes of a value, or parts of a stack.
const MAX_LENGTH: usize = 256;

/// A model while it is read.
struct Import<'m> {
    opset: i64,
    /// How often each value is used.
    uses: HashMap<&'m str, usize>,
    values: HashMap<String, Value>,
    layers: Vec<Layer>,
    inputs: Vec<inputs::Input>,
    /// The layers whose outputs more than one operand is made of.
    shared: HashSet<usize>,
    /// The number of factors of axes so far.
    atoms: usize,
    /// The bytes that constants and weights may still take.
    left: u64,
}

impl Import<'_> {
    fn store(&mut self, name: &str, value: Value) -> Result<()> {
        // Each node may double a list.
        let length = match &value {
            Value::View(view) => view.axes.len(),
            Value::Stack(_, views) => views.len(),
            Value::Fill(dims, _) | Value::Dims(dims, _) => dims.len(),
            Value::Array(array) => array.dims.len(),
            Value::Gauss(_) | Value::Beyond => 0,
        };
        if length > MAX_LENGTH {
            return refuse(format!("{length} axes or states, {MAX_LENGTH} are the most"));
        }
        if name.is_empty() {
            return Ok(());
        }
        if self.uses.get(name).is_some_and(|&uses| uses > 1) {
            let views = match &value {
                Value::View(view) => std::slice::from_ref(view),
                Value::Stack(_, views) => views,
                _ => &[],
            };
            for view in views {
                if let value::Source::Layer { layer, .. } = view.source {
                    self.shared.insert(layer);
                }
            }
        }
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// Adds what a node computes, and returns the values of its results. More operators are added
    /// here: each gets its node, and has the values of its operands from [`Self::operand`].
    fn node(&mut self, node: &OnnxNode) -> Result<Vec<Value>> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return refuse(format!("operators of {} are not supported", node.domain));
        }
        let one = |value: Value| vec![value];
        match node.operator.as_str() {
            "Constant" => Ok(one(self.constant(node)?)),
            "Identity" | "Dropout" => Ok(one(self.operand(node, 0)?)),
            "LSTM" | "GRU" | "RNN" => self.recurrent(node),
            "MatMul" => Ok(one(self.mat_mul(node)?)),
            "Gemm" => Ok(one(self.gemm(node)?)),
            "Conv" => Ok(one(self.conv(node)?)),
            "MaxPool" | "AveragePool" => Ok(one(self.pool(node)?)),
            "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceMax" | "ReduceSum" => {
                Ok(one(self.reduce(node)?))
            }
            "BatchNormalization" => Ok(one(self.batch_normalization(node)?)),
            "LayerNormalization" => Ok(one(self.layer_normalization(node)?)),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Equal" | "Less" | "Greater" => {
                Ok(one(self.binary(node)?))
            }
            "Sum" | "Mean" | "Max" | "Min" => Ok(one(self.variadic(node)?)),
            "Softmax" | "LogSoftmax" => Ok(one(self.softmax(node)?)),
            "Shape" => Ok(one(self.shape(node)?)),
            "ConstantOfShape" | "Expand" => Ok(one(self.expand(node)?)),
            "Cast" => Ok(one(self.cast(node)?)),
            "Reshape" | "Flatten" => Ok(one(self.reshape(node)?)),
            "Transpose" => Ok(one(self.transpose(node)?)),
            "Squeeze" | "Unsqueeze" => Ok(one(self.squeeze(node)?)),
            "Concat" => Ok(one(self.concat(node)?)),
            "Slice" => Ok(one(self.slice(node)?)),
            "Split" => self.split(node),
            "Gather" => Ok(one(self.gather(node)?)),
            "Loop" | "Scan" | "If" => refuse(
                "graphs within the graph are not supported; of a Keras model open the .keras file",
            ),
            "Tile" => Ok(one(self.tile(node)?)),
            "Resize" | "Upsample" => Ok(one(self.resize(node)?)),
            "Pad" => Ok(one(self.pad(node)?)),
            _ => Ok(one(self.unary(node)?)),
        }
    }

    /// An operand; the error of an absent one.
    fn operand(&self, node: &OnnxNode, index: usize) -> Result<Value> {
        match self.optional(node, index)? {
            Some(value) => Ok(value),
            None => refuse(format!("operand {} is missing", index + 1)),
        }
    }

    /// An operand that may be absent.
    fn optional(&self, node: &OnnxNode, index: usize) -> Result<Option<Value>> {
        let Some(name) = node.inputs.get(index).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        match self.values.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => refuse(format!("no node before it makes its operand {name}")),
        }
    }

    /// An operand that must be a constant.
    fn array(&self, node: &OnnxNode, index: usize) -> Result<Rc<Array>> {
        match self.operand(node, index)? {
            Value::Array(array) => Ok(array),
            _ => refuse(format!("operand {} is supported as a constant alone", index + 1)),
        }
    }

    /// An operand that must be a constant of floats: its extents and its elements.
    fn floats(&self, node: &OnnxNode, index: usize) -> Result<(Vec<usize>, Vec<f32>)> {
        let array = self.array(node, index)?;
        match &array.elements {
            Elements::Floats(values) => Ok((array.dims.clone(), values.clone())),
            Elements::Ints(_) => refuse(format!("operand {} holds no floats", index + 1)),
        }
    }

    /// The integers of a constant operand, or of the attribute that older versions of the operator
    /// have in its place.
    fn ints(&self, node: &OnnxNode, index: usize, name: &str) -> Result<Option<Vec<i64>>> {
        if let Some(Attribute::Ints(values)) = node.attributes.get(name) {
            return Ok(Some(values.clone()));
        }
        let numbers = |array: &Array| match &array.elements {
            Elements::Ints(values) => Ok(Some(values.clone())),
            Elements::Floats(_) => refuse(format!("{name} are no integers")),
        };
        match self.optional(node, index)? {
            None => Ok(None),
            Some(Value::Array(array)) => numbers(&array),
            Some(_) => refuse(format!("{name} that are computed from the data")),
        }
    }

    /// An operand as a tensor of the model.
    fn view(&mut self, node: &OnnxNode, index: usize) -> Result<View> {
        match self.operand(node, index)? {
            Value::View(view) => Ok(view),
            Value::Stack(axis, views) => self.join(axis, &views),
            _ => refuse(format!("operand {} is a constant", index + 1)),
        }
    }

    /// Counts the bytes of a constant that is made.
    fn spend(&mut self, elements: usize) -> Result<()> {
        let left = self.left.checked_sub(8 * elements as u64);
        self.left = left.ok_or(ModelFileError::OverBudget(budget::OverBudget))?;
        Ok(())
    }

    fn made(&mut self, array: Array) -> Result<Value> {
        self.spend(array.elements.len())?;
        Ok(Value::Array(Rc::new(array)))
    }

    fn constant(&mut self, node: &OnnxNode) -> Result<Value> {
        let scalar = |elements| Array { dims: vec![], elements };
        let list = |n, elements| Array { dims: vec![n], elements };
        let array = node.attributes.iter().find_map(|(name, value)| match (&**name, value) {
            ("value", Attribute::Array(array)) => Some(array.clone()),
            ("value_float", Attribute::Float(v)) => Some(scalar(Elements::Floats(vec![*v]))),
            ("value_int", Attribute::Int(v)) => Some(scalar(Elements::Ints(vec![*v]))),
            ("value_floats", Attribute::Floats(v)) => {
                Some(list(v.len(), Elements::Floats(v.clone())))
            }
            ("value_ints", Attribute::Ints(v)) => Some(list(v.len(), Elements::Ints(v.clone()))),
            _ => None,
        });
        match array {
            Some(array) => self.made(array),
            None => refuse("supported: numbers and lists of them"),
        }
    }
}

/// An attribute that is an integer, or its default.
fn int(node: &OnnxNode, name: &str, default: i64) -> i64 {
    match node.attributes.get(name) {
        Some(Attribute::Int(value)) => *value,
        _ => default,
    }
}

/// An attribute that is a float, or its default.
fn float(node: &OnnxNode, name: &str, default: f32) -> f32 {
    match node.attributes.get(name) {
        Some(Attribute::Float(value)) => *value,
        _ => default,
    }
}

/// An attribute that is a text, or its default.
fn text<'n>(node: &'n OnnxNode, name: &str, default: &'n str) -> &'n str {
    match node.attributes.get(name) {
        Some(Attribute::Text(value)) => value,
        _ => default,
    }
}

/// An attribute that is a list of integers, if there is one.
fn list(node: &OnnxNode, name: &str) -> Option<Vec<i64>> {
    match node.attributes.get(name) {
        Some(Attribute::Ints(values)) => Some(values.clone()),
        _ => None,
    }
}

fn in_output(name: &str, error: ModelFileError) -> ModelFileError {
    match error {
        ModelFileError::Description(what) => {
            ModelFileError::Description(format!("output {name}: {what}"))
        }
        other => other,
    }
}
