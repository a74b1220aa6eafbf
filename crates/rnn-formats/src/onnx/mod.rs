//! ONNX models: a graph that is built node by node and written, and one that is read, as
//! <https://onnx.ai/onnx/repo-docs/IR.html> describes them.

mod array;
mod proto;
mod read;
mod wire;

pub use array::{Array, Elements};
pub use read::{OnnxError, OnnxInput, OnnxModel, OnnxNode, from_bytes, read};
pub use wire::Damaged;

use prost::Message;
use proto::{
    AttributeProto, Dimension, Extent, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use rnn_core::HostTensor;

/// The version of the operator set to which the written nodes belong: 17, of ONNX 1.12.
pub const OPSET: i64 = 17;

/// The version of the format that came with [`OPSET`].
const IR_VERSION: i64 = 8;

/// Protobuf counts bytes in 31 bits.
const MAX_BYTES: usize = i32::MAX as usize;

/// The error that a model would take 2 GiB or more, which an ONNX file cannot hold. The field is
/// the size in bytes.
#[derive(Debug, thiserror::Error)]
#[error("the model takes {0} bytes, and an ONNX file holds less than 2 GiB; export .keras instead")]
pub struct TooLarge(usize);

/// The element type of an input or output of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Single-precision floats, f32.
    Float = 1,
    /// Signed integers of 32 bits, i32.
    Int32 = 6,
    /// Signed integers of 64 bits, i64.
    Int64 = 7,
}

/// One extent of an input or output: a number, or a name if it may vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// An extent that is always this number.
    Fixed(usize),
    /// An extent that may vary. Equal names stand for equal extents in the whole model.
    Named(&'static str),
}

/// The unique name of a value in a [`Graph`]. Nodes refer to their operands by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueName(String);

impl ValueName {
    /// Returns the name that stands for an optional operand that is absent.
    pub fn none() -> Self {
        Self(String::new())
    }
}

/// The value of an attribute of a node: one or several numbers or strings, or a constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A float.
    Float(f32),
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
    /// Floats.
    Floats(Vec<f32>),
    /// Integers.
    Ints(Vec<i64>),
    /// Strings.
    Texts(Vec<String>),
    /// A constant.
    Array(Array),
}

/// An ONNX graph under construction, with operators of version [`OPSET`]. Nodes have to be added in
/// an order in which they can be executed. It is not checked that their operands exist and fit.
#[derive(Clone, Debug)]
pub struct Graph {
    proto: GraphProto,
    scope: String,
    made: usize,
}

impl Graph {
    /// Creates an empty graph with the name `name`.
    pub fn new(name: &str) -> Self {
        let proto = GraphProto { name: name.to_owned(), ..GraphProto::default() };
        Self { proto, scope: String::new(), made: 0 }
    }

    /// Sets the prefix of the names of all nodes, constants and values that are added from now on,
    /// except inputs and outputs of the model. The prefix is empty at first.
    pub fn set_scope(&mut self, scope: &str) {
        scope.clone_into(&mut self.scope);
    }

    /// Adds an input of the model, with this name, element type and extents, and returns its value.
    /// No other value may have the name.
    pub fn input(&mut self, name: &str, ty: ElementType, dims: &[Dim]) -> ValueName {
        self.proto.input.push(value_info(name, ty, dims));
        ValueName(name.to_owned())
    }

    /// Makes `value` an output of the model, with this name, element type and extents. No other
    /// value may have the name. The same value may become several outputs.
    pub fn output(&mut self, value: &ValueName, name: &str, ty: ElementType, dims: &[Dim]) {
        self.proto.node.push(NodeProto {
            input: vec![value.0.clone()],
            output: vec![name.to_owned()],
            name: format!("{name}/output"),
            op_type: "Identity".into(),
            attribute: vec![],
        });
        self.proto.output.push(value_info(name, ty, dims));
    }

    /// Adds a constant with the tensor's shape and elements, and returns it. Floats are stored as
    /// f32, and unsigned integers as i64. `name` becomes a part of the constant's name, which is
    /// made unique.
    pub fn tensor(&mut self, name: &str, tensor: &HostTensor) -> ValueName {
        let dims = tensor.shape().dims().iter().map(|&d| d as i64).collect();
        match tensor.data() {
            rnn_core::Data::F32(floats) => {
                let raw = floats.iter().flat_map(|v| v.to_le_bytes()).collect();
                self.constant(name, ElementType::Float, dims, raw)
            }
            rnn_core::Data::U32(integers) => {
                let raw = integers.iter().flat_map(|&v| i64::from(v).to_le_bytes()).collect();
                self.constant(name, ElementType::Int64, dims, raw)
            }
        }
    }

