//! The option that tells which model a file of weights alone is of.

use rnn_run::run::ModelPath;
use std::path::PathBuf;

/// The option of all commands that open a model's file.
#[derive(Clone, Debug, clap::Args)]
pub struct ArchitectureArg {
    /// The model of a file of weights alone, such as .weights.h5: the JSON of Keras's
    /// model.to_json(), or a .keras, .h5 or model.toml
    #[arg(long, value_name = "model.json")]
    architecture: Option<PathBuf>,
}

impl ArchitectureArg {
    /// Returns the model whose file is at `path`.
    pub fn of(&self, path: impl Into<PathBuf>) -> ModelPath {
        ModelPath { path: path.into(), architecture: self.architecture.clone() }
    }

    /// Returns true if the option is given.
    pub fn is_given(&self) -> bool {
        self.architecture.is_some()
    }
}
