use crate::memory::TooLarge;
use crate::nn::{ConfigError, ModelError};
use rnn_core::TensorError;
use rnn_formats::budget::OverBudget;
use rnn_formats::keras::KerasError;
use rnn_formats::onnx::OnnxError;
use rnn_formats::safetensors::SafetensorsError;
use std::io;
use std::path::PathBuf;

/// The reason why a model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// The file or folder cannot be used as a model. [`ModelFile::open`](super::ModelFile::open)
    /// wraps every other error in this one.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: Box<ModelFileError>,
    },
    /// There is nothing at the path.
    #[error("there is no such file or folder")]
    Missing,
    /// The name of the file ends in none of `.keras`, `.h5`, `.hdf5`, `.onnx`, `.json` and `.toml`.
    #[error("not a model: supported are the folder of a run, .keras, .h5, .onnx, .json and .toml")]
    Unknown,
    /// It is a model of another program, or of a Keras whose files are not read.
    #[error("it is {what}: {instead}")]
    Foreign {
        /// What it is.
        what: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// A Keras file holds weights, but no description of the model.
    #[error("it holds weights alone; save the whole model with Keras: model.save(\"model.keras\")")]
    WeightsAlone,
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be written, or an earlier one could not be removed.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A description takes more memory than a file of its size may.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// A file is no JSON.
    #[error("{} is not sound JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause, with its line and column.
        source: serde_json::Error,
    },
    /// A `model.toml` is not valid TOML.
    #[error("it is not sound TOML")]
    Toml(#[source] toml::de::Error),
    /// A `model.toml` or an ONNX graph lacks a part or has one that is not supported. The text says
    /// which.
    #[error("{0}")]
    Description(String),
    /// The file describes the model without weights, and the operation needs them.
    #[error("the model is a description without weights")]
    NoWeights,
    /// A layer has an initializer, a regularizer or a constraint that is not supported. The text says
    /// which.
    #[error("the model can predict, but it cannot be trained: {0}")]
    Untrainable(String),
    /// An extent of an input other than the batch is open (`None` in Keras), and the operation
    /// needs all extents to be fixed.
    #[error(
        "an input of the model may have any length, and here it needs one: give the model an input \
         shape without None"
    )]
    Open,
    /// The weights, or the state of an optimizer, do not fit the model, or the state does not say
    /// which optimizer it belongs to. The text says what is wrong.
    #[error("{0}")]
    Misfit(String),
    /// The description of the model is not supported, or its layers do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A layer does not fit its inputs, or the weights do not fit the layers.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A Keras file is damaged, or could not be read or written.
    #[error(transparent)]
    Keras(#[from] KerasError),
    /// An ONNX file is damaged, or could not be read.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A safetensors file, of weights or of the state of an optimizer, is damaged, or could not be
    /// read or written.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// A tensor has another number of elements than its shape.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The weights need more memory than is free.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

impl ModelFileError {
    pub(super) fn misfit(message: impl Into<String>) -> Self {
        Self::Misfit(message.into())
    }
}
