//! The folder of one training run.

mod compared;
pub mod contents;
mod saved_model;

pub use compared::{Compared, Differing};
pub use saved_model::SavedModel;

use crate::checkpoint::Store;
use crate::config::Config;
use crate::error::RunError;
use crate::measure::{Measured, Results, RunResult};
use anyhow::{Context, Result, bail, ensure};
use contents::Holds;
use rnn::model_file::{self, Compiled};
use rnn::nn::{EpochLog, History, Model, Trainer};
use rnn_data::text::Vocabulary;
use rnn_formats::{safetensors, write_atomically};
use serde::de::DeserializeOwned;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of a run: its configuration, weights, history, results and pictures.
#[derive(Clone, Debug)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// Creates the folder if need be, and makes sure that it can be written before any work would
    /// be lost.
    ///
    /// # Errors
    /// Fails with [`RunError::Unwritable`] if it cannot be created or written.
    pub fn create(path: &Path) -> Result<Self> {
        let unwritable = |source| RunError::Unwritable { folder: path.to_owned(), source };
        fs::create_dir_all(path).map_err(unwritable)?;
        tempfile::tempfile_in(path).map_err(unwritable)?;
        Ok(Self(path.to_owned()))
    }

    /// Checks that a run may begin in a folder, as [`RunFolder::check`] does with the same
    /// `overwrite`, and creates the folder if need be. Nothing is removed yet.
    ///
    /// # Errors
    /// Fails as [`RunFolder::check`] and [`RunFolder::create`].
    pub fn begin(path: &Path, overwrite: bool) -> Result<Self> {
        Self::check(path, overwrite)?;
        Self::create(path)
    }

    /// Makes sure that a run may begin in a folder: it does not exist, is empty, or holds a run or
    /// an imported model and `overwrite` is true. A run that can be resumed is not refused here,
    /// but by [`RunFolder::check_unfinished`].
    ///
    /// # Errors
    /// Fails with [`RunError::HoldsRun`], [`RunError::HoldsImported`] or [`RunError::HoldsOther`],
    /// by the contents of the folder; with [`RunError::Occupied`] if a file cannot be written
    /// there; with [`RunError::Unreadable`] if the folder cannot be read.
    pub fn check(path: &Path, overwrite: bool) -> Result<()> {
        let folder = path.to_owned();
        match Holds::of(path)? {
            Holds::Other(other) => {
                let entry = other.file_name().unwrap_or(other.as_os_str()).display().to_string();
                bail!(RunError::HoldsOther { folder, entry })
            }
            Holds::Run if !overwrite => bail!(RunError::HoldsRun { folder }),
            Holds::Imported if !overwrite => bail!(RunError::HoldsImported { folder }),
            // Another process may be at work on it: see `RunFolder::check_unfinished`.
            _ => contents::check_room(path),
        }
    }

    /// Makes sure that the folder, which is locked, does not hold a run that can be resumed.
    ///
    /// # Errors
    /// Fails with [`RunError::HoldsUnfinished`] if it does.
    pub fn check_unfinished(&self) -> Result<()> {
        ensure!(
            !Store::of(&self.0).is_unfinished(),
            RunError::HoldsUnfinished { folder: self.0.clone() }
        );
        Ok(())
    }

    /// Removes the folder and its subfolder `checkpoints` if they are empty, as they are when
    /// nothing has been written to them; otherwise does nothing.
    pub fn abandon(self) {
        // These fail where there is something to keep: checkpoints, an earlier run.
        let _ = fs::remove_dir(self.0.join("checkpoints"));
        let _ = fs::remove_dir(self.0);
    }

    /// Writes everything that evaluation needs: the weights, the state of the optimizer,
    /// `model.json`, and last `config.json`, which marks the run as finished.
    ///
    /// # Errors
    /// Fails if the weights or the state of the optimizer cannot be read from the device, or a file
    /// cannot be written or removed. The run then does not count as finished.
    pub fn save(&self, config: &Config, trainer: &mut Trainer) -> Result<()> {
        let mark = self.file("config.json");
        if mark.exists() {
            fs::remove_file(&mark).with_context(|| format!("cannot replace {}", mark.display()))?;
        }
        let kept = trainer.optimizer_state()?;
        let model = trainer.model()?;
        let Compiled { architecture, compile } = config.compiled(model);
        model_file::save(self.path(), &architecture, Some(&compile), (model, kept.as_ref()))?;
        let config = config.kept_in(self.path());
        self.write_text("config.json", &serde_json::to_string_pretty(&config)?)
    }

    /// Opens the folder of a finished run and reads its configuration.
    ///
    /// # Errors
    /// Fails with [`RunError::Unfinished`] or [`RunError::Imported`] if it holds such a model;
    /// otherwise if it has no readable `config.json`.
    pub fn open(path: &Path) -> Result<(Self, Config)> {
        let file = path.join("config.json");
        let text = match fs::read_to_string(&file) {
            Err(_) if Store::of(path).is_unfinished() => {
                bail!(RunError::Unfinished { run: path.to_owned() })
            }
            Err(_) if path.join(model_file::MODEL_JSON).exists() => {
                bail!(RunError::Imported { folder: path.to_owned() })
            }
            text => text.with_context(|| {
                format!("{} is not the folder of a finished run: no config.json", path.display())
            })?,
        };
        let damaged = || format!("{} is damaged", file.display());
        let config: Config = serde_json::from_str(&text).with_context(damaged)?;
        config.check().with_context(damaged)?;
        Ok((Self(path.to_owned()), config.found_in(path)))
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the file `name` in the folder; it need not exist.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the path of the subfolder `name`, which is created if need be.
    ///
    /// # Errors
    /// Fails if it cannot be created.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }

    /// Loads the weights of the run from `weights.safetensors` into a model of its architecture, in
    /// place of those that it has.
    ///
    /// # Errors
    /// Fails if the file is missing or damaged, or its weights are not those of the model.
    pub fn load_weights(&self, model: &mut Model) -> Result<()> {
        let (weights, _) = safetensors::load(&self.file(model_file::WEIGHTS))?;
        Ok(model.set_weights(&weights)?)
    }

    /// Writes `vocabulary.json`, the words that the model knows and the rules by which they are
    /// found in text. If `vocabulary` is `None`, removes that of an earlier run.
    ///
    /// # Errors
    /// Fails if the file cannot be written or removed.
    pub fn save_vocabulary(&self, vocabulary: Option<&Vocabulary>) -> Result<()> {
        let file = self.file("vocabulary.json");
        match vocabulary {
            Some(words) => self.write_text("vocabulary.json", &serde_json::to_string(words)?),
            None if file.exists() => Ok(fs::remove_file(&file)
                .with_context(|| format!("cannot remove {}", file.display()))?),
            None => Ok(()),
        }
    }

    /// Reads the words that the model knows; `None` if the run has no `vocabulary.json`.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        let there = self.file("vocabulary.json").exists();
        there.then(|| self.read_json("vocabulary.json")).transpose()
    }

    /// Writes the metrics of each epoch as `history.csv` and `history.json`.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn save_history(&self, history: &History) -> Result<()> {
        self.write_text("history.json", &serde_json::to_string_pretty(history)?)?;
        let lines: String = history.epochs.iter().map(EpochLog::csv).collect();
        self.write_text("history.csv", &format!("{}{lines}", EpochLog::CSV_NAMES))
    }

    /// Writes `tensorboard.txt`, the path of the folder of the run's TensorBoard curves, so that a
    /// resumed training appends to them. The path is relative to the run if it lies inside.
    ///
    /// # Errors
    /// Fails if the file cannot be written, or the path cannot be made absolute.
    pub fn save_curves_folder(&self, folder: &Path) -> Result<()> {
        let place = match folder.strip_prefix(&self.0) {
            Ok(inside) => inside.to_owned(),
            Err(_) => std::path::absolute(folder)?,
        };
        self.write_text(contents::CURVES_NOTE, &format!("{}\n", place.display()))
    }

    /// Reads the path of the folder of the run's TensorBoard curves; `None` if it has none.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn curves_folder(&self) -> Result<Option<PathBuf>> {
        let file = self.file(contents::CURVES_NOTE);
        if !file.exists() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Some(self.0.join(text.trim_end_matches(['\r', '\n']))))
    }

    /// Writes `results.json` and `report.json`; the history has files of its own.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn save_result(&self, RunResult { results, measured, .. }: &RunResult) -> Result<()> {
        self.write_text("results.json", &serde_json::to_string_pretty(results)?)?;
        self.write_text("report.json", &serde_json::to_string_pretty(measured)?)
    }

    /// Reads history, results and measurements of the run from their files.
    ///
    /// # Errors
    /// Fails as [`RunFolder::history`], [`RunFolder::results`] and [`RunFolder::measured`].
    pub fn result(&self) -> Result<RunResult> {
        Ok(RunResult {
            history: self.history()?,
            results: self.results()?,
            measured: self.measured()?,
        })
    }

    /// Reads the metrics of the run at its end from `results.json`.
    ///
    /// # Errors
    /// Fails if the file is missing or damaged.
    pub fn results(&self) -> Result<Results> {
        self.read_json("results.json")
    }

    /// Reads the metrics of each epoch from `history.json`.
    ///
    /// # Errors
    /// Fails if the file is missing or damaged.
    pub fn history(&self) -> Result<History> {
        self.read_json("history.json")
    }

    /// Reads the further measurements of the run from `report.json`. Runs of earlier versions have
    /// no such file and get empty ones.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn measured(&self) -> Result<Measured> {
        match self.file("report.json").exists() {
            true => self.read_json("report.json"),
            false => Ok(Measured::default()),
        }
    }

    /// Returns the numbers of the videos that were rolled out into the folder, in ascending order:
    /// those of its subfolders `rollout-N` that hold an `errors.csv`.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    pub fn rollouts(&self) -> Result<Vec<usize>> {
        let entries = fs::read_dir(&self.0)
            .with_context(|| format!("cannot read the folder {}", self.0.display()))?;
        // Of an earlier run a folder may be left with files of the user's.
        let is_whole = |entry: &fs::DirEntry| entry.path().join("errors.csv").is_file();
        let entries = entries.flatten().filter(is_whole);
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let number = |name: String| name.strip_prefix("rollout-")?.parse().ok();
        let mut all: Vec<usize> = names.filter_map(number).collect();
        all.sort_unstable();
        Ok(all)
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let file = self.file(name);
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{} has no {name}: train it to the end", self.0.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))
    }

    /// Writes `text` to the file `name` in the folder, in place of an earlier one, atomically.
    ///
    /// # Errors
    /// Fails if the file cannot be written; an earlier one then stays as it was.
    pub fn write_text(&self, name: &str, text: &str) -> Result<()> {
        Ok(write_atomically(&self.file(name), |file| file.write_all(text.as_bytes()))?)
    }
}
