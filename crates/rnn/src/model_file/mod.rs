//! Models in files and folders: the folder of a run, a Keras file, an ONNX file, a `model.toml`.

mod compiled;
mod cudnn;
mod described;
mod error;
mod foreign;
mod keras;
mod onnx;
mod optimizer;
mod pytorch;
mod toml;

pub use compiled::Compiled;
pub use error::ModelFileError;
pub use optimizer::FILE as OPTIMIZER;
pub use toml::{FIT, MODEL, object};

use crate::nn::{Architecture, Compile, Model, Optimizer, OptimizerState, Reader};
use crate::{Tell, memory};
use rnn_core::HostTensor;
use rnn_formats::keras::{self as container, Format, KerasFile, Variables};
use rnn_formats::{WriteError, budget, safetensors, write_atomically};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file in a model's folder that describes the model as JSON, in the format of Keras 3.
pub const MODEL_JSON: &str = "model.json";
/// Name of the file in a model's folder that holds the weights, as safetensors.
pub const WEIGHTS: &str = "weights.safetensors";

/// A model in a file or folder: its description and, usually, its weights.
pub struct ModelFile {
    /// The inputs and layers of the model. Extents may be open (`None` in Keras).
    pub architecture: Architecture,
    /// Its optimizer and its losses. `None` if the file states no loss, or if it holds weights and
    /// states a loss that is not supported. The optimizer is Adam if it states none, or one that is
    /// not supported.
    pub compile: Option<Compile>,
    /// Its optimizer, also if the file states no loss. `None` if it states no optimizer, or if it
    /// holds weights and states an optimizer that is not supported.
    pub optimizer: Option<Optimizer>,
    /// The `compile_config` of the file as JSON, with the outputs under the names that
    /// [`Architecture::output_names`] returns; null if the file has none.
    pub stated: Value,
    weights: Weights,
    /// Is told which parts of a file are not used.
    tell: Tell,
}

type Result<T, E = ModelFileError> = std::result::Result<T, E>;

enum Weights {
    /// By the names that slots have, in a folder that [`save`] wrote.
    Folder(PathBuf, Vec<(String, HostTensor)>),
    /// By the same names.
    Named(Vec<(String, HostTensor)>),
    Keras(Box<KerasFile>),
    /// By PyTorch's names.
    PyTorch(Vec<(String, HostTensor)>),
    /// Those of each layer by its name, in Keras's order.
    Listed(Vec<(String, Vec<HostTensor>)>),
    /// A description alone.
    Missing,
}

impl Weights {
    fn in_folder(path: &Path) -> Result<Self> {
        Ok(Self::Folder(path.to_owned(), safetensors::load(&path.join(WEIGHTS))?.0))
    }
}

