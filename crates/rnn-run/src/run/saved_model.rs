//! Models of the user's, of which the folder of a run is one.

use super::RunFolder;
use crate::arrays::Columns;
use crate::config::trainer;
use crate::host::{self, Host};
use anyhow::{Context, Result};
use rnn::model_file::{self, Compiled, ModelFile};
use rnn::nn::{Model, Optimizer, Precision, Trainer};
use rnn_graph::Device;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A model that a user has as a run folder or a file, with the settings that its run adds.
pub struct SavedModel {
    /// The model.
    pub file: ModelFile,
    /// Precision in which the run was trained; single for other files.
    pub precision: Precision,
    /// The columns of the table that the run was trained on; `None` for other data and for files.
    pub columns: Option<Columns>,
}

/// The part of a run's `config.json` that predictions need.
#[derive(Default, Deserialize)]
struct Trained {
    #[serde(default)]
    precision: Precision,
    #[serde(default)]
    columns: Option<Columns>,
}

impl SavedModel {
    /// Opens a run folder, or a file that [`ModelFile::open`] reads. The host is told which parts
    /// of a file are not used.
    ///
    /// # Errors
    /// Fails if it cannot be read, is damaged, or describes what is not supported.
    pub fn open(path: &Path, host: &Arc<dyn Host>) -> Result<Self> {
        let cannot = || format!("cannot use {}", path.display());
        let Trained { precision, columns } = match path.join("config.json") {
            config if config.exists() => trained(&config).with_context(cannot)?,
            _ => Trained::default(),
        };
        let file = match path.is_dir() && !path.join(model_file::MODEL_JSON).exists() {
            true => of_experiment(path).with_context(cannot)?,
            false => ModelFile::open_with(path, host::warnings(host))?,
        };
        Ok(Self { file, precision, columns })
    }

    /// Returns a trainer that predicts and evaluates with `model`, in the precision of the run and
    /// with the seed 0; `optimizer` matters for training alone.
    ///
    /// # Errors
    /// Fails with [`crate::error::RunError::NoHalf`] if the device does not have that precision.
    pub fn trainer(
        &self,
        model: Model,
        device: &dyn Device,
        optimizer: Optimizer,
    ) -> Result<Trainer> {
        trainer(model, device, (optimizer, 0), self.precision)
    }

    /// Prints the precision of the run among the remarks of the host, unless it is single.
    pub fn tell_precision(&self, host: &dyn Host) {
        if self.precision != Precision::F32 {
            host.warn(format_args!("precision: {}, as it was trained", self.precision));
        }
    }
}

fn trained(config: &Path) -> Result<Trained> {
    let text =
        fs::read_to_string(config).with_context(|| format!("cannot read {}", config.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", config.display()))
}

/// The model of a run of an experiment, of before there was a `model.json`.
fn of_experiment(run: &Path) -> Result<ModelFile> {
    let (_, config) = RunFolder::open(run)?;
    let Compiled { architecture, compile } = config.compiled(&config.model()?);
    Ok(ModelFile::in_folder(run, architecture, Some(compile))?)
}
