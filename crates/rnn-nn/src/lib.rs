//! Keras-like layers, initializers, optimizers and models over the graph runtime.

mod dataset;
mod initializer;
mod layer;
mod model;
mod optimizer;
mod recurrent;
mod summary;
mod trainer;

pub use dataset::{Batches, Dataset, DatasetError};
pub use initializer::Initializer;
pub use layer::{Build, Dense, Dropout, Embedding, Layer, LayerError, Weight};
pub use model::{InputSpec, ModelError, Sequential, Slot};
pub use optimizer::Optimizer;
pub use recurrent::{Lstm, SimpleRnn};
pub use trainer::{Batch, EpochLog, Event, FitOptions, History, Metrics, TrainError, Trainer};