impl ModelFile {
    /// Opens a folder that [`save`] wrote, or a file whose name ends in `.keras`, `.h5`, `.hdf5`,
    /// `.onnx`, `.json` or `.toml`. Files of the last two kinds hold no weights. A folder may also be a
    /// `.keras` file that was unpacked.
    ///
    /// # Errors
    /// Fails with [`ModelFileError::Unusable`], which holds the path and the cause: the file does
    /// not exist, has another ending, cannot be read or is damaged, holds weights without a
    /// description of the model, or describes something that is not supported.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, Arc::new(|_| {}))
    }

    /// Opens a file as [`ModelFile::open`] does, and calls `tell` for each part of the file that is
    /// not used. Each call gets one line of text.
    ///
    /// # Errors
    /// Fails as [`ModelFile::open`].
    pub fn open_with(path: &Path, tell: Tell) -> Result<Self> {
        let open = || {
            foreign::check_path(path)?;
            if container::is_unpacked(path) {
                return Self::from_keras(path, tell.clone());
            }
            if path.is_dir() {
                return Self::from_folder(path, tell);
            }
            let described = |value: Result<Value>| {
                Self::described(&value?, None, Weights::Missing, tell.clone())
            };
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("keras" | "h5" | "hdf5") => Self::from_keras(path, tell.clone()),
                Some("onnx") => {
                    let onnx::Imported { description, weights } = onnx::read(path, &tell)?;
                    Self::described(&description, None, Weights::Listed(weights), tell.clone())
                }
                Some("json") => described(json(path)),
                Some("toml") => described(toml::read(path)),
                _ if !path.exists() => Err(ModelFileError::Missing),
                _ => Err(ModelFileError::Unknown),
            }
        };
        open().map_err(|source| ModelFileError::Unusable {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Opens a file of weights alone, such as Keras's `.weights.h5`, for the model that another file
    /// describes: the JSON of `model.to_json()`, or any that [`ModelFile::open`] opens, whose weights
    /// are not used. Calls `tell` as [`ModelFile::open_with`] does.
    ///
    /// # Errors
    /// Fails as [`ModelFile::open`], for the file at fault.
    pub fn open_weights(path: &Path, architecture: &Path, tell: Tell) -> Result<Self> {
        let described = Self::open_with(architecture, tell)?;
        let unusable =
            |source| ModelFileError::Unusable { path: path.to_owned(), source: Box::new(source) };
        foreign::check_path(path).map_err(unusable)?;
        let file = container::read(path).map_err(|error| unusable(error.into()))?;
        Ok(Self { weights: Weights::Keras(Box::new(file)), ..described })
    }

    fn from_folder(path: &Path, tell: Tell) -> Result<Self> {
        let value = json(&path.join(MODEL_JSON))?;
        Self::described(&value, None, Weights::in_folder(path)?, tell)
    }

    /// Opens the weights in a folder that has no [`MODEL_JSON`], for a model whose architecture is
    /// known. They are compared with `architecture` only by [`ModelFile::model`].
    ///
    /// # Errors
    /// Fails with [`ModelFileError::Safetensors`] if the folder's [`WEIGHTS`] are missing or
    /// damaged, or hold a tensor of a type that is not supported.
    pub fn in_folder(
        path: &Path,
        architecture: Architecture,
        compile: Option<Compile>,
    ) -> Result<Self> {
        Ok(Self::new(architecture, compile, Weights::in_folder(path)?))
    }

    fn from_keras(path: &Path, tell: Tell) -> Result<Self> {
        let mut file = container::read(path)?;
        foreign::check_version(file.version.as_deref())?;
        let mut config = file.config.take().ok_or(ModelFileError::WeightsAlone)?;
        if let (Some(config), Some(compile)) = (config.as_object_mut(), file.compile.take()) {
            config.insert("compile_config".into(), compile);
        }
        let version = file.version.clone();
        Self::described(&config, version.as_deref(), Weights::Keras(Box::new(file)), tell)
    }

    fn new(architecture: Architecture, compile: Option<Compile>, weights: Weights) -> Self {
        let (stated, tell) = (Value::Null, Arc::new(|_: &str| {}));
        Self { architecture, compile, optimizer: None, stated, weights, tell }
    }

    /// Checks that nothing of the description was left out that a training needs.
    ///
    /// # Errors
    /// Fails with [`ModelFileError::Untrainable`] if a layer has a regularizer or a constraint that is
    /// not supported, or, in a file without weights, an initializer.
    pub fn check_trainable(&self) -> Result<()> {
        match self.architecture.unread_in_training(self.has_weights()).next() {
            Some(argument) => Err(ModelFileError::Untrainable(argument.to_owned())),
            None => Ok(()),
        }
    }

    /// Replaces the weights by those in the safetensors file `path`, whose tensors are named as
    /// [`save_weights`] names them, or as PyTorch names those of `nn.LSTM`, `GRU`, `RNN`, `Linear`,
    /// `Embedding`, `LayerNorm`, `BatchNorm` and `Conv` (`lstm.weight_ih_l0`, `fc.bias`). A module of
    /// PyTorch's belongs to the layer that its weights fit; where they fit several, to the layer of
    /// its name. They are compared with the model only by [`ModelFile::model`].
    ///
    /// # Errors
    /// Fails with [`ModelFileError::Safetensors`] if the file cannot be read or is damaged.
    pub fn with_weights(mut self, path: &Path) -> Result<Self> {
        let (tensors, _) = safetensors::load(path)?;
        self.weights = match pytorch::are_named(&tensors) {
            true => Weights::PyTorch(tensors),
            // Without the state of an optimizer.
            false => Weights::Named(tensors),
        };
        Ok(self)
    }

    /// Returns true if the file holds weights; false if it only describes the model.
    pub fn has_weights(&self) -> bool {
        !matches!(self.weights, Weights::Missing)
    }

    /// Builds the model with the weights of the file, or, if it has none, with initial weights
    /// drawn from `seed`. `samples` holds the extents of one example for each input, in order and
    /// without the batch; they take the place of open extents. If `samples` is `None`, open extents
    /// become some number that all layers accept.
    ///
    /// # Errors
    /// Fails if `samples` has not one entry for each input, the samples or the weights do not fit
    /// the layers, or the weights need more memory than is free ([`ModelFileError::TooLarge`]).
    pub fn model(&self, samples: Option<&[&[usize]]>, seed: u64) -> Result<Model> {
        let architecture = self.architecture.clone();
        let architecture = match samples {
            Some(samples) => architecture.with_shapes(samples)?,
            None => architecture.with_some_extents()?,
        };
        memory::check_weights(architecture.count_params()?)?;
        let mut model = match self.has_weights() {
            true => architecture.blank_model()?,
            false => architecture.model(seed)?,
        };
        match &self.weights {
            Weights::Folder(_, weights) | Weights::Named(weights) => model.set_weights(weights)?,
            Weights::Keras(file) => {
                let weights = keras::weights(file, &architecture, &model)?;
                model.set_weights(&weights)?;
            }
            Weights::PyTorch(weights) => model.set_weights(&pytorch::weights(weights, &model)?)?,
            Weights::Listed(weights) => {
                let weights = keras::listed(weights, &model)?;
                model.set_weights(&weights)?;
            }
            Weights::Missing => {}
        }
        Ok(model)
    }

    /// Returns the table that Keras prints of the model as text: the layers, their output shapes
    /// and numbers of parameters. Open extents are shown as None. If the file holds weights, the whole
    /// model is built once, to check that they fit; else no weight is drawn.
    ///
    /// # Errors
    /// Fails as [`ModelFile::model`] does without samples.
    pub fn summary(&self) -> Result<String> {
        match self.has_weights() {
            true => drop(self.model(None, 1)?),
            false => {
                let sized = self.architecture.clone().with_some_extents()?;
                memory::check_weights(sized.count_params()?)?;
            }
        }
        Ok(self.architecture.summary()?)
    }

    /// Returns the state of the optimizer that was saved with this model, whose `model` is what
    /// [`ModelFile::model`] returned. Returns `None` if the file has no state. If the state in a
    /// `.keras` file does not fit the optimizer, calls the `tell` of [`ModelFile::open_with`] with
    /// a line about that and returns `None`.
    ///
    /// # Errors
    /// Fails if the file of the state in a folder is damaged or cannot be read.
    pub fn optimizer_state(&self, model: &Model) -> Result<Option<OptimizerState>> {
        match (&self.weights, &self.compile) {
            (Weights::Folder(folder, _), _) => optimizer::load(folder),
            (Weights::Keras(file), Some(compile)) if self.optimizer.is_some() => {
                let state =
                    optimizer::of_keras(file, &self.architecture, model, &compile.optimizer);
                // The model is of use all the same.
                Ok(state.unwrap_or_else(|error| {
                    (self.tell)(&format!(
                        "not used: what the optimizer kept: {}",
                        explained(&error)
                    ));
                    None
                }))
            }
            _ => Ok(None),
        }
    }

    /// Builds the model with the weights of the file and the extents of its description.
    ///
    /// # Errors
    /// Fails with [`ModelFileError::Open`] if an extent other than the batch is open, and as
    /// [`ModelFile::trained_model`] does.
    pub fn closed_model(&self) -> Result<Model> {
        let inputs = self.architecture.inputs().iter();
        let extents = inputs.map(|input| input.batch_shape.iter().skip(1).copied().collect());
        let extents: Option<Vec<Vec<usize>>> = extents.collect();
        let extents = extents.ok_or(ModelFileError::Open)?;
        self.trained_model(Some(&extents.iter().map(Vec::as_slice).collect::<Vec<_>>()))
    }

    /// Builds the model as [`ModelFile::model`] does, but only from a file that holds weights.
    ///
    /// # Errors
    /// Fails as [`ModelFile::model`] does, and with [`ModelFileError::NoWeights`] if the file holds
    /// none.
    pub fn trained_model(&self, samples: Option<&[&[usize]]>) -> Result<Model> {
        match self.has_weights() {
            true => self.model(samples, 0),
            false => Err(ModelFileError::NoWeights),
        }
    }
}

/// Returns the contents of `model.json`: the architecture in the format of Keras 3 and, if
/// `compile` is given, the optimizer and the losses. `reader` is the program that will read them.
///
/// # Errors
/// Fails with [`ModelFileError::Config`] if `reader` has no counterpart of a layer, an optimizer, a
/// loss or one of their arguments.
pub fn to_json(
    architecture: &Architecture,
    compile: Option<&Compile>,
    reader: Reader,
) -> Result<Value> {
    let mut value = architecture.to_json(reader)?;
    if let Some(compile) = compile {
        value["compile_config"] = compile.to_json(reader)?;
    }
    Ok(value)
}

/// Writes a model into the existing folder `folder`, in place of an earlier one: the weights of
/// `model`, `kept`, the state of its optimizer, and last `model.json`. If `kept` is `None`, an
/// earlier state is removed. If `compile` is `None`, `model.json` names no optimizer and no losses.
///
/// # Errors
/// Fails if `model.json` cannot express a layer or argument, or if a file cannot be written or
/// removed.
pub fn save(
    folder: &Path,
    architecture: &Architecture,
    compile: Option<&Compile>,
    (model, kept): (&Model, Option<&OptimizerState>),
) -> Result<()> {
    let json = to_json(architecture, compile, Reader::Ours)?;
    save_weights(&folder.join(WEIGHTS), model)?;
    optimizer::save(folder, kept)?;
    let json = format!("{json:#}");
    let path = folder.join(MODEL_JSON);
    write_atomically(&path, |file| file.write_all(json.as_bytes())).map_err(failed)
}

/// Writes the weights of a model to the file `path` as safetensors, each under the name of its
/// layer and weight. An existing file is replaced.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn save_weights(path: &Path, model: &Model) -> Result<()> {
    let metadata = BTreeMap::from([("format".to_owned(), "rnn-gpu".to_owned())]);
    Ok(safetensors::save(path, &model.weights()?, &metadata)?)
}

