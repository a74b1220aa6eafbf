//! Keras's model files: `.keras`, `.weights.h5`, and the `.h5` of Keras 2 and 3.
//!
//! Read from `keras/src/saving/saving_lib.py` and `keras/src/legacy/saving/legacy_h5_format.py`
//! of Keras 3.15.1, and from files that it writes.

mod archive;
mod legacy;
mod variables;

use crate::hdf5::{self, Hdf5Error};
use crate::{WriteError, write_atomically};
use rnn_core::HostTensor;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The version of Keras whose file layout [`KerasFile::write`] writes.
pub const KERAS_VERSION: &str = "3.15.1";

/// A file format in which Keras stores models or weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.keras`: a zip archive of the configuration and a `.weights.h5`.
    Keras,
    /// `.weights.h5`: variables by their place in the model.
    WeightsH5,
    /// `.h5`: variables by the names of layers, with the configuration unless only weights were
    /// saved.
    LegacyH5,
}

impl Format {
    /// Returns the format that Keras gives a file whose name ends in `.keras`, `.weights.h5`, or
    /// `.h5` or `.hdf5`, in small letters; `None` for other names. The file need not exist.
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match name {
            _ if name.ends_with(".keras") => Some(Self::Keras),
            _ if name.ends_with(".weights.h5") => Some(Self::WeightsH5),
            _ if name.ends_with(".h5") || name.ends_with(".hdf5") => Some(Self::LegacyH5),
            _ => None,
        }
    }
}

/// The variables of one layer, cell or optimizer in a file of Keras.
#[derive(Clone, Debug, PartialEq)]
pub struct Variables {
    /// Path of the group: in `.keras` and `.weights.h5` without the last `vars`, such as
    /// `layers/bidirectional/forward_layer/cell`, where parts are classes in snake case, numbered
    /// in the order of the model, not names of layers; in a legacy file the layer's name.
    pub path: String,
    /// Name of the layer in the configuration. Empty if the file has none.
    pub name: String,
    /// The variables in Keras's order. In `.keras` and `.weights.h5` names are `0`, `1`, ..; in a
    /// legacy file they are paths such as `sequential/dense/kernel` or `dense_1/kernel:0`.
    pub tensors: Vec<(String, HostTensor)>,
}

/// The contents of a file of Keras: the configuration and the variables of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct KerasFile {
    /// The format of the file.
    pub format: Format,
    /// The version of Keras that wrote the file, if it says so.
    pub version: Option<String>,
    /// The description of the model: `class_name`, `config` and, in `.keras`, what else Keras
    /// stores beside them. `None` if only weights were saved.
    pub config: Option<Value>,
    /// The arguments of `compile`: `compile_config` of `.keras`, `training_config` of `.h5`; `None`
    /// if the model was not compiled.
    pub compile: Option<Value>,
    /// The layers that hold variables, and in `.keras` and `.weights.h5` also those that hold
    /// none. In a legacy file they are in the order of the model, else sorted by path.
    pub layers: Vec<Variables>,
    /// The state of the optimizer, empty if the file has none. Iteration and learning rate come
    /// first, then the slots.
    pub optimizer: Vec<Variables>,
}

/// The reason why a file of Keras could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KerasError {
    /// The file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file's contents are not what Keras writes.
    #[error("{origin}: {problem}")]
    Contents {
        /// The file.
        origin: String,
        /// The problem, and what to do about it.
        problem: Problem,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A fault in the contents of a file of Keras.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is neither a zip archive nor HDF5.
    #[error("neither a .keras archive nor an HDF5 file; save the model with Keras again")]
    Unknown,
    /// The zip archive is damaged.
    #[error("not a sound .keras archive: {0}; copy or save it again")]
    Archive(#[from] zip::result::ZipError),
    /// The archive lacks a file, or has one in another form.
    #[error("{0}")]
    Member(String),
    /// A configuration is no JSON.
    #[error("{name} is not sound JSON: {source}; save the model again")]
    Json {
        /// The name of the configuration.
        name: &'static str,
        /// The place where it breaks off.
        source: serde_json::Error,
    },
    /// The weights cannot be read or written.
    #[error("{0}")]
    Hdf5(#[from] Hdf5Error),
    /// The groups of the weights are not laid out as Keras does.
    #[error("the weights are not laid out as Keras does: {0}")]
    Layout(String),
}

/// Reads the file at `path`, whatever its name.
///
/// # Errors
/// Fails with [`KerasError::Io`] if the file cannot be read; otherwise as [`parse`].
pub fn read(path: &Path) -> Result<KerasFile, KerasError> {
    let bytes =
        std::fs::read(path).map_err(|source| KerasError::Io { path: path.to_owned(), source })?;
    parse(bytes, path.display().to_string())
}

/// Reads the bytes of a file; `origin` names it in error messages.
///
/// Nothing is executed or written. What is allocated is at most proportional to
/// [`hdf5::MAX_EXPANSION`] times the size of `bytes`, twice for an archive.
///
/// # Errors
/// Fails with [`KerasError::Contents`] if the contents are not those of such a file.
pub fn parse(bytes: Vec<u8>, origin: impl Into<String>) -> Result<KerasFile, KerasError> {
    let parsed = if bytes.starts_with(hdf5::MAGIC) {
        from_hdf5(bytes)
    } else if bytes.starts_with(b"PK") {
        archive::parse(&bytes)
    } else {
        Err(Problem::Unknown)
    };
    parsed.map_err(|problem| KerasError::Contents { origin: origin.into(), problem })
}

fn from_hdf5(bytes: Vec<u8>) -> Result<KerasFile, Problem> {
    let root = hdf5::parse(bytes)?;
    if legacy::is(&root) { legacy::parse(root) } else { variables::parse(root) }
}

impl KerasFile {
    /// Writes the file in its [`KerasFile::format`], atomically. Equal files give equal bytes.
    ///
    /// # Errors
    /// Fails with [`KerasError::Contents`] if the paths of two variables clash or the configuration
    /// is missing; [`KerasError::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), KerasError> {
        let bytes = match self.format {
            Format::Keras => archive::to_bytes(self),
            Format::WeightsH5 => variables::to_bytes(self),
            Format::LegacyH5 => legacy::to_bytes(self),
        };
        let bytes = bytes.map_err(|problem| KerasError::Contents {
            origin: path.display().to_string(),
            problem,
        })?;
        Ok(write_atomically(path, |file| file.write_all(&bytes))?)
    }

    /// Returns the variables of the layer at `path`, as [`Variables::path`] has it; `None` if the
    /// file lists no such layer.
    pub fn layer(&self, path: &str) -> Option<&Variables> {
        self.layers.iter().find(|variables| variables.path == path)
    }
}

fn json(name: &'static str, text: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(text).map_err(|source| Problem::Json { name, source })
}

#[cfg(test)]
mod tests;
