//! The settings of a training of the user's model: `fit.toml`.

use crate::config::{MAX_BATCH, Stopping};
use crate::error::RunError;
use anyhow::{Context, Result, bail, ensure};
use rnn::model_file::{ModelFile, object};
use rnn::nn::{Compile, Dialect, Loss, Model, Reader};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// Number of examples in a step if neither the user nor the model fixes it: 32, as in Keras.
pub const DEFAULT_BATCH: usize = 32;

/// The contents of a `fit.toml`. Every setting has a default, and [`Default`] has them all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitOptions {
    /// Passes over the training examples; 10 by default.
    pub epochs: usize,
    /// Examples in a step. `None`, the default, stands for the number that a stateful model fixes,
    /// else 32.
    pub batch_size: Option<usize>,
    /// Fraction of the training examples that are held out for validation, the last of them, unless
    /// the data has examples for validation. `None`, the default, stands for 0.1.
    pub validation: Option<f64>,
    /// Seed of the first weights and of the order of examples; 1 by default.
    pub seed: u64,
    /// True to shuffle the examples in each epoch, false to keep their order. `None`, the default,
    /// shuffles unless the model is stateful.
    pub shuffle: Option<bool>,
    /// Weight in the training loss of the examples of class 0, 1, and so on. If the list is empty,
    /// the default, all weights are 1.
    pub class_weights: Vec<f32>,
    /// In place of the model's own: `"mse"`, `{ type = "Huber", delta = 0.5 }`.
    loss: Option<Value>,
    /// In place of the model's own: `"adam"`, `{ type = "SGD", momentum = 0.9 }`.
    optimizer: Option<Value>,
    /// In place of the optimizer's.
    learning_rate: Option<f64>,
    /// The condition on which training ends early; `None`, the default, trains all epochs.
    pub early_stopping: Option<Stopping>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: None,
            validation: None,
            seed: 1,
            shuffle: None,
            class_weights: vec![],
            loss: None,
            optimizer: None,
            learning_rate: None,
            early_stopping: None,
        }
    }
}

impl FitOptions {
    /// Reads the `fit.toml` at `path` and checks the range of its numbers.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not valid TOML, has an unknown setting, or a number is
    /// out of range. Loss and optimizer are checked by [`FitOptions::compile`].
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let options: Self = toml::from_str(&text).with_context(|| format!("cannot use {shown}"))?;
        options.checked().with_context(|| format!("cannot use {shown}"))
    }

    fn checked(self) -> Result<Self> {
        ensure!(self.epochs > 0, "epochs = 0: one epoch is the least");
        let batch = self.batch_size.unwrap_or(DEFAULT_BATCH);
        ensure!(batch > 0, "batch_size = 0: one example is the least");
        ensure!(batch <= MAX_BATCH, "batch_size = {batch}: {MAX_BATCH} examples are the most");
        let validation = self.validation();
        ensure!(
            (0.0..1.0).contains(&validation),
            "validation = {validation}: it is a share, from 0 to less than 1"
        );
        let odd = self.class_weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0));
        if let Some(odd) = odd {
            bail!("class_weights: {odd} is none; they are numbers from 0 on");
        }
        ensure!(
            self.class_weights.is_empty() || self.class_weights.iter().any(|weight| *weight > 0.0),
            "class_weights are all 0, so that nothing would be learned"
        );
        Ok(self)
    }

    /// Returns the fraction of the training examples that are held out for validation, from 0 to
    /// less than 1; 0.1 if the file does not state it.
    pub fn validation(&self) -> f64 {
        self.validation.unwrap_or(0.1)
    }

    /// Makes sure that there is a weight for each class of a classifier, if there are weights.
    ///
    /// # Errors
    /// Fails if there are more or fewer.
    pub fn check_class_weights(&self, model: &Model, compile: &Compile) -> Result<()> {
        let classes = match compile.losses.first() {
            Some((loss, _)) if loss.is_binary() => Some(2),
            Some((Loss::SparseCategoricalCrossentropy { .. }, _)) => {
                model.output_shapes(1).first().and_then(|shape| shape.last().copied())
            }
            _ => None,
        };
        let given = self.class_weights.len();
        match classes {
            Some(classes) if given > 0 => ensure!(
                given == classes,
                "class_weights are {given}; the model has {classes} classes, and each takes one"
            ),
            _ => {}
        }
        Ok(())
    }

    /// Returns the losses and the optimizer: those of this file, else the model's own, else Adam.
    ///
    /// # Errors
    /// Fails with [`RunError::NoLoss`] if neither states a loss. Fails also if a loss, the
    /// optimizer or one of their arguments is not supported.
    pub fn compile(&self, model: &ModelFile) -> Result<Compile> {
        let mut wanted = match (&model.compile, &model.optimizer) {
            (Some(own), _) => own.to_json(Reader::Ours)?,
            (None, Some(own)) => json!({"optimizer": own.to_json(Reader::Ours)?}),
            (None, None) => json!({"optimizer": "adam"}),
        };
        if let Some(loss) = &self.loss {
            wanted["loss"] = object(loss.clone());
            wanted["loss_weights"] = Value::Null;
        }
        if let Some(optimizer) = &self.optimizer {
            wanted["optimizer"] = object(optimizer.clone());
        }
        if let Some(rate) = self.learning_rate {
            if let Some(class) = wanted["optimizer"].as_str() {
                wanted["optimizer"] = json!({"class_name": class, "config": Map::new()});
            }
            wanted["optimizer"]["config"]["learning_rate"] = json!(rate);
        }
        ensure!(!wanted["loss"].is_null(), RunError::NoLoss);
        let outputs = model.architecture.output_names();
        Ok(Compile::from_json(&wanted, &outputs, Dialect::Keras3)?)
    }
}
