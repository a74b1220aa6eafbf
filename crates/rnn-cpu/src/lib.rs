//! The CPU device: executes a graph in host memory, with fast kernels for the expensive ops and
//! each op's reference definition, in single precision, for the cheap ones.

#[macro_use]
mod entry;

mod blocks;
mod conv;
mod conv_lstm;
mod device;
mod dropout_matmul;
mod elementwise;
mod embedding;
mod gemm_at_b;
mod gemm_tall;
mod geometry;
mod gru;
mod kernels;
mod layout;
mod matmul;
mod memory;
mod normalize;
mod packed;
mod pool;
mod prefetch;
mod rarer;
mod recurrence;
mod scan;
mod session;
mod simd;
mod threads;
mod vector;
mod winograd;

pub use device::CpuDevice;
pub use threads::start as start_threads;
