//! A model from wherever the user has it: a folder of a run, a file of Keras, a `model.toml`.

mod compiled;
mod error;
mod keras;
mod optimizer;
mod toml;

pub use compiled::Compiled;
pub use error::ModelFileError;
pub use toml::{FIT, MODEL, object};

use crate::nn::{Architecture, Compile, Dialect, Model, Optimizer, OptimizerState, Reader};
use crate::{Tell, memory};
use rnn_core::HostTensor;
use rnn_formats::keras::{self as container, Format, KerasFile, Variables};
use rnn_formats::{WriteError, safetensors, write_atomically};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file in a folder that describes a model in Keras's terms, as JSON.
pub const MODEL_JSON: &str = "model.json";
/// Name of the file in a folder that holds the weights of a model, as safetensors.
pub const WEIGHTS: &str = "weights.safetensors";

/// A model in a file or folder: its description and, usually, its weights.
pub struct ModelFile {
    /// The inputs and layers of the model; extents may be open.
    pub architecture: Architecture,
    /// Its optimizer and its losses, if the file states them.
    pub compile: Option<Compile>,
    /// Its optimizer, if the file states one without a loss; `None` if `compile` states it.
    pub optimizer: Option<Optimizer>,
    /// The file's own text about training, as JSON.
    pub stated: Value,
    weights: Weights,
    /// Is told which parts of a file are not used.
    tell: Tell,
}

type Result<T, E = ModelFileError> = std::result::Result<T, E>;

enum Weights {
    /// By the names that slots have, in a folder that [`save`] wrote.
    Folder(PathBuf, Vec<(String, HostTensor)>),
    Keras(Box<KerasFile>),
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
    /// `.json` or `.toml`. The last two hold no weights.
    ///
    /// # Errors
    /// Fails with [`ModelFileError::Unusable`], which holds the path and the cause: nothing is
    /// there, the form is unknown, the file is damaged, it holds weights alone, or it describes
    /// something that is not supported.
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
            if path.is_dir() {
                return Self::from_folder(path, tell);
            }
            let described = |value: Result<Value>| {
                Self::described(&value?, None, Weights::Missing, tell.clone())
            };
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("keras" | "h5" | "hdf5") => Self::from_keras(path, tell.clone()),
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

    fn from_folder(path: &Path, tell: Tell) -> Result<Self> {
        let value = json(&path.join(MODEL_JSON))?;
        Self::described(&value, None, Weights::in_folder(path)?, tell)
    }

    /// Opens the weights in a folder without a [`MODEL_JSON`], for a model that is known. Whether
    /// they fit `architecture` is found out by [`ModelFile::model`].
    ///
    /// # Errors
    /// Fails if the folder's [`WEIGHTS`] are missing or damaged, or hold a tensor of a type that is
    /// not supported.
    pub fn in_folder(
        path: &Path,
        architecture: Architecture,
        compile: Option<Compile>,
    ) -> Result<Self> {
        Ok(Self::new(architecture, compile, Weights::in_folder(path)?))
    }

