//! The traits and types from which an op of one's own is made, and the checks for it.
//! `examples/custom_op.rs` makes an op, from its kernel to a layer that is trained.
//!
//! An [`Op`] has a shape rule, the launches of its WGSL kernels, a gradient made of other ops, and
//! a [`Definition`] in f32 and f64, which the CPU device runs. [`verify`] compares the kernels with
//! the definition and the gradient with finite differences of it for each [`Case`], and translates
//! the shaders for Vulkan, Metal and DX12.

pub use rnn_graph::{
    Cost, Graph, GraphError, Grid, InPlace, Io, Launch, Limits, Op, OpError, Operand, Operands,
    Real, Shader, Signature, TensorId, TensorType, Work,
};
pub use rnn_ops::{Binary, Case, Definition, Sample, Scale};
pub use rnn_verify::{Check, Report, verify};
