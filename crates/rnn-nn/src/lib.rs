//! Keras-like layers, initializers, optimizers and models over the graph runtime.

mod architecture;
mod attribution;
mod batch;
mod callback;
mod config;
mod dataset;
mod distributed;
mod error;
mod fit;
mod history;
mod initializer;
mod layer;
mod layers;
mod loss;
mod masks;
mod model;
mod naming;
mod optimizer;
mod optimizer_state;
mod precision;
mod programs;
mod state;
mod stateful;
mod step;
mod trace;
mod trainer;

pub use architecture::{Architecture, Input, TensorRef};
pub use batch::Batch;
pub use callback::{
    Callback, CallbackState, CsvLog, EarlyStopping, ModelCheckpoint, Monitor, ReduceOnPlateau,
    TerminateOnNan,
};
pub use config::{Compile, LayerUse, metrics_not_computed};
pub use dataset::{Batches, Dataset, DatasetError};
pub use distributed::Communicator;
pub use error::{ConfigError, LayerError, ModelError, TrainError};
pub use fit::{Checkpoints, StepInfo};
pub use history::{EpochLog, Event, Figure, FitOptions, History, Metrics};
pub use initializer::Initializer;
pub use layer::{
    Argument, Arguments, Dialect, ForwardContext, Layer, MaskFlow, Numbers, Reader, Value, Weight,
    WeightArguments,
};
pub use layers::*;
pub use loss::{Crossentropy, Loss, LossOutputs};
pub use model::{InputSpec, Model, WeightRange};
pub use naming::distinct_names;
pub use optimizer::{Clip, Optimizer, Schedule};
pub use optimizer_state::OptimizerState;
pub use precision::Precision;
pub use rnn_ops::{Constraint, MetricSums, Penalty};
pub use state::{FitProgress, TrainerState};
pub use trace::NotFinite;
pub use trainer::Trainer;