/// Writes a model with its weights to the file `path`, in one of the formats of Keras 3. An
/// existing file is replaced. The optimizer and the losses are written if the file states a loss.
/// Only `.keras` gets the state of the optimizer.
///
/// # Errors
/// Fails with [`ModelFileError::NoWeights`] if `file` has no weights. Fails also if they do not fit
/// the layers or need more memory than is free, the state of the optimizer is damaged, Keras has no
/// counterpart of a layer or an argument or numbers layers in an unknown order
/// ([`Architecture::layers_of_unknown_order`]), or the file cannot be written.
pub fn save_keras(file: &ModelFile, format: Format, path: &Path) -> Result<()> {
    if let Some([first, second]) = file.architecture.layers_of_unknown_order() {
        return Err(ModelFileError::Misfit(format!(
            "layers {first} and {second} cannot be written for Keras, which numbers them in an order \
             that depends on masks that are concatenated behind them; export .onnx or .safetensors"
        )));
    }
    let model = file.trained_model(None)?;
    let config = to_json(&file.architecture, None, Reader::Keras)?;
    let mut written = keras::file(format, &file.architecture, &model, config)?;
    if let Some(compile) = &file.compile {
        let mut json = compile.to_json(Reader::Keras)?;
        match format {
            Format::LegacyH5 => json["optimizer_config"] = json["optimizer"].take(),
            // What an optimizer keeps Keras 3 reads from .keras alone.
            _ => written.optimizer.extend(kept_for_keras(file, &model, compile)?),
        }
        written.compile = Some(json);
    }
    Ok(written.write(path)?)
}

fn kept_for_keras(file: &ModelFile, model: &Model, compile: &Compile) -> Result<Option<Variables>> {
    let kept = file.optimizer_state(model)?;
    let kept = kept.filter(|kept| kept.optimizer == compile.optimizer.class());
    let of = (&file.architecture, model);
    kept.map(|kept| optimizer::for_keras(of, &compile.optimizer, &kept)).transpose()
}

fn json(path: &Path) -> Result<Value> {
    let path = || path.to_owned();
    let text = fs::read_to_string(path())
        .map_err(|source| ModelFileError::Read { path: path(), source })?;
    budget::Text::Json.check(text.as_bytes(), text.len() as u64)?;
    serde_json::from_str(&text).map_err(|source| ModelFileError::Json { path: path(), source })
}

fn failed(WriteError { path, source }: WriteError) -> ModelFileError {
    ModelFileError::Write { path, source }
}

/// An error and its causes.
fn explained(error: &dyn Error) -> String {
    let causes = iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
