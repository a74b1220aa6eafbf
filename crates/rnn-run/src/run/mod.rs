//! The folder of one training run.

mod compared;
pub mod contents;
mod saved_model;

pub use compared::{Compared, Differing};
pub use saved_model::{ModelPath, SavedModel};

use crate::checkpoint::Store;
use crate::config::Config;
use crate::error::RunError;
use crate::measure::{Measured, Results, RunResult};
use anyhow::{Context, Result, bail, ensure};
use contents::{Holds, IMPORT_MARK, exists};
use rnn::model_file::{self, Compiled, MODEL_JSON};
use rnn::nn::{Architecture, Compile, EpochLog, History, Model, OptimizerState, Trainer};
use rnn_data::text::Vocabulary;
use rnn_formats::{check_names, remove_if_there, safetensors, write_atomically};
use serde::de::DeserializeOwned;
use std::fs;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

/// The folder of a run: its configuration, weights, history, results and pictures.
#[derive(Clone, Debug)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// Creates the folder if need be, and checks that files can be written into it.
    ///
    /// # Errors
    /// Fails with [`RunError::Unwritable`] if it cannot be created or written, and with
    /// [`RunError::Linked`] if a link stands in the place of its checkpoints.
    pub fn create(path: &Path) -> Result<Self> {
        contents::check_unlinked(&path.join("checkpoints"))?;
        let unwritable = |source| RunError::Unwritable { folder: path.to_owned(), source };
        fs::create_dir_all(path).map_err(unwritable)?;
        tempfile::tempfile_in(path).map_err(unwritable)?;
        Ok(Self(path.to_owned()))
    }

    /// Checks that a run may begin in a folder, as [`RunFolder::check`] does, and then creates the
    /// folder if need be. Nothing is removed.
    pub fn begin(path: &Path, overwrite: bool) -> Result<Self> {
        Self::check(path, overwrite)?;
        Self::create(path)
    }

    /// Checks that a run may begin in a folder: it does not exist, is empty, holds a run that can
    /// be resumed, or holds a finished run or an imported model and `overwrite` is true. Runs that
    /// can be resumed are refused later, by [`RunFolder::check_unfinished`], when the folder is
    /// locked.
    ///
    /// # Errors
    /// Fails if the system does not give that name to folders ([`check_names`]); with
    /// [`RunError::HoldsRun`], [`RunError::HoldsImported`] or [`RunError::HoldsOther`], by the
    /// contents of the folder; with [`RunError::Occupied`] if a file cannot be written
    /// there; with [`RunError::Unreadable`] if the folder cannot be read.
    pub fn check(path: &Path, overwrite: bool) -> Result<()> {
        check_names(path)?;
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

    /// Checks that the folder does not hold a run that can be resumed. The caller must hold the
    /// folder's [`RunLock`](crate::checkpoint::RunLock), so that no other process changes this
    /// meanwhile.
    ///
    /// # Errors
    /// Fails with [`RunError::HoldsUnfinished`] if the folder holds such a run.
    pub fn check_unfinished(&self) -> Result<()> {
        ensure!(
            !Store::of(&self.0).is_unfinished()?,
            RunError::HoldsUnfinished { folder: self.0.clone() }
        );
        Ok(())
    }

    /// Removes the folder and its subfolder `checkpoints` if they are empty; otherwise does
    /// nothing.
    pub fn abandon(self) {
        // These fail where there is something to keep: checkpoints, an earlier run.
        let _ = fs::remove_dir(self.0.join("checkpoints"));
        let _ = fs::remove_dir(self.0);
    }

    /// Writes what evaluation needs into the folder: the weights, the state of the optimizer,
    /// `model.json`, and last `config.json`, which makes the folder that of a finished run. An
    /// earlier `config.json` is removed first.
    ///
    /// # Errors
    /// Fails if the weights or the state of the optimizer cannot be read from the device, or a file
    /// cannot be written or removed. The folder then has no `config.json`, unless the earlier one
    /// is the file that cannot be removed.
    pub fn save(&self, config: &Config, trainer: &mut Trainer) -> Result<()> {
        self.remove("config.json")?;
        let kept = trainer.optimizer_state()?;
        let model = trainer.model()?;
        let Compiled { architecture, compile } = config.compiled(model);
        model_file::save(self.path(), &architecture, Some(&compile), (model, kept.as_ref()))?;
        let config = config.kept_in(self.path());
        self.write_text("config.json", &serde_json::to_string_pretty(&config)?)
    }

    /// Writes a model into the folder that was not trained here: the weights, the state of the optimizer,
    /// and last `model.json`; an earlier `model.json` is removed first. Until the end a file marks the
    /// folder, so that an import which is broken off can be called again.
    ///
    /// # Errors
    /// Fails if `model.json` cannot express the model, or a file cannot be written or removed.
    pub fn import(
        &self,
        architecture: &Architecture,
        compile: Option<&Compile>,
        of: (&Model, Option<&OptimizerState>),
    ) -> Result<()> {
        self.write_text(IMPORT_MARK, "")?;
        self.remove(MODEL_JSON)?;
        model_file::save(self.path(), architecture, compile, of)?;
        // A mark that stays does no harm: there is a `model.json` beside it.
        let _ = self.remove(IMPORT_MARK);
        Ok(())
    }

    /// Removes a file, if it is there.
    fn remove(&self, name: &str) -> Result<()> {
        let file = self.file(name);
        remove_if_there(&file).with_context(|| format!("cannot remove {}", file.display()))
    }

    /// Opens the folder of a finished run and reads its configuration.
    ///
    /// # Errors
    /// Fails with [`RunError::Unfinished`] if the folder holds a run that can be resumed, and with
    /// [`RunError::Imported`] if it holds an imported model. Fails also if `config.json` is missing
    /// or damaged.
    pub fn open(path: &Path) -> Result<(Self, Config)> {
        let file = path.join("config.json");
        if !exists(&file)? {
            let folder = path.to_owned();
            ensure!(!Store::of(path).is_unfinished()?, RunError::Unfinished { run: folder });
            ensure!(!exists(&path.join(MODEL_JSON))?, RunError::Imported { folder });
            bail!("{} is not the folder of a finished run: no config.json", path.display());
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
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
    /// Fails if it cannot be created, and with [`RunError::Linked`] if it is a symbolic link.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        contents::check_unlinked(&path)?;
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }

    /// Loads the weights of the run from `weights.safetensors` into `model`, which must have the
    /// run's weights by name and shape.
    ///
    /// # Errors
    /// Fails if the file is missing or damaged, or lacks a weight of the model or has it in another
    /// shape.
    pub fn load_weights(&self, model: &mut Model) -> Result<()> {
        let (weights, _) = safetensors::load(&self.file(model_file::WEIGHTS))?;
        Ok(model.set_weights(&weights)?)
    }

    /// Writes `vocabulary.json`: the words that the model knows, and how texts are split into
    /// words. If `vocabulary` is `None`, an earlier file is removed.
    pub fn save_vocabulary(&self, vocabulary: Option<&Vocabulary>) -> Result<()> {
        match vocabulary {
            Some(words) => self.write_text("vocabulary.json", &serde_json::to_string(words)?),
            None => self.remove("vocabulary.json"),
        }
    }

    /// Reads the words that the model knows; `None` if the run has no `vocabulary.json`.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is damaged.
    pub fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        let there = exists(&self.file("vocabulary.json"))?;
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

    /// Returns the contents of `tensorboard.txt`, the path of the folder of the run's TensorBoard
    /// curves, so that a resumed training appends to them. The path is relative to the run if it
    /// lies inside.
    ///
    /// # Errors
    /// Fails if the path cannot be made absolute, and with [`RunError::NotUtf8`] if it is no text.
    pub fn curves_note(&self, folder: &Path) -> Result<String> {
        let place = match folder.strip_prefix(&self.0) {
            Ok(inside) => inside.to_owned(),
            Err(_) => std::path::absolute(folder)?,
        };
        match place.to_str() {
            Some(text) => Ok(format!("{text}\n")),
            None => bail!(RunError::NotUtf8 { path: place }),
        }
    }

    /// Reads the path of the folder of the run's TensorBoard curves; `None` if it has none.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or leads out of the run by a relative path.
    pub fn curves_folder(&self) -> Result<Option<PathBuf>> {
        let file = self.file(contents::CURVES_NOTE);
        if !exists(&file)? {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let place = Path::new(text.trim_end_matches(['\r', '\n']));
        let leads_out =
            place.is_relative() && place.components().any(|c| c == Component::ParentDir);
        ensure!(!leads_out, "{} leads out of the run: remove it", file.display());
        Ok(Some(self.0.join(place)))
    }

    /// Makes sure that what is written to `path` stays in the run if it lies there: no folder on
    /// the way is a symbolic link, whoever made the run. Paths elsewhere pass.
    ///
    /// # Errors
    /// Fails with [`RunError::Linked`] if one is.
    pub fn check_unlinked(&self, path: &Path) -> Result<(), RunError> {
        let mut inside = path.ancestors().take_while(|above| *above != self.0);
        match path.starts_with(&self.0) {
            true => inside.try_for_each(contents::check_unlinked),
            false => Ok(()),
        }
    }

    /// Writes `results.json` and `report.json`. The history is written by
    /// [`RunFolder::save_history`].
    pub fn save_result(&self, RunResult { results, measured, .. }: &RunResult) -> Result<()> {
        self.write_text("results.json", &serde_json::to_string_pretty(results)?)?;
        self.write_text("report.json", &serde_json::to_string_pretty(measured)?)
    }

    /// Reads the history, the results and the measurements of the run from their files.
    pub fn result(&self) -> Result<RunResult> {
        Ok(RunResult {
            history: self.history()?,
            results: self.results()?,
            measured: self.measured()?,
        })
    }

    /// Reads the metrics of the run after its last epoch from `results.json`.
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

    /// Reads the further measurements of the run from `report.json`. A run of an earlier version
    /// has no such file; for it, returns [`Measured::default`].
    pub fn measured(&self) -> Result<Measured> {
        match exists(&self.file("report.json"))? {
            true => self.read_json("report.json"),
            false => Ok(Measured::default()),
        }
    }

    /// Returns the numbers of the videos with a rollout in the folder, in ascending order. A
    /// rollout is a subfolder `rollout-N` that holds an `errors.csv`, N being the number of the
    /// video.
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

    /// Writes `text` to the file `name` in the folder. An existing file is replaced as a whole.
    ///
    /// # Errors
    /// Fails if the file cannot be written; an existing file then stays as it was.
    pub fn write_text(&self, name: &str, text: &str) -> Result<()> {
        Ok(write_atomically(&self.file(name), |file| file.write_all(text.as_bytes()))?)
    }
}
