//! Normalization of rows and of columns, and the ops for moving statistics.

pub mod batch_normalize;
pub mod inverse_root;
pub mod moving_average;
pub mod normalize;
