use crate::{Graph, Io, Limits, TensorId, Work};
use rnn_core::{DType, Shape};
use std::any::Any;
use std::fmt;

/// Shape and element type of a tensor. It displays as `f32[2, 3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The extents.
    pub shape: Shape,
    /// The element type.
    pub dtype: DType,
}

impl TensorType {
    /// Returns the type of a tensor of `f32` elements (single precision).
    pub fn f32(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::F32 }
    }

    /// Returns a type of the same shape with the element type `dtype`.
    pub fn of(&self, dtype: DType) -> Self {
        Self { shape: self.shape.clone(), dtype }
    }

    /// Returns the type of a tensor of `u32` elements (unsigned integers).
    pub fn u32(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::U32 }
    }

    /// Returns the number of elements, the product of the extents; 1 for a scalar.
    pub fn len(&self) -> usize {
        self.shape.len()
    }

    /// Returns the number of four-byte words that hold the elements on a device that packs two
    /// half-precision elements into a word.
    pub fn words(&self) -> usize {
        (self.len() * self.dtype.bytes()).div_ceil(4)
    }

    /// Returns true if there is no element, that is if an extent is 0.
    pub fn is_empty(&self) -> bool {
        self.shape.is_empty()
    }

    /// Returns the extents, slowest-varying axis first.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// The types of all tensors that one node reads, changes or writes, each list in the order of
/// [`Operands`].
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Types of the tensors that the node reads.
    pub inputs: Vec<TensorType>,
    /// Types of the tensors that the node changes in place.
    pub updates: Vec<TensorType>,
    /// Types of the tensors that the node writes.
    pub outputs: Vec<TensorType>,
}

impl Signature {
    /// Returns the number of bytes that an execution moves if it accesses every input and output
    /// once, and every update twice (read and write).
    pub fn bytes(&self) -> u64 {
        let words = |types: &[TensorType]| types.iter().map(|t| t.words() as u64).sum::<u64>();
        4 * (words(&self.inputs) + 2 * words(&self.updates) + words(&self.outputs))
    }
}

/// The tensors that one node reads, changes or writes, in the order of its [`Signature`].
#[derive(Clone, Debug, Default)]
pub struct Operands {
    /// The tensors that the node reads.
    pub inputs: Vec<TensorId>,
    /// The tensors that the node changes in place.
    pub updates: Vec<TensorId>,
    /// The tensors that the node writes.
    pub outputs: Vec<TensorId>,
}

/// A pair of an input and the output of the same type that overwrites it; see [`Op::in_place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace {
    /// Index of the input in the signature.
    pub input: usize,
    /// Index of the output in the signature.
    pub output: usize,
}

/// Cost of one execution of an op, from which throughput is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes read and written if each tensor is accessed once.
    pub bytes: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.flops += other.flops;
        self.bytes += other.bytes;
    }
}

/// The reason for which an op cannot be applied or recorded. The graph adds the node and its shapes
/// ([`GraphError`](crate::GraphError)).
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// The operands violate the op's shape rule.
    #[error("{0}")]
    Shape(String),
    /// The op has no gradient.
    #[error("it has no gradient")]
    NotDifferentiable,
    /// The op needs more than the device offers.
    #[error("{0}")]
    Limit(String),
    /// The launch does not fit its shader.
    #[error(transparent)]
    Shader(#[from] crate::ShaderError),
    /// A node that the op added while it differentiated is invalid.
    #[error(transparent)]
    Graph(Box<crate::GraphError>),
}

/// Lets `?` pass on the error of a node that an op adds while it differentiates.
impl From<crate::GraphError> for OpError {
    fn from(error: crate::GraphError) -> Self {
        Self::Graph(Box::new(error))
    }
}

impl OpError {
    /// Returns an [`OpError::Shape`] with that message, which says what does not fit.
    pub fn shape(message: impl Into<String>) -> Self {
        Self::Shape(message.into())
    }
}

/// An operation on tensors: its shape rule, kernels, gradient, reference definition and cost.
///
/// Methods have no default bodies where an op could forget one: an op without a gradient or a
/// reference definition does not compile.
pub trait Op: Any + fmt::Debug + Send + Sync {
    /// Returns the op's name in recordings, tables and errors.
    fn name(&self) -> &'static str;

    /// Returns true if the op takes inputs of half precision.
    fn takes_half(&self) -> bool {
        false
    }

    /// Returns the input that the op overwrites with an output of the same type; `None`, the
    /// default, if there is no such pair.
    ///
    /// The kernels then bind the output alone. It holds the input's values when the first of them
    /// starts. Input and output share memory where the planner finds that nothing else needs the
    /// input's values; otherwise the input is copied first.
    fn in_place(&self) -> Option<InPlace> {
        None
    }

    /// Returns the output types for these inputs and updates. This is the op's shape rule.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if the types do not fit the op.
    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError>;

    /// Returns the kernel launches for a device with the given limits. They name tensors by their
    /// index in the signature.
    ///
    /// # Errors
    /// Fails with [`OpError::Limit`] if the op needs more than the device offers.
    fn record(&self, signature: &Signature, limits: &Limits) -> Result<Work, OpError>;

    /// Adds the nodes that compute the gradients of the inputs from `gradients`, the gradients of
    /// the outputs. An entry of `gradients` is `None` if the result does not depend on that output.
    /// Returns one gradient per input, of the input's shape; `None` where it is zero or undefined.
    ///
    /// # Errors
    /// Fails with [`OpError::NotDifferentiable`] if the op has no gradient, and with
    /// [`OpError::Graph`] if an added node is invalid.
    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError>;

    /// Computes the outputs and updates in `io` from the op's definition, in double precision.
    /// Every kernel is compared with it.
    fn reference_f64(&self, io: &mut Io<'_, f64>);

    /// Computes the outputs and updates in `io` from the op's definition, in single precision. The
    /// CPU device runs it for ops without a kernel of their own.
    fn reference_f32(&self, io: &mut Io<'_, f32>);

    /// Returns the floating-point operations and bytes of one execution.
    fn cost(&self, signature: &Signature) -> Cost;
}

impl dyn Op {
    /// Returns the op as the concrete type `T`; `None` if it is of another type.
    pub fn downcast<T: Op>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}
