//! The GPU device: replays [`Recording`](rnn_graph::Recording)s through wgpu, on Vulkan, Metal and
//! DX12. No other crate names wgpu.
//!
//! One run of a program is a compute pass, in as many submissions as its work asks for. Buffers, bind groups and parameters
//! are created when the program is built; a run uploads its inputs, replays the dispatches and
//! returns. Nothing here panics: a failure in wgpu or in the driver is returned by the next call as
//! a [`DeviceError`](rnn_graph::DeviceError).

mod adapter;
mod budget;
mod cache;
mod device;
mod faults;
mod guards;
mod kept;
mod memory;
mod options;
mod pipeline;
mod probe;
mod program;
mod proof;
mod readback;
mod session;
mod submission;
mod timing;
mod trusted;
mod tuning;

pub use adapter::{Adapter, AdapterClass, Features, ShaderCompiler, adapters};
pub use device::{OpenError, WgpuDevice};
pub use options::{Options, VariantChoice};
pub use proof::Prover;
pub use tuning::Tuned;
