//! Keras-like layers, initializers, optimizers and models over the graph runtime.

mod architecture;
mod batch;
mod callback;
mod config;
mod dataset;
mod error;
mod history;
mod initializer;
pub mod json_float;
mod layer;
mod layers;
mod loss;
mod model;
mod naming;
pub mod onnx;
mod optimizer;
mod precision;
mod resident;
mod schedule;
mod tensor_ref;
mod trainer;

pub use architecture::{Architecture, Input, TensorRef};
pub use batch::Batch;
pub use callback::{
    Callback, CallbackState, CsvLog, EarlyStopping, ModelCheckpoint, Monitor, ReduceOnPlateau,
    TerminateOnNan,
};
pub use config::{Compile, metrics_not_computed};
pub use dataset::{Batches, Dataset, DatasetError};
pub use error::{ConfigError, LayerError, ModelError, TrainError};
pub use history::{EpochLog, Event, Figure, FitOptions, History, Metrics};
pub use initializer::Initializer;
pub use layer::{
    Argument, Arguments, Dialect, ForwardContext, Layer, MaskFlow, Numbers, Reader, Value, Weight,
    WeightArguments,
};
pub use layers::*;
pub use loss::{Crossentropy, Loss, LossOutputs};
pub use model::{InputSpec, Model, WeightRange};
pub use naming::{distinct_names, snake_case};
pub use optimizer::{Clip, Optimizer};
pub use precision::Precision;
pub use rnn_ops::{Constraint, MetricSums, Penalty, SlotOrder};
pub use schedule::{Schedule, WarmUp};
pub use trainer::{
    Checkpoints, Communicator, FitProgress, NotFinite, OptimizerState, StepInfo, Trainer,
    TrainerState,
};
