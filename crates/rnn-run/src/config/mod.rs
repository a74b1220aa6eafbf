//! What a run trains, and how: `config.json`.

mod paths;
mod stopping;

pub use stopping::Stopping;

use crate::arrays::Columns;
use crate::error::RunError;
use crate::experiment::{Experiment, Preset};
use crate::source::DatasetSource;
use anyhow::{Error, Result, ensure};
use rnn::model_file::Compiled;
use rnn::nn::{
    Architecture, Compile, EarlyStopping, InputSpec, Loss, MetricSums, Model, Optimizer, Precision,
    Trainer,
};
use rnn_graph::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// The most examples in a step.
pub const MAX_BATCH: usize = 1 << 20;
/// The most processes that train together.
const MAX_RANKS: usize = 1 << 16;

/// What was trained and how: `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Which model on what.
    #[serde(flatten)]
    pub task: Task,
    /// Examples that each rank has in a step.
    pub batch_size: usize,
    /// Processes that train together.
    #[serde(default = "alone")]
    pub ranks: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// Decides first weights, split and order.
    pub seed: u64,
    /// What training computes with.
    #[serde(default)]
    pub precision: Precision,
    /// At most so many examples of each set.
    pub limit: Option<usize>,
    /// Where it was trained.
    pub device: String,
    /// What tells the data that it was trained on from others, [`rnn::nn::Dataset::fingerprint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// What there was before there were ranks.
fn alone() -> usize {
    1
}

/// What there was before one could choose.
fn shuffles() -> bool {
    true
}

/// A model, and what it is trained on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Task {
    /// One of the tutorial's.
    Builtin(BuiltinTask),
    /// One of the user's.
    Custom(Box<CustomTask>),
}

/// A model of the tutorial on reviews or films.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuiltinTask {
    /// The model.
    pub experiment: Experiment,
    /// Whose defaults it follows.
    #[serde(default)]
    pub preset: Preset,
    /// The reviews or films.
    pub data: DatasetSource,
    /// Tokens of a review, or frames of a film.
    pub length: usize,
    /// The words of the reviews by rank, as Keras's `imdb_word_index.json` lists them.
    #[serde(default)]
    pub word_index: Option<PathBuf>,
}

/// A model of the user's on arrays of the user's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomTask {
    /// What results call it.
    pub name: String,
    /// An `.npz` or a folder of `x_train`, `y_train` and perhaps `x_val`, `y_val`, `x_test`,
    /// `y_test`, or a table.
    pub arrays: PathBuf,
    /// The columns of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// Whether they are left in their files, though they are not large for the memory at hand.
    #[serde(default)]
    pub stream: bool,
    /// The share of the training examples, the last of them, that validates.
    pub validation: f64,
    /// What the examples of class 0, 1, .. count in training; the same, where there are none.
    #[serde(default)]
    pub class_weights: Vec<f32>,
    /// What ends the training early.
    #[serde(default)]
    pub early_stopping: Option<Stopping>,
    /// Each epoch has an order of its own.
    #[serde(default = "shuffles")]
    pub shuffle: bool,
    /// The extents of an example of each input.
    pub samples: Vec<Vec<usize>>,
    /// What it is made of, and how it is trained.
    pub model: Compiled,
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
            _ => InputSpec::Tokens(self.length),
        };
        Ok(self.experiment.model(input, self.preset, seed)?)
    }
}

impl Config {
    /// Examples in a step of all ranks.
    pub fn step_size(&self) -> usize {
        self.batch_size * self.ranks
    }

    /// What results call the model.
    pub fn name(&self) -> &str {
        match &self.task {
            Task::Builtin(task) => task.experiment.name(),
            Task::Custom(own) => &own.name,
        }
    }

    /// What results call the data.
    pub fn data(&self) -> String {
        match &self.task {
            Task::Builtin(task) => task.data.name(),
            Task::Custom(own) => {
                let name = own.arrays.file_name().unwrap_or(own.arrays.as_os_str());
                name.to_string_lossy().into_owned()
            }
        }
    }

