//! The graph runtime: a typed [`Graph`] of [`Op`]s, reverse-mode differentiation, a memory
//! planner, and [`Recording`]s that a device replays. This crate names no concrete op and no GPU
//! API.

mod align;
mod autodiff;
mod contract;
mod device;
mod division;
mod graph;
mod launch;
mod op;
mod plan;
mod profile;
mod recording;
mod reference;
mod resolve;
mod shader;
mod tensor;

pub use autodiff::{Algebra, gradients};
pub use device::{
    Arriving, Device, DeviceError, DeviceInfo, DeviceKind, Limits, Planned, Program, Session,
    Ticket, iterations,
};
pub use division::{FLOPS_OF_WORK, work};
pub use graph::{Graph, GraphError, Node};
pub use launch::{Grid, Launch, LaunchVariant, Operand, ParamValue, Work};
pub use op::{Cost, InPlace, Op, OpError, Operands, Signature, TensorType};
pub use plan::{Block, LiveRange, Plan, Region, Space};
pub use profile::{Profile, ProfileRow};
pub use recording::{Binding, Command, Dispatch, Recording, RecordingError};
pub use reference::{Io, Real, Slice, SliceMut, Values, evaluate};
pub use shader::{Access, EntryPoint, Shader, ShaderError, StorageBinding};
pub use tensor::{Storage, Tensor, TensorId};
