//! The vocabulary that every other crate shares: shapes, element types, tensors in host memory
//! and counter-based random numbers.

mod rng;
mod shape;
mod tensor;

pub use rng::{Philox, Rng};
pub use shape::Shape;
pub use tensor::{DType, Data, HostTensor, TensorError};
