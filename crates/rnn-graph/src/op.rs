use crate::{Graph, Io, Limits, TensorId, Work};
use rnn_core::{DType, Shape};
use std::any::Any;
use std::fmt;

/// What is known of a tensor before it has values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The extents.
    pub shape: Shape,
    /// The element type.
    pub dtype: DType,
}

impl TensorType {
    /// A tensor of floats.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::F32 }
    }

    /// The same extents with other elements.
    pub fn of(&self, dtype: DType) -> Self {
        Self { shape: self.shape.clone(), dtype }
    }

    /// A tensor of unsigned integers.
    pub fn u32(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::U32 }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.len()
    }

    /// The words of four bytes that hold them on a device.
    pub fn words(&self) -> usize {
        (self.len() * self.dtype.bytes()).div_ceil(4)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.shape.is_empty()
    }

    /// The extents.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// The types of everything that one node touches.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Tensors read.
    pub inputs: Vec<TensorType>,
    /// Tensors changed in place.
    pub updates: Vec<TensorType>,
    /// Tensors written.
    pub outputs: Vec<TensorType>,
}

impl Signature {
    /// Bytes moved when every tensor is touched once (updates twice).
    pub fn bytes(&self) -> u64 {
        let words = |types: &[TensorType]| types.iter().map(|t| t.words() as u64).sum::<u64>();
        4 * (words(&self.inputs) + 2 * words(&self.updates) + words(&self.outputs))
    }
}

/// The tensors that one node touches.
#[derive(Clone, Debug, Default)]
pub struct Operands {
    /// Tensors read.
    pub inputs: Vec<TensorId>,
    /// Tensors changed in place.
    pub updates: Vec<TensorId>,
    /// Tensors written.
    pub outputs: Vec<TensorId>,
}

/// An input that turns into an output; see [`Op::in_place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace {
    /// The place of the input in the signature.
    pub input: usize,
    /// The place of the output.
    pub output: usize,
}

/// What one execution of an op costs, for throughput figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes read and written when each tensor is touched once.
    pub bytes: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.flops += other.flops;
        self.bytes += other.bytes;
    }
}

/// Why an op cannot be used as asked. The graph adds the node and its shapes.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// The operands do not fit the op's shape rule.
    #[error("{0}")]
    Shape(String),
    /// The op has no gradient; no op that a layer uses in its forward pass is of this kind.
    #[error("it has no gradient")]
    NotDifferentiable,
    /// The op needs more than the device offers.
    #[error("{0}")]
    Limit(String),
    /// The launch does not fit the shader that it names.
    #[error(transparent)]
    Shader(#[from] crate::ShaderError),
    /// A node added while differentiating did not fit.
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
    /// A shape error from anything printable.
    pub fn shape(message: impl Into<String>) -> Self {
        Self::Shape(message.into())
    }
}

/// One operation: its shape rule, kernels, gradient, definition and cost.
///
/// An op without a gradient or a reference does not compile: such methods have no default bodies.
pub trait Op: Any + fmt::Debug + Send + Sync {
    /// The op's name in recordings, tables and errors.
    fn name(&self) -> &'static str;

    /// Whether its kernels know tensors of half precision.
    fn takes_half(&self) -> bool {
        false
    }

    /// An input that turns into an output of the same type, if the op has one: the output holds
    /// the input's values when the op begins, and they are read there alone. The two share memory
    /// where nobody reads the input afterwards; else the input is copied first.
    fn in_place(&self) -> Option<InPlace> {
        None
    }

    /// The shape rule: the output types for these inputs and updates.
    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError>;

    /// The kernels to launch, over operands named by their place in the signature.
    fn record(&self, signature: &Signature, limits: &Limits) -> Result<Work, OpError>;

    /// Adds the nodes that compute the gradient of every input, given the gradients of the
    /// outputs (`None`: the output does not matter to the result). Returns one entry an input.
    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError>;

    /// The definition, evaluated in double precision: the judge of every kernel.
    fn reference_f64(&self, io: &mut Io<'_, f64>);

    /// The definition in single precision: what the CPU device runs for light ops.
    fn reference_f32(&self, io: &mut Io<'_, f32>);

    /// Operations and bytes of one execution.
    fn cost(&self, signature: &Signature) -> Cost;
}

impl dyn Op {
    /// The op as its concrete type, if it is of that type.
    pub fn downcast<T: Op>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}
