//! Datasets and preprocessing, as Keras defines them.

mod batches;
pub mod imdb;
mod mt19937;
mod sequence;

pub use batches::{Batches, Dataset, DatasetError};
pub use sequence::{PadOptions, Side, pad_sequences};
