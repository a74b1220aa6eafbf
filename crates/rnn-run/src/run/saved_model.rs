//! Models that a user has as the folder of a run or as a file.

use super::RunFolder;
use super::contents::exists;
use crate::arrays::Columns;
use crate::config::trainer;
use crate::host::{self, Host};
use anyhow::{Context, Result};
use rnn::model_file::{self, Compiled, ModelFile};
use rnn::nn::{Model, Optimizer, Precision, Trainer};
use rnn_formats::keras;
use rnn_graph::Device;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a model is.
#[derive(Clone, Debug, Default)]
pub struct ModelPath {
    /// The folder of a run, or a file.
    pub path: PathBuf,
    /// The file that describes the model, if that at `path` holds weights alone.
    pub architecture: Option<PathBuf>,
}

impl<P: Into<PathBuf>> From<P> for ModelPath {
    fn from(path: P) -> Self {
        Self { path: path.into(), architecture: None }
    }
}

/// A model from the folder of a run or from a file, with the settings of the run.
pub struct SavedModel {
    /// The model.
    pub file: ModelFile,
    /// Precision in which the run was trained; single precision for files.
    pub precision: Precision,
    /// The columns of the `.csv` that the run was trained on; `None` for other data and for files.
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
    /// Opens the folder of a run, or a file as [`ModelFile::open`] does, or as
    /// [`ModelFile::open_weights`] where an architecture is given. [`Host::warn`] of `host` is called for each part of a file that is not used.
    ///
    /// # Errors
    /// Fails if the folder or file cannot be read, is damaged, or describes something that is not
    /// supported.
    pub fn open(model: &ModelPath, host: &Arc<dyn Host>) -> Result<Self> {
        let ModelPath { path, architecture } = model;
        let of_file = |file| Self { file, precision: Precision::default(), columns: None };
        if let Some(architecture) = architecture {
            let file = ModelFile::open_weights(path, architecture, host::warnings(host))?;
            return Ok(of_file(file));
        }
        if keras::is_unpacked(path) {
            return Ok(of_file(ModelFile::open_with(path, host::warnings(host))?));
        }
        let cannot = || format!("cannot use {}", path.display());
        let Trained { precision, columns } = match path.join("config.json") {
            config if exists(&config)? => trained(&config).with_context(cannot)?,
            _ => Trained::default(),
        };
        let foreign = exists(&path.join("saved_model.pb"))?;
        let file = match path.is_dir() && !foreign && !exists(&path.join(model_file::MODEL_JSON))? {
            true => of_experiment(path).with_context(cannot)?,
            false => ModelFile::open_with(path, host::warnings(host))?,
        };
        Ok(Self { file, precision, columns })
    }

    /// Returns a trainer to predict and evaluate with `model`, in the precision of the run and with
    /// the seed 0. `optimizer` matters only for training.
    pub fn trainer(
        &self,
        model: Model,
        device: &dyn Device,
        optimizer: Optimizer,
    ) -> Result<Trainer> {
        trainer(model, device, (optimizer, 0), self.precision)
    }

    /// Passes a line with the precision of the run to [`Host::warn`] of `host`, unless it is single
    /// precision.
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
