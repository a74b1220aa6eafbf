//! The settings of a run, the model and how it is trained: `config.json`.

mod paths;
mod stopping;
mod words;

pub use stopping::Stopping;

use crate::arrays::Columns;
use crate::error::RunError;
use crate::experiment::{Experiment, Preset};
use crate::forecast::Forecast;
use crate::source::DatasetSource;
use anyhow::{Error, Result, ensure};
use rnn::nn::{
    Architecture, Compile, EarlyStopping, InputSpec, Loss, MetricSums, Model, Optimizer, Precision,
    Trainer,
};
use rnn::{model_file::Compiled, short};
use rnn_graph::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use words::words;

/// The largest number of examples in a step of one rank.
pub const MAX_BATCH: usize = 1 << 20;
/// The most processes that train together.
const MAX_RANKS: usize = 1 << 16;

/// The settings of a run, which `config.json` in its folder holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// The model, and its data.
    #[serde(flatten)]
    pub task: Task,
    /// Examples in a step, for each rank.
    pub batch_size: usize,
    /// Number of processes that train together.
    #[serde(default = "alone")]
    pub ranks: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// Seed of the first weights, of dropout, of the split and of the order of examples.
    pub seed: u64,
    /// Precision of the training, single or mixed.
    #[serde(default)]
    pub precision: Precision,
    /// The most examples that each set has; `None` for no limit.
    pub limit: Option<usize>,
    /// Name of the device that trained it, with the number of ranks if there are several.
    pub device: String,
    /// Fingerprint of the data that it was trained on, [`crate::splits::Splits::fingerprint`];
    /// `None` before the training and in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// The number of ranks in files of versions without ranks.
fn alone() -> usize {
    1
}

/// The value in files of versions without the choice.
fn shuffles() -> bool {
    true
}

/// A model and its data: one of the tutorial's, or the user's own. In `config.json` the two are
/// told apart by their keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Task {
    /// A model of the tutorial.
    Builtin(BuiltinTask),
    /// A model of the user's.
    Custom(Box<CustomTask>),
}

/// A model of the tutorial with its data, reviews or videos.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuiltinTask {
    /// The model.
    pub experiment: Experiment,
    /// The defaults that the model follows.
    #[serde(default)]
    pub preset: Preset,
    /// The reviews or videos.
    pub data: DatasetSource,
    /// Tokens of a review, or frames of a video.
    pub length: usize,
    /// A file of the words of the reviews by rank, as Keras's `imdb_word_index.json`; `None` if
    /// none was given.
    #[serde(default)]
    pub word_index: Option<PathBuf>,
}

/// A model that the user describes, and arrays of the user's as its data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomTask {
    /// Name of the model in results.
    pub name: String,
    /// Path of the data: a `.csv`, or an `.npz` or a folder of `.npy` with the arrays `x_train`,
    /// `y_train` and optionally `x_val`, `y_val`, `x_test`, `y_test`. A model of several inputs or
    /// outputs has `x_train_NAME` or `y_train_NAME` for each.
    pub arrays: PathBuf,
    /// The columns of a `.csv` that are features and labels; `None` for other data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// True if all arrays stay in their files. False if an array is read into memory unless it is
    /// large for the free memory.
    #[serde(default)]
    pub stream: bool,
    /// Fraction of the training examples, the last ones, that are held out for validation if the
    /// data has no examples for it, from 0 to less than 1.
    pub validation: f64,
    /// Weight in the training loss of the examples of class 0, 1, and so on; if empty, all are 1.
    #[serde(default)]
    pub class_weights: Vec<f32>,
    /// The condition on which training ends early; `None` if it does not.
    #[serde(default)]
    pub early_stopping: Option<Stopping>,
    /// True if the examples are shuffled in each epoch; false if they keep their order.
    #[serde(default = "shuffles")]
    pub shuffle: bool,
    /// The extents of one example of each input, without the batch, in the order of the inputs.
    pub samples: Vec<Vec<usize>>,
    /// The description of the model, its optimizer and its losses.
    pub model: Compiled,
    /// What is forecast, if the data is a table of time series; `None` for other data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

impl CustomTask {
    /// The architecture with the extents of the examples.
    fn closed(&self) -> Result<Architecture> {
        let samples: Vec<&[usize]> = self.samples.iter().map(Vec::as_slice).collect();
        Ok(self.model.architecture.clone().with_shapes(&samples)?)
    }
}

