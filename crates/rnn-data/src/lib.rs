//! Datasets and preprocessing, as Keras defines them.

pub mod corpus;
#[cfg(feature = "download")]
pub mod download;
pub mod imdb;
pub mod movies;
mod mt19937;
mod sequence;
pub mod series;
pub mod text;

pub use sequence::{PadOptions, Side, pad_sequences};
