//! The folder of one training run.

use crate::checkpoint::Store;
use crate::data::Source;
use crate::experiment::{Experiment, Preset};
use crate::model_file;
use crate::nn::{
    Compile, EpochLog, History, InputSpec, Loss, Metrics, Model, ModelError, Tally, Trainer,
};
use crate::plot::{Series, curves};
use crate::report::Measured;
use anyhow::{Context, Result};
use rnn_data::text::Vocabulary;
use rnn_formats::{safetensors, write_atomically};
use rnn_graph::Device;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What was trained and how: `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// The model.
    pub experiment: Experiment,
    /// Whose defaults it follows.
    #[serde(default)]
    pub preset: Preset,
    /// The reviews or films.
    pub data: Source,
    /// Tokens of a review, or frames of a film.
    pub length: usize,
    /// Examples in a step.
    pub batch_size: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// Decides first weights, split and order.
    pub seed: u64,
    /// At most so many examples of each set.
    pub limit: Option<usize>,
    /// The words of the reviews by rank, as Keras's `imdb_word_index.json` lists them.
    #[serde(default)]
    pub word_index: Option<PathBuf>,
    /// Where it was trained.
    pub device: String,
}

impl Config {
    /// The model with its first weights.
    ///
    /// # Errors
    /// If the reviews are too short for it.
    pub fn model(&self) -> Result<Model, ModelError> {
        let input = match &self.data {
            Source::Movies(movies) => InputSpec::floats([self.length, movies.size, movies.size, 1]),
            _ => InputSpec::Tokens(self.length),
        };
        self.experiment.model(input, self.preset, self.seed)
    }

    /// A trainer of a model with what the experiment asks for.
    pub fn trainer(&self, model: Model, device: &dyn Device) -> Trainer {
        let optimizer = self.experiment.optimizer(self.preset);
        Trainer::new(model, device, optimizer, self.seed).tally(self.experiment.tally())
    }

    /// How the experiment is trained, for `model.json`.
    pub fn compile(&self) -> Compile {
        let optimizer = self.experiment.optimizer(self.preset);
        Compile { optimizer, losses: vec![(Loss::BinaryCrossentropy, 1.0)] }
    }

    /// Which model on what, for the head of every result.
    pub fn title(&self) -> String {
        format!("{} on {}", self.experiment.name(), self.data.name())
    }
}

/// What a run came to on the test data: `results.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Trainable parameters.
    pub parameters: usize,
    /// Of the test data.
    #[serde(flatten)]
    pub test: Metrics,
    /// Mean wall time of the training part of an epoch.
    pub seconds_per_epoch: f64,
}