impl BuiltinTask {
    fn model(&self, seed: u64) -> Result<Model> {
        let input = match &self.data {
            DatasetSource::Movies(movies) => {
                InputSpec::floats([self.length, movies.size, movies.size, 1])
            }
            _ => InputSpec::tokens([self.length]),
        };
        Ok(self.experiment.model(input, self.preset, seed)?)
    }
}

impl Config {
    /// Returns the number of examples in a step of all ranks: the batch size times the number of
    /// ranks.
    pub fn step_size(&self) -> usize {
        self.batch_size * self.ranks
    }

    /// Returns the name of the model, as results show it.
    pub fn name(&self) -> &str {
        match &self.task {
            Task::Builtin(task) => task.experiment.name(),
            Task::Custom(own) => &own.name,
        }
    }

    /// Returns the name of the data, as results show it.
    pub fn data(&self) -> String {
        match &self.task {
            Task::Builtin(task) => task.data.name(),
            Task::Custom(own) => {
                let name = own.arrays.file_name().unwrap_or(own.arrays.as_os_str());
                name.to_string_lossy().into_owned()
            }
        }
    }

    /// Returns the word for the examples: "reviews", "videos", "windows" or "examples".
    pub fn examples(&self) -> &'static str {
        match &self.task {
            Task::Builtin(BuiltinTask { experiment: Experiment::NextFrame, .. }) => "videos",
            Task::Builtin(_) => "reviews",
            Task::Custom(own) if own.forecast.is_some() => "windows",
            Task::Custom(_) => "examples",
        }
    }

    /// Returns true for the experiment that predicts the next frame of videos.
    pub fn predicts_frames(&self) -> bool {
        let Task::Builtin(task) = &self.task else { return false };
        task.experiment == Experiment::NextFrame
    }

    /// Returns what is forecast, if the run is of time series.
    pub fn forecast(&self) -> Option<&Forecast> {
        let Task::Custom(own) = &self.task else { return None };
        own.forecast.as_ref()
    }

    /// Returns the names of the model and of its data as a title, for the head of every result.
    pub fn title(&self) -> String {
        format!("{} on {}", short(self.name(), 60), short(&self.data(), 60))
    }

    /// Builds the model with initial weights drawn from the seed.
    ///
    /// # Errors
    /// Fails if the examples are too short for the model or do not fit it, or if the weights of a
    /// user's model need more memory than is free.
    pub fn model(&self) -> Result<Model> {
        match &self.task {
            Task::Builtin(task) => task.model(self.seed),
            Task::Custom(own) => {
                let architecture = own.closed()?;
                rnn::memory::check_weights(architecture.count_params()?)?;
                Ok(architecture.model(self.seed)?)
            }
        }
    }

    /// Returns the contents of `model.json` for `model`, the model of this run. Open extents stay
    /// open.
    pub fn compiled(&self, model: &Model) -> Compiled {
        match &self.task {
            Task::Builtin(_) => {
                Compiled { architecture: model.architecture().clone(), compile: self.compile() }
            }
            Task::Custom(own) => own.model.clone(),
        }
    }

    /// Returns the optimizer and the losses of the training.
    pub fn compile(&self) -> Compile {
        match &self.task {
            Task::Builtin(task) => Compile {
                optimizer: task.experiment.optimizer(task.preset),
                losses: vec![(Loss::binary_crossentropy(), 1.0)],
            },
            Task::Custom(own) => own.model.compile.clone(),
        }
    }

    /// Checks that the numbers of a configuration from a file are in range, such as the batch size.
    ///
    /// # Errors
    /// Fails with a message that names the first number that is out of range.
    pub fn check(&self) -> Result<()> {
        ensure!((1..=MAX_BATCH).contains(&self.batch_size), "batch_size = {}", self.batch_size);
        ensure!((1..=MAX_RANKS).contains(&self.ranks), "ranks = {}", self.ranks);
        match &self.task {
            Task::Builtin(task) => {
                ensure!((1..=10_000).contains(&task.length), "length = {}", task.length);
                match &task.data {
                    DatasetSource::Movies(movies) => movies.check().map_err(Error::msg),
                    _ => Ok(()),
                }
            }
            Task::Custom(own) => {
                let share = own.validation;
                ensure!((0.0..1.0).contains(&share), "validation = {share}");
                own.forecast.as_ref().map_or(Ok(()), Forecast::check)
            }
        }
    }

    /// Returns a trainer with the settings of the run for `model`, which is the model of the run,
    /// or one with the same weights and other outputs.
    ///
    /// # Errors
    /// Fails with [`RunError::NoHalf`] if the device does not have the precision of the run.
    pub fn trainer(&self, model: Model, device: &dyn Device) -> Result<Trainer> {
        let Compile { optimizer, losses } = self.compile();
        let trainer = trainer(model, device, (optimizer, self.seed), self.precision)?;
        let trainer = match &self.task {
            Task::Builtin(_) => trainer,
            Task::Custom(own) => trainer.losses(losses).shuffle(own.shuffle),
        };
        Ok(trainer.metric_sums(self.metric_sums()))
    }

    /// Returns the sums from which the metrics of the first output are computed.
    pub fn metric_sums(&self) -> MetricSums {
        match &self.task {
            Task::Builtin(task) => task.experiment.metric_sums(),
            Task::Custom(own) => own.model.compile.metric_sums(),
        }
    }

    /// Returns true if the first output is that of a classifier, so that results have an accuracy.
    pub fn classes(&self) -> bool {
        self.metric_sums() != MetricSums::Regression
    }

    /// Returns the name of the loss, for the axes of plots; if there are several outputs, the names
    /// of all losses.
    pub fn loss_name(&self) -> String {
        let losses = self.compile().losses;
        let mut names: Vec<&str> = losses.iter().map(|(loss, _)| words(loss)).collect();
        names.dedup();
        match &names[..] {
            [one] if losses.len() == 1 => (*one).to_owned(),
            [one] => format!("{one}, summed over {} outputs", losses.len()),
            several => format!("sum of {}", several.join(", ")),
        }
    }

    /// Returns the callback that ends the training early; `None` if the run trains all epochs.
    pub fn early_stopping(&self) -> Option<EarlyStopping> {
        match &self.task {
            Task::Builtin(_) => None,
            Task::Custom(own) => own.early_stopping.as_ref().map(Stopping::callback),
        }
    }

    /// Returns everything that can differ between two runs, as JSON: the settings without the name
    /// and, for a model of the user's, each layer with its arguments and the layers that it is
    /// applied to.
    pub fn facts(&self) -> Result<Value> {
        let mut facts = self.settings()?;
        // Each run stands under its name.
        facts.as_object_mut().map(|facts| facts.remove("name"));
        if let Task::Custom(own) = &self.task {
            let json = own.model.architecture.to_json(rnn::nn::Reader::Ours)?;
            for layer in json["config"]["layers"].as_array().into_iter().flatten() {
                let name = layer["config"]["name"].as_str().unwrap_or_default();
                let class = layer["class_name"].as_str().unwrap_or_default();
                let mut arguments = layer["config"].clone();
                if let Some(arguments) = arguments.as_object_mut() {
                    arguments.remove("name");
                    let sources = sources(&layer["inbound_nodes"]);
                    if !sources.is_empty() {
                        arguments.insert("applied to".into(), sources.join(", ").into());
                    }
                }
                facts[format!("layer {name} ({class})")] = arguments;
            }
        }
        Ok(facts)
    }

    /// Returns the settings as JSON, for people; a model of the user's is without its layers.
    ///
    /// # Errors
    /// Fails if the settings cannot be written as JSON.
    pub fn settings(&self) -> Result<Value> {
        let mut settings = serde_json::to_value(self.with_shown_paths())?;
        if let Task::Custom(own) = &self.task {
            settings["model"] = own.model.compile.to_json(rnn::nn::Reader::Ours)?;
        }
        Ok(settings)
    }
}

/// Checks that a device computes in a precision.
pub fn check_precision(device: &dyn Device, precision: Precision) -> Result<()> {
    ensure!(
        precision == Precision::F32 || device.limits().half,
        RunError::NoHalf { device: device.info().to_string(), precision: precision.to_string() }
    );
    Ok(())
}

/// Returns a trainer of `model` in `precision`, with the optimizer and the seed that
/// [`Trainer::new`] takes.
///
/// # Errors
/// Fails as [`check_precision`].
pub fn trainer(
    model: Model,
    device: &dyn Device,
    (optimizer, seed): (Optimizer, u64),
    precision: Precision,
) -> Result<Trainer> {
    check_precision(device, precision)?;
    Ok(Trainer::new(model, device, optimizer, seed).precision(precision))
}

/// The layers whose outputs a call takes, as Keras 3 describes it.
fn sources(node: &Value) -> Vec<String> {
    match node {
        Value::Object(fields) => match fields.get("keras_history") {
            Some(history) => {
                vec![format!("{}[{}]", history[0].as_str().unwrap_or_default(), history[2])]
            }
            None => fields.values().flat_map(sources).collect(),
        },
        Value::Array(values) => values.iter().flat_map(sources).collect(),
        _ => vec![],
    }
}