    /// Adds a constant list of i64 `[values.len()]`, such as a shape, and returns it. `name`
    /// becomes a part of the constant's name, which is made unique.
    pub fn ints(&mut self, name: &str, values: &[i64]) -> ValueName {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, ElementType::Int64, vec![values.len() as i64], raw)
    }

    fn constant(&mut self, name: &str, ty: ElementType, dims: Vec<i64>, raw: Vec<u8>) -> ValueName {
        let name = self.name(name);
        self.proto.initializer.push(tensor(name.clone(), ty, dims, raw));
        ValueName(name)
    }

    /// Adds a node with one output, and returns the output. `op` is the operator; `inputs` are its
    /// operands in order, with [`ValueName::none`] for an absent optional one; `attributes` are its
    /// attributes by name.
    pub fn node(
        &mut self,
        op: &str,
        inputs: &[&ValueName],
        attributes: &[(&str, Attribute)],
    ) -> ValueName {
        let output = self.name(op);
        self.push(op, inputs, vec![output.clone()], attributes);
        ValueName(output)
    }

    /// Adds a node as [`Self::node`] does, but with `outputs` outputs, and returns them in order.
    pub fn node_with_outputs(
        &mut self,
        op: &str,
        inputs: &[&ValueName],
        outputs: usize,
        attributes: &[(&str, Attribute)],
    ) -> Vec<ValueName> {
        let names: Vec<String> = (0..outputs).map(|_| self.name(op)).collect();
        self.push(op, inputs, names.clone(), attributes);
        names.into_iter().map(ValueName).collect()
    }

    fn push(
        &mut self,
        op: &str,
        inputs: &[&ValueName],
        output: Vec<String>,
        attributes: &[(&str, Attribute)],
    ) {
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            name: output.first().cloned().unwrap_or_default(),
            output,
            op_type: op.to_owned(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        });
    }

    /// A name that no other value of the graph has.
    fn name(&mut self, stem: &str) -> String {
        self.made += 1;
        format!("{}/{stem}_{}", self.scope, self.made)
    }

    /// Returns the model as the bytes of an `.onnx` file.
    ///
    /// # Errors
    /// Fails with [`TooLarge`] if it would take 2 GiB or more.
    pub fn into_bytes(self) -> Result<Vec<u8>, TooLarge> {
        let opset = OperatorSetIdProto { domain: String::new(), version: OPSET };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "rnn-gpu".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.proto),
            opset_import: vec![opset],
        };
        let bytes = model.encoded_len();
        if bytes > MAX_BYTES { Err(TooLarge(bytes)) } else { Ok(model.encode_to_vec()) }
    }
}

fn value_info(name: &str, ty: ElementType, dims: &[Dim]) -> ValueInfoProto {
    let extent = |dim: &Dim| match *dim {
        Dim::Fixed(extent) => Extent::DimValue(extent as i64),
        Dim::Named(name) => Extent::DimParam(name.to_owned()),
    };
    let dim = dims.iter().map(|dim| Dimension { value: Some(extent(dim)) }).collect();
    let tensor = TensorTypeProto { elem_type: ty as i32, shape: Some(TensorShapeProto { dim }) };
    let r#type = Some(TypeProto { tensor_type: Some(tensor) });
    ValueInfoProto { name: name.to_owned(), r#type }
}

fn tensor(name: String, ty: ElementType, dims: Vec<i64>, raw_data: Vec<u8>) -> TensorProto {
    TensorProto { dims, data_type: ty as i32, name, raw_data }
}

fn constant_of(array: &Array) -> TensorProto {
    let dims = array.dims.iter().map(|&n| n as i64).collect();
    let (ty, raw) = match &array.elements {
        Elements::Floats(values) => {
            (ElementType::Float, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        }
        Elements::Ints(values) => {
            (ElementType::Int64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        }
    };
    tensor(String::new(), ty, dims, raw)
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let name = name.to_owned();
    let bytes = |text: &String| text.as_bytes().to_vec();
    let empty = AttributeProto::default();
    match value {
        Attribute::Float(f) => AttributeProto { name, f: Some(*f), r#type: 1, ..empty },
        Attribute::Int(i) => AttributeProto { name, i: Some(*i), r#type: 2, ..empty },
        Attribute::Text(s) => AttributeProto { name, s: Some(bytes(s)), r#type: 3, ..empty },
        Attribute::Floats(v) => AttributeProto { name, floats: v.clone(), r#type: 6, ..empty },
        Attribute::Ints(v) => AttributeProto { name, ints: v.clone(), r#type: 7, ..empty },
        Attribute::Texts(v) => {
            AttributeProto { name, strings: v.iter().map(bytes).collect(), r#type: 8, ..empty }
        }
        Attribute::Array(array) => {
            AttributeProto { name, t: Some(constant_of(array)), r#type: 4, ..empty }
        }
    }
}
