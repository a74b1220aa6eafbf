//! Keras-like layers, initializers, optimizers and models over the graph runtime.

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
mod input;
mod layers;
mod loss;
mod masks;
mod model;
mod naming;
mod optimizer;
mod optimizer_state;
mod parameters;
mod precision;
mod programs;
mod state;
mod stateful;
mod step;
mod summary;
mod trace;
mod trainer;

pub use batch::Batch;
pub use callback::{
    Callback, CallbackState, CsvLog, EarlyStopping, ModelCheckpoint, Monitor, ReduceOnPlateau,
    TerminateOnNan,
};
pub use config::{
    Architecture, Argument, Arguments, Compile, ConfigError, Dialect, Input, LayerUse, Numbers,
    Reader, metrics_not_computed,
};
pub use dataset::{Batches, Dataset, DatasetError};
pub use distributed::Communicator;
pub use error::{ModelError, TrainError};
pub use fit::{Checkpoints, StepInfo};
pub use history::{EpochLog, Event, Figure, FitOptions, History, Metrics};
pub use initializer::Initializer;
pub use input::InputSpec;
pub use layers::{
    Add, Average, AveragePooling1D, AveragePooling2D, AveragePooling3D, BatchNormalization,
    Bidirectional, Cell, CellShapes, Concatenate, Conv, Conv1D, Conv2D, Conv3D, ConvLstm1D,
    ConvLstm2D, ConvLstm3D, ConvLstmCell, Dense, Dropout, Elementwise, Embedding, Flatten,
    ForwardContext, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
    GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D, Gru, GruCell, Layer, LayerError,
    LayerNormalization, Lstm, LstmCell, Masking, MaxPooling1D, MaxPooling2D, MaxPooling3D, Merge,
    Multiply, OutputActivation, PerAxis, Pooling, Recurred, Recurrent, Reshape, Scan, SimpleRnn,
    SimpleRnnCell, Softmax, SpatialDropout1D, Subtract, TimeDistributed, UpSampling, UpSampling1D,
    UpSampling2D, UpSampling3D, Value, Weight, WeightArguments,
};
pub use loss::{Crossentropy, Loss, LossOutputs};
pub use model::{Model, Symbol};
pub use naming::distinct_names;
pub use optimizer::{Clip, Optimizer, Schedule};
pub use optimizer_state::OptimizerState;
pub use parameters::WeightRange;
pub use precision::Precision;
pub use rnn_ops::{Constraint, MetricSums, Penalty};
pub use state::{FitProgress, TrainerState};
pub use trace::NotFinite;
pub use trainer::Trainer;
