//! The weights of a model file, which become those of the model when its shapes are known.

use super::{Result, WEIGHTS, keras, pytorch};
use crate::nn::{Architecture, Model};
use rnn_core::HostTensor;
use rnn_formats::keras::KerasFile;
use rnn_formats::safetensors;
use std::path::{Path, PathBuf};

pub(super) enum Weights {
    /// By the names that slots have, in a folder that [`save`](super::save) wrote.
    Folder(PathBuf, Vec<(String, HostTensor)>),
    /// By the same names.
    Named(Vec<(String, HostTensor)>),
    Keras(Box<KerasFile>),
    /// By PyTorch's names.
    PyTorch(Vec<(String, HostTensor)>),
    /// Those of each layer by its name, in Keras's order.
    Listed(Vec<(String, Vec<HostTensor>)>),
    /// A description alone.
    Missing,
}

impl Weights {
    pub(super) fn in_folder(path: &Path) -> Result<Self> {
        Ok(Self::Folder(path.to_owned(), safetensors::load(&path.join(WEIGHTS))?.0))
    }

    /// Replaces the weights of `model`, which was built from `architecture`; a description alone
    /// leaves them as they are.
    ///
    /// # Errors
    /// Fails if they do not fit the model.
    pub(super) fn give(&self, architecture: &Architecture, model: &mut Model) -> Result<()> {
        let weights = match self {
            Self::Folder(_, weights) | Self::Named(weights) => {
                return Ok(model.set_weights(weights)?);
            }
            Self::Keras(file) => keras::weights(file, architecture, model)?,
            Self::PyTorch(weights) => pytorch::weights(weights, model)?,
            Self::Listed(weights) => keras::listed(weights, model)?,
            Self::Missing => return Ok(()),
        };
        Ok(model.set_weights(&weights)?)
    }
}
