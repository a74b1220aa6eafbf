//! The types that all other crates share: shapes, element types, tensors in host memory, arrays of
//! examples, counter-based random numbers, products of matrices, and text that is shown.

mod examples;
pub mod product;
mod rng;
mod shape;
mod shown;
mod tensor;

pub use examples::Examples;
pub use rng::{Philox, Rng};
pub use shape::Shape;
pub use shown::{cut, hex, plain, short};
pub use tensor::{DType, Data, HostTensor, TensorError};