/// A folder with config, weights, history and pictures.
#[derive(Clone, Debug)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// Makes sure of the folder, before any work that would be lost if it could not be written.
    ///
    /// # Errors
    /// If the folder cannot be made or written.
    pub fn create(path: &Path) -> Result<Self> {
        let advice =
            || format!("cannot write to the folder {}; choose another with --out", path.display());
        fs::create_dir_all(path).with_context(advice)?;
        tempfile::tempfile_in(path).with_context(advice)?;
        Ok(Self(path.to_owned()))
    }

    /// Removes the folder again if nothing has been written to it.
    pub fn abandon(self) {
        // These fail where there is something to keep: checkpoints, an earlier run.
        let _ = fs::remove_dir(self.0.join("checkpoints"));
        let _ = fs::remove_dir(self.0);
    }

    /// Writes what evaluation needs: weights, `model.json`, and `config.json`, whose presence marks
    /// the run as finished.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, config: &Config, model: &Model) -> Result<()> {
        let mark = self.file("config.json");
        if mark.exists() {
            fs::remove_file(&mark).with_context(|| format!("cannot replace {}", mark.display()))?;
        }
        model_file::save(self, &model.architecture(), Some(&config.compile()), model)?;
        self.write_text("config.json", &serde_json::to_string_pretty(config)?)
    }

    /// Opens the folder of an earlier run.
    ///
    /// # Errors
    /// If it holds no readable `config.json`.
    pub fn open(path: &Path) -> Result<(Self, Config)> {
        let file = path.join("config.json");
        let text = fs::read_to_string(&file).with_context(|| {
            let (folder, path) = (path, path.display());
            match Store::of(folder).is_unfinished() {
                true => format!("the run in {path} is not finished: rnn-gpu train --resume {path}"),
                false => format!("{path} is not the folder of a finished run: no config.json"),
            }
        })?;
        let config = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged", file.display()))?;
        Ok((Self(path.to_owned()), config))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A folder in it, made if need be.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }

    /// Puts the weights of the run into a model.
    ///
    /// # Errors
    /// If the file is missing, damaged, or of another model.
    pub fn load_weights(&self, model: &mut Model) -> Result<()> {
        let (weights, _) = safetensors::load(&self.file(model_file::WEIGHTS))?;
        Ok(model.set_weights(&weights)?)
    }

    /// Writes `vocabulary.json`: the words that the model knows, and how they are found in text.
    /// That of an earlier run goes, where they are not known.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_vocabulary(&self, vocabulary: Option<&Vocabulary>) -> Result<()> {
        let file = self.file("vocabulary.json");
        match vocabulary {
            Some(words) => self.write_text("vocabulary.json", &serde_json::to_string(words)?),
            None if file.exists() => Ok(fs::remove_file(&file)
                .with_context(|| format!("cannot remove {}", file.display()))?),
            None => Ok(()),
        }
    }

    /// The words that the model knows, if the run has them.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        let there = self.file("vocabulary.json").exists();
        there.then(|| self.read_json("vocabulary.json")).transpose()
    }

    /// Writes `history.csv`, `history.json` and `curves.png`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save_history(&self, config: &Config, history: &History) -> Result<()> {
        self.write_text("history.json", &serde_json::to_string_pretty(history)?)?;
        let lines: String = history.epochs.iter().map(EpochLog::csv).collect();
        self.write_text("history.csv", &format!("{}{lines}", EpochLog::CSV_NAMES))?;
        let series = |name: &str, epochs| Series { name: name.into(), epochs };
        let train = history.epochs.iter().map(|e| e.train).collect();
        let validation: Vec<Metrics> = history.epochs.iter().filter_map(|e| e.validation).collect();
        let mut all = vec![series("train", train)];
        all.extend((!validation.is_empty()).then(|| series("validation", validation)));
        let classes = config.experiment.tally() != Tally::Regression;
        curves(&self.file("curves.png"), &config.title(), classes, &all)
    }

    /// Writes `results.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_results(&self, results: &Results) -> Result<()> {
        self.write_text("results.json", &serde_json::to_string_pretty(results)?)
    }

    /// What the run came to.
    ///
    /// # Errors
    /// If the run has not been measured.
    pub fn results(&self) -> Result<Results> {
        self.read_json("results.json")
    }

    /// The course of the training.
    ///
    /// # Errors
    /// If the run has no readable history.
    pub fn history(&self) -> Result<History> {
        self.read_json("history.json")
    }

    /// Writes `report.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_measured(&self, measured: &Measured) -> Result<()> {
        self.write_text("report.json", &serde_json::to_string_pretty(measured)?)
    }

    /// What else was measured; nothing in runs of earlier versions.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn measured(&self) -> Result<Measured> {
        match self.file("report.json").exists() {
            true => self.read_json("report.json"),
            false => Ok(Measured::default()),
        }
    }

    /// The numbers of the films that were rolled out, in order.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn rollouts(&self) -> Result<Vec<usize>> {
        let entries = fs::read_dir(&self.0)
            .with_context(|| format!("cannot read the folder {}", self.0.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
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

    /// Writes a text file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<()> {
        Ok(write_atomically(&self.file(name), |file| file.write_all(text.as_bytes()))?)
    }
}
