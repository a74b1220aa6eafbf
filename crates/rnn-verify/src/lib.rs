//! Checks every op on a device against its f64 reference, and the gradients of the references
//! against finite differences.

mod compare;
mod gradient;
mod kernel;

pub use compare::{Comparison, compare};
pub use gradient::check_gradient;
pub use kernel::check_kernel;
