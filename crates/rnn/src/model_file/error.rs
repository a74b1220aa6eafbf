use crate::memory::TooLarge;
use crate::nn::{ConfigError, ModelError};
use rnn_core::TensorError;
use rnn_formats::keras::KerasError;
use rnn_formats::safetensors::SafetensorsError;
use std::io;
use std::path::PathBuf;

/// The reason why a model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// A file cannot be used.
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
    /// The file is of no form that holds models.
    #[error("not a model: supported are the folder of a run, .keras, .h5, .json and .toml")]
    Unknown,
    /// A file of Keras's does not describe the model.
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
    /// A file could not be written or removed.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file is no JSON.
    #[error("{} is not sound JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The place and the cause.
        source: serde_json::Error,
    },
    /// A file is no TOML.
    #[error("it is not sound TOML")]
    Toml(#[source] toml::de::Error),
    /// A `model.toml` says something that is not supported.
    #[error("{0}")]
    Description(String),
    /// The model is a description without weights.
    #[error("the model is a description without weights")]
    NoWeights,
    /// An input may have any length, and what is asked for needs one.
    #[error(
        "an input of the model may have any length, and here it needs one: give the model an input \
         shape without None"
    )]
    Open,
    /// The weights, or what an optimizer keeps, are not those of the model.
    #[error("{0}")]
    Misfit(String),
    /// The description is not supported, or its parts do not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The layers or weights do not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file of Keras's is damaged or cannot be written.
    #[error(transparent)]
    Keras(#[from] KerasError),
    /// A file of weights is damaged or cannot be written.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// A tensor has another number of elements than its shape.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The weights need more memory than there is.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

impl ModelFileError {
    pub(super) fn misfit(message: impl Into<String>) -> Self {
        Self::Misfit(message.into())
    }
}