    /// What the examples are.
    pub fn examples(&self) -> &'static str {
        match &self.task {
            Task::Builtin(BuiltinTask { experiment: Experiment::NextFrame, .. }) => "films",
            Task::Builtin(_) => "reviews",
            Task::Custom(_) => "examples",
        }
    }

    /// Whether it is the experiment that predicts the next frame of films.
    pub fn predicts_frames(&self) -> bool {
        let Task::Builtin(task) = &self.task else { return false };
        task.experiment == Experiment::NextFrame
    }

    /// Which model on what, for the head of every result.
    pub fn title(&self) -> String {
        format!("{} on {}", self.name(), self.data())
    }

    /// The model with its first weights.
    ///
    /// # Errors
    /// If the examples are too short for it.
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

    /// What `model.json` says of the model: extents that its description leaves open stay so.
    pub fn compiled(&self, model: &Model) -> Compiled {
        match &self.task {
            Task::Builtin(_) => {
                Compiled { architecture: model.architecture().clone(), compile: self.compile() }
            }
            Task::Custom(own) => own.model.clone(),
        }
    }

    /// How it is trained.
    pub fn compile(&self) -> Compile {
        match &self.task {
            Task::Builtin(task) => Compile {
                optimizer: task.experiment.optimizer(task.preset),
                losses: vec![(Loss::binary_crossentropy(), 1.0)],
            },
            Task::Custom(own) => own.model.compile.clone(),
        }
    }

    /// Whether it asks for nothing that no run has: a file may say anything.
    ///
    /// # Errors
    /// If it does.
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
                Ok(())
            }
        }
    }

    /// A trainer of the model, or of one with the same weights and other outputs, in the precision
    /// of the run.
    ///
    /// # Errors
    /// If the device has no such precision.
    pub fn trainer(&self, model: Model, device: &dyn Device) -> Result<Trainer> {
        let Compile { optimizer, losses } = self.compile();
        let trainer = trainer(model, device, (optimizer, self.seed), self.precision)?;
        let trainer = match &self.task {
            Task::Builtin(_) => trainer,
            Task::Custom(own) => trainer.losses(losses).shuffle(own.shuffle),
        };
        Ok(trainer.metric_sums(self.metric_sums()))
    }

    /// What is counted besides the loss; of several outputs for the first.
    pub fn metric_sums(&self) -> MetricSums {
        match &self.task {
            Task::Builtin(task) => task.experiment.metric_sums(),
            Task::Custom(own) => own.model.compile.metric_sums(),
        }
    }

    /// Whether there are classes, and so an accuracy.
    pub fn classes(&self) -> bool {
        self.metric_sums() != MetricSums::Regression
    }

    /// What the loss is called, for axes: of several outputs those of all.
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

    /// What ends the training early, if that was asked for.
    pub fn early_stopping(&self) -> Option<EarlyStopping> {
        match &self.task {
            Task::Builtin(_) => None,
            Task::Custom(own) => own.early_stopping.as_ref().map(Stopping::callback),
        }
    }

    /// All that can differ between two runs: the settings, and of models of the user's each layer
    /// with its arguments and what it is applied to.
    ///
    /// # Errors
    /// If the model cannot be written as JSON.
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

    /// All of it for people; layers have a table of their own.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn settings(&self) -> Result<Value> {
        let mut settings = serde_json::to_value(self)?;
        if let Task::Custom(own) = &self.task {
            settings["model"] = own.model.compile.to_json(rnn::nn::Reader::Ours)?;
        }
        Ok(settings)
    }
}

/// Makes sure that a device has a precision.
///
/// # Errors
/// If it has not.
pub fn check_precision(device: &dyn Device, precision: Precision) -> Result<()> {
    ensure!(
        precision == Precision::F32 || device.limits().half,
        RunError::NoHalf { device: device.info().to_string(), precision: precision.to_string() }
    );
    Ok(())
}

/// What trains, judges and predicts with a model: the one place where a precision meets a device.
///
/// # Errors
/// As [`check_precision`].
pub fn trainer(
    model: Model,
    device: &dyn Device,
    (optimizer, seed): (Optimizer, u64),
    precision: Precision,
) -> Result<Trainer> {
    check_precision(device, precision)?;
    Ok(Trainer::new(model, device, optimizer, seed).precision(precision))
}

/// A loss in words.
fn words(loss: &Loss) -> &'static str {
    match loss {
        Loss::BinaryCrossentropy(_) => "binary cross-entropy",
        Loss::CategoricalCrossentropy(_) | Loss::SparseCategoricalCrossentropy { .. } => {
            "categorical cross-entropy"
        }
        Loss::MeanSquaredError => "mean squared error",
        Loss::MeanAbsoluteError => "mean absolute error",
        Loss::Huber { .. } => "Huber loss",
    }
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
