//! The types that all other crates share: shapes, element types, tensors in host memory, arrays of
//! examples, and counter-based random numbers.

mod examples;
mod rng;
mod shape;
mod tensor;

pub use examples::Examples;
pub use rng::{Philox, Rng};
pub use shape::Shape;
pub use tensor::{DType, Data, HostTensor, TensorError};
