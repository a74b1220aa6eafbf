//! Predictions of trained models for new inputs.

mod arrays;
mod classifier;

pub use arrays::{ArrayFiles, Predicted, predict_arrays};
pub use classifier::open_classifier;
