//! What an op of one's own is made of, and what checks it: `examples/custom_op.rs` is one from its
//! kernel to a layer that is trained.
//!
//! An [`Op`] says its shape rule, the launches of its WGSL kernels, its gradient as nodes of other
//! ops, and its [`Definition`] in f32 and f64. The definition judges the kernels, and is what the
//! CPU device runs; finite differences of it judge the gradient. [`verify`] does both for each
//! [`Case`], and takes the shaders through the translations for Vulkan, Metal and DX12.

pub use rnn_graph::{
    Cost, Graph, GraphError, Grid, InPlace, Io, Launch, Limits, Op, OpError, Operand, Operands,
    Real, Shader, Signature, TensorId, TensorType, Work,
};
pub use rnn_ops::{Binary, Case, Definition, Sample, Scale};
pub use rnn_verify::{Check, Report, verify};