    fn from_keras(path: &Path, tell: Tell) -> Result<Self> {
        let mut file = container::read(path)?;
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

    fn described(
        value: &Value,
        version: Option<&str>,
        weights: Weights,
        tell: Tell,
    ) -> Result<Self> {
        let architecture = Architecture::from_json(value, version)?;
        let stated = value.get("compile_config").cloned().unwrap_or_default();
        let stated = with_own_names(stated, &architecture);
        // A model that was never compiled has a configuration without a loss.
        let has_loss = stated.get("loss").is_some_and(|loss| !loss.is_null());
        let compile = has_loss.then_some(&stated);
        let dialect = version.map_or(Dialect::default(), Dialect::of_version);
        let outputs = architecture.output_names();
        let compile = match compile.map(|c| Compile::from_json(c, &outputs, dialect)) {
            Some(Err(error)) if !matches!(weights, Weights::Missing) => {
                // It can predict all the same, and be trained with another loss.
                tell(&format!("not used: how the model was trained: {}", explained(&error)));
                None
            }
            compile => compile.transpose()?,
        };
        let optimizer = match Compile::optimizer_in(&stated, dialect) {
            Err(error) if matches!(weights, Weights::Missing) => return Err(error.into()),
            Err(error) if !has_loss => {
                tell(&format!("not used: the model's optimizer: {}", explained(&error)));
                None
            }
            optimizer => optimizer.unwrap_or_default(),
        };
        Ok(Self { optimizer, stated, tell, ..Self::new(architecture, compile, weights) })
    }

    /// Returns true if the file holds weights, so that [`ModelFile::model`] need not draw them.
    pub fn has_weights(&self) -> bool {
        !matches!(self.weights, Weights::Missing)
    }

    /// Builds the model with its weights; a file without weights gets first weights drawn from
    /// `seed`. `samples` holds the extents of an example for each input, without the batch, which
    /// replace the open extents; without `samples`, these are replaced by an arbitrary number.
    ///
    /// # Errors
    /// Fails if there is not one sample for each input, the samples or the weights do not fit the
    /// layers, or the weights need more memory than is free ([`ModelFileError::TooLarge`]).
    pub fn model(&self, samples: Option<&[&[usize]]>, seed: u64) -> Result<Model> {
        let architecture = self.architecture.clone();
        let architecture = match samples {
            Some(samples) => architecture.with_shapes(samples)?,
            None => architecture.with_some_extents()?,
        };
        memory::check_weights(architecture.count_params()?)?;
        let mut model = architecture.model(seed)?;
        match &self.weights {
            Weights::Folder(_, weights) => model.set_weights(weights)?,
            Weights::Keras(file) => {
                let weights = keras::weights(file, &architecture, &model)?;
                model.set_weights(&weights)?;
            }
            Weights::Missing => {}
        }
        Ok(model)
    }

    /// Returns the table that Keras prints of the model as text: the layers, their output shapes
    /// and numbers of parameters. Open extents are shown as None. The whole model is built once, to
    /// check that its weights fit.
    ///
    /// # Errors
    /// Fails as [`ModelFile::model`] without samples.
    pub fn summary(&self) -> Result<String> {
        self.model(None, 1)?;
        Ok(self.architecture.summary()?)
    }

    /// Returns the state of the optimizer that was saved with this model; `None` if there is none.
    /// A state in a `.keras` file that does not fit the optimizer is `None` too, and the listener
    /// of [`ModelFile::open_with`] is told. `model` is what [`ModelFile::model`] returned.
    ///
    /// # Errors
    /// Fails if the state's file in a folder is damaged or cannot be read.
    pub fn optimizer_state(&self, model: &Model) -> Result<Option<OptimizerState>> {
        match (&self.weights, &self.compile) {
            (Weights::Folder(folder, _), _) => optimizer::load(folder),
            (Weights::Keras(file), Some(compile)) => {
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

    /// Builds the trained model with the extents of its description, none of which may be open.
    ///
    /// # Errors
    /// Fails with [`ModelFileError::Open`] if an extent other than the batch is open, and else as
    /// [`ModelFile::trained_model`].
    pub fn closed_model(&self) -> Result<Model> {
        let inputs = self.architecture.inputs().iter();
        let extents = inputs.map(|input| input.batch_shape.iter().skip(1).copied().collect());
        let extents: Option<Vec<Vec<usize>>> = extents.collect();
        let extents = extents.ok_or(ModelFileError::Open)?;
        self.trained_model(Some(&extents.iter().map(Vec::as_slice).collect::<Vec<_>>()))
    }

    /// Builds the model as [`ModelFile::model`] does, and requires that the file holds its weights.
    ///
    /// # Errors
    /// Fails as [`ModelFile::model`], and [`ModelFileError::NoWeights`] if there are none.
    pub fn trained_model(&self, samples: Option<&[&[usize]]>) -> Result<Model> {
        match self.has_weights() {
            true => self.model(samples, 0),
            false => Err(ModelFileError::NoWeights),
        }
    }
}

/// Returns the contents of `model.json`: the architecture, and with `compile` also the optimizer
/// and the losses, as Keras 3 describes them, for the program that will read it.
///
/// # Errors
/// Fails if the reader has no counterpart of a layer or an argument.
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

/// Writes a model into `folder`, over what is there: first the weights and the state of the
/// optimizer, then `model.json`, which marks them as complete. Without a state, an earlier one is
/// removed. Without `compile`, `model.json` names no optimizer and losses.
///
/// # Errors
/// Fails if a layer or argument has no description, or a file cannot be written or removed.
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

/// Writes the weights of a model to the file `path` as safetensors, named by layer and weight. An
/// existing file is replaced.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn save_weights(path: &Path, model: &Model) -> Result<()> {
    let metadata = BTreeMap::from([("format".to_owned(), "rnn-gpu".to_owned())]);
    Ok(safetensors::save(path, &model.weights()?, &metadata)?)
}

/// Writes a model to the file `path` in one of the formats of Keras 3, over what is there. The
/// state of the optimizer is left out of `.h5`.
///
/// # Errors
/// Fails if the file has no weights, they do not fit or need more memory than is free, the state of
/// the optimizer is damaged, Keras has no counterpart of a layer or an argument, or the file cannot
/// be written.
pub fn save_keras(file: &ModelFile, format: Format, path: &Path) -> Result<()> {
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

/// How a model was trained, with this program's names of the outputs in place of Keras's.
fn with_own_names(mut stated: Value, architecture: &Architecture) -> Value {
    let names: Vec<(String, String)> =
        architecture.keras_output_names().into_iter().zip(architecture.output_names()).collect();
    for argument in ["loss", "loss_weights", "metrics", "weighted_metrics"] {
        let Some(Value::Object(said)) = stated.get_mut(argument) else { continue };
        let of_outputs = names.iter().filter_map(|(theirs, own)| Some((own, said.remove(theirs)?)));
        let of_outputs: Vec<_> = of_outputs.collect();
        said.extend(of_outputs.into_iter().map(|(own, value)| (own.clone(), value)));
    }
    stated
}
