//! Normalization of rows and of columns, and what moving statistics need.

pub mod batch_normalize;
pub mod inverse_root;
pub mod moving_average;
pub mod normalize;
