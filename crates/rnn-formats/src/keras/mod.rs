//! Keras's model files: `.keras`, `.weights.h5`, and the `.h5` of Keras 2 and 3.
//!
//! Read from `keras/src/saving/saving_lib.py` and `keras/src/legacy/saving/legacy_h5_format.py`
//! of Keras 3.15.1, and from files that it writes.

mod archive;
mod legacy;
mod variables;

use crate::budget;
use crate::hdf5::{self, Hdf5Error};
use crate::{WriteError, write_atomically};
use rnn_core::HostTensor;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The version of Keras whose file layout [`KerasFile::write`] produces.
pub const KERAS_VERSION: &str = "3.15.1";

/// A file format in which Keras stores models or weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.keras`: a zip archive of the configuration and a `.weights.h5`.
    Keras,
    /// `.weights.h5`: HDF5 with the variables, named by their place in the model.
    WeightsH5,
    /// `.h5`: HDF5 with the variables, named by layer, and the configuration unless only weights
    /// were saved.
    LegacyH5,
}

impl Format {
    /// Returns the format that Keras uses for a file of this name, judged by the end of the name:
    /// `.keras`, `.weights.h5`, or for [`Self::LegacyH5`] `.h5` or `.hdf5`, all in lower case.
    /// `None` for other names. The file need not exist.
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

/// The variables of one layer, cell or optimizer in a Keras file.
#[derive(Clone, Debug, PartialEq)]
pub struct Variables {
    /// Path of the HDF5 group. In `.keras` and `.weights.h5` it is the object's place in the model,
    /// without the last part `vars`, such as `layers/bidirectional/forward_layer/cell`. Its parts
    /// are class names in snake case, numbered in the order of the model. In a legacy file it is
    /// the layer's name.
    pub path: String,
    /// Name of the layer in the configuration; empty if the file does not hold it.
    pub name: String,
    /// The variables with their names, in Keras's order. In `.keras` and `.weights.h5` the names
    /// are `0`, `1`, ..; in a legacy file they are paths such as `sequential/dense/kernel` or
    /// `dense_1/kernel:0`.
    pub tensors: Vec<(String, HostTensor)>,
}

/// The contents of a Keras file: the configuration and the variables of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct KerasFile {
    /// The format from which the file was read, or in which it is written.
    pub format: Format,
    /// The version of Keras that wrote the file; `None` if the file does not state it.
    /// [`KerasFile::write`] then states [`KERAS_VERSION`].
    pub version: Option<String>,
    /// The configuration of the model: `class_name`, `config` and, in `.keras`, the further keys
    /// that Keras stores beside them. `None` if only weights were saved.
    pub config: Option<Value>,
    /// The arguments of `compile`: `compile_config` in `.keras`, `training_config` in `.h5`. `None`
    /// if the model was not compiled, or only weights were saved.
    pub compile: Option<Value>,
    /// The layers with variables, in the order of the model in a legacy file, else in the order of
    /// their paths. In `.keras` and `.weights.h5` layers without variables are listed too.
    pub layers: Vec<Variables>,
    /// The state of the optimizer; empty if the file has none. Its variables are in Keras's order;
    /// in files of Keras 3 these are the iteration, the learning rate, then the slots.
    pub optimizer: Vec<Variables>,
}

/// The reason why a Keras file could not be read or written.
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
    /// The file is not as Keras writes it, or the contents cannot be written in the format.
    #[error("{origin}: {problem}")]
    Contents {
        /// The name of the file.
        origin: String,
        /// The problem, and what to do about it.
        problem: Problem,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A fault in the contents of a Keras file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file is neither a zip archive nor HDF5.
    #[error("neither a .keras archive nor an HDF5 file; save the model with Keras again")]
    Unknown,
    /// The zip archive is damaged.
    #[error("not a sound .keras archive: {0}; copy or save it again")]
    Archive(#[from] zip::result::ZipError),
    /// A file of the archive is missing or too large, or a `.keras` file was to be written without
    /// a configuration. The text is the problem.
    #[error("{0}")]
    Member(String),
    /// A configuration is not JSON.
    #[error("{name} is not sound JSON: {source}; save the model again")]
    Json {
        /// The name of the configuration.
        name: &'static str,
        /// The error of the JSON reader, with the position.
        source: serde_json::Error,
    },
    /// The weights cannot be read or written as HDF5.
    #[error("{0}")]
    Hdf5(#[from] Hdf5Error),
    /// The groups of the weights are not laid out as Keras does it, or would clash. The text is the
    /// problem.
    #[error("the weights are not laid out as Keras does: {0}")]
    Layout(String),
}

/// Returns true for a folder that holds the three files of a `.keras` archive.
pub fn is_unpacked(path: &Path) -> bool {
    archive::MEMBERS.iter().all(|member| path.join(member).is_file())
}

/// Reads the Keras file at `path`. Its format is recognized from its contents, not from its name.
/// It may be a folder into which a `.keras` file was unpacked.
///
/// # Errors
/// Fails with [`KerasError::Io`] if the file cannot be read, and with [`KerasError::Contents`] as
/// [`parse`] does.
pub fn read(path: &Path) -> Result<KerasFile, KerasError> {
    let bytes = |path: &Path| {
        std::fs::read(path).map_err(|source| KerasError::Io { path: path.to_owned(), source })
    };
    let origin = path.display().to_string();
    if is_unpacked(path) {
        let [metadata, config, weights] = archive::MEMBERS.map(|member| bytes(&path.join(member)));
        return archive::assemble([metadata?, config?, weights?], None)
            .map_err(|problem| KerasError::Contents { origin, problem });
    }
    parse(bytes(path)?, origin)
}

/// Reads the bytes of a Keras file, whose format is recognized from its contents. `origin` is its
/// name in error messages.
///
/// Nothing is executed or written. The weights may unpack to [`budget::unpacked`] of the size of
/// `bytes`, and the configuration may have as many values as [`budget::Text::check`] allows.
///
/// # Errors
/// Fails with [`KerasError::Contents`] if the contents are not those of a Keras file.
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
    let size = bytes.len() as u64;
    let root = hdf5::parse(bytes)?;
    if legacy::is(&root) { legacy::parse(root, size) } else { variables::parse(root) }
}

impl KerasFile {
    /// Writes the contents to `path` in their [`KerasFile::format`], atomically. Equal contents
    /// give equal bytes. What the format has no place for is left out: in `.weights.h5` the
    /// version, the configuration and the arguments of `compile`; in a legacy file an optimizer of
    /// more than one [`Variables`].
    ///
    /// # Errors
    /// Fails with [`KerasError::Contents`] if the paths of two variables clash, a `.keras` file has
    /// no configuration, or the weights cannot be stored in HDF5; and with [`KerasError::Write`] if
    /// the file cannot be written.
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

    /// Returns the variables of the layer whose [`Variables::path`] is `path`; `None` if the file
    /// lists no such layer.
    pub fn layer(&self, path: &str) -> Option<&Variables> {
        self.layers.iter().find(|variables| variables.path == path)
    }
}

/// Parses a configuration of a file of `size` bytes.
fn json(name: &'static str, text: &[u8], size: u64) -> Result<Value, Problem> {
    let over = |_| Problem::Member(format!("{name} is too large: {}", budget::OverBudget));
    budget::Text::Json.check(text, size).map_err(over)?;
    serde_json::from_slice(text).map_err(|source| Problem::Json { name, source })
}

#[cfg(test)]
mod tests;
