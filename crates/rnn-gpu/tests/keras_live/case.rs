//! One model with its data, and what a device makes of it.

use anyhow::{Context, Result, bail};
use rnn::model_file::{ModelFile, ModelFileError};
use rnn::nn::{ConfigError, Dataset, Loss, Trainer};
use rnn::{Device, HostTensor};
use rnn_core::Examples;
use rnn_run::arrays::samples;
use rnn_run::arrays::{Arrays, ElementKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The batches of tests/keras_live/generate.py.
const BATCH: usize = 3;
/// How many models with other last bits that script computes.
const NEAR: usize = 8;

/// What is computed of a case.
pub struct Results {
    /// Of each output.
    pub predictions: Vec<HostTensor>,
    /// Of all examples.
    pub loss: f64,
    /// The fraction classified right, where that is asked for.
    pub accuracy: Option<f64>,
    /// Of each step of training.
    pub losses: Vec<f64>,
    /// After training.
    pub weights: Vec<(String, HostTensor)>,
}

/// What Keras computes of a seed where rounding may decide.
pub struct Again {
    /// In double precision.
    pub exact: Results,
    /// In single precision, of the weights and of some that differ from them in the last bit.
    pub single: Vec<Results>,
}

/// The files of a seed.
pub struct Case {
    folder: PathBuf,
    seed: u64,
}

/// A model that cannot be computed, and says so: what for.
#[derive(Debug)]
pub struct Refusal(pub String);

impl Case {
    pub fn new(folder: &Path, seed: u64) -> Self {
        Self { folder: folder.to_owned(), seed }
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.seed))
    }

    /// Whether Keras has computed it.
    pub fn is_there(&self) -> bool {
        self.file("npz").exists()
    }

    /// Its files, which a failure keeps.
    pub fn files(&self) -> Vec<PathBuf> {
        let results = |of: String| [format!("{of}npz"), format!("{of}after.keras")];
        let near = (0..NEAR).map(|number| format!("near{number}."));
        let of = [String::new(), "exact.".to_owned()].into_iter().chain(near);
        let endings = of.flat_map(results).chain(["keras".to_owned()]);
        endings.map(|ending| self.file(&ending)).filter(|file| file.exists()).collect()
    }

    /// The weights that training begins with.
    pub fn first_weights(&self) -> Result<Vec<(String, HostTensor)>> {
        weights(&self.file("keras"))
    }

    /// What Keras computes, in single precision.
    pub fn of_keras(&self) -> Result<Results> {
        self.read("npz", "after.keras")
    }

    /// What Keras computes when it is asked again, where TensorFlow has kernels of double precision.
    pub fn again(&self) -> Result<Option<Again>> {
        if !self.file("exact.npz").exists() {
            return Ok(None);
        }
        let exact = self.read("exact.npz", "exact.after.keras")?;
        let near =
            |number| self.read(&format!("near{number}.npz"), &format!("near{number}.after.keras"));
        let mut single = vec![self.of_keras()?];
        single.extend((0..NEAR).map(near).collect::<Result<Vec<_>>>()?);
        Ok(Some(Again { exact, single }))
    }

    fn read(&self, arrays: &str, after: &str) -> Result<Results> {
        let mut arrays = Arrays::open(&self.file(arrays), false)?;
        let mut predictions = Vec::new();
        while arrays.has(&format!("predict_{}", predictions.len())) {
            let name = format!("predict_{}", predictions.len());
            predictions.push(arrays.get(&[&name], ElementKind::Floats)?);
        }
        let mut numbers = |name: &str| -> Result<Option<Vec<f64>>> {
            if !arrays.has(name) {
                return Ok(None);
            }
            let values = arrays.get(&[name], ElementKind::Floats)?;
            Ok(Some(values.as_f32()?.iter().map(|&value| f64::from(value)).collect()))
        };
        Ok(Results {
            predictions,
            loss: numbers("loss")?.context("no loss")?[0],
            accuracy: numbers("accuracy")?.map(|values| values[0]),
            losses: numbers("losses")?.context("no losses")?,
            weights: weights(&self.file(after))?,
        })
    }

    /// What a device makes of the model in the file.
    pub fn compute(&self, device: &dyn Device) -> Result<Result<Results, Refusal>> {
        let file = match ModelFile::open(&self.file("keras")) {
            Ok(file) => file,
            Err(error) => return refusal(error.into()).map(Err),
        };
        let compile = file.compile.clone().context("its optimizer or a loss is not read")?;
        let data = self.data(&file, compile.losses.iter().map(|(loss, _)| *loss))?;
        let shapes = samples(data.inputs.iter().map(HostTensor::shape));
        let model = match file.trained_model(Some(&shapes)) {
            Ok(model) => model,
            Err(error) => return refusal(error.into()).map(Err),
        };
        let run = || -> Result<Results> {
            let mut trainer =
                Trainer::new(model, device, compile.optimizer, 0).losses(compile.losses.clone());
            let predictions = trainer.predict(&data.judged, BATCH)?;
            trainer.reset_states()?;
            let metrics = trainer.evaluate(&data.judged, BATCH)?;
            trainer.reset_states()?;
            let mut losses = Vec::new();
            for batch in data.trained.batches(BATCH) {
                trainer.train_batch(&batch?)?;
                losses.push(trainer.take_metrics()?.loss);
            }
            let weights = trainer.model()?.weights()?;
            let accuracy = data.accuracy.then_some(metrics.accuracy);
            Ok(Results { predictions, loss: metrics.loss, accuracy, losses, weights })
        };
        match run() {
            Ok(results) => Ok(Ok(results)),
            Err(error) => refusal(error).map(Err),
        }
    }

    fn data(&self, file: &ModelFile, losses: impl Iterator<Item = Loss>) -> Result<Data> {
        let mut arrays = Arrays::open(&self.file("npz"), false)?;
        let described = file.architecture.inputs().iter().enumerate();
        let inputs = described
            .map(|(i, input)| arrays.get(&[&format!("x_train_{i}")], ElementKind::of(input)))
            .collect::<Result<Vec<_>>>()?;
        let labels = losses.enumerate().map(|(i, loss)| {
            let sparse = matches!(loss, Loss::SparseCategoricalCrossentropy { .. });
            let kind = if sparse { ElementKind::Whole } else { ElementKind::Floats };
            arrays.get(&[&format!("y_train_{i}")], kind)
        });
        let labels = labels.collect::<Result<Vec<_>>>()?;
        let set = Dataset::new(inputs.clone(), labels)?;
        let (mut judged, mut trained) = (set.clone(), set);
        let mut weights: Vec<Arc<dyn Examples>> = Vec::new();
        while arrays.has(&format!("w_train_{}", weights.len())) {
            let name = format!("w_train_{}", weights.len());
            weights.push(Arc::new(arrays.get(&[&name], ElementKind::Floats)?));
        }
        if !weights.is_empty() {
            judged = judged.sample_weights_of(weights)?;
            trained = judged.clone();
        }
        if arrays.has("class_weights") {
            let weights = arrays.get(&["class_weights"], ElementKind::Floats)?;
            trained = trained.class_weights(weights.as_f32()?)?;
        }
        Ok(Data { inputs, judged, trained, accuracy: arrays.has("accuracy") })
    }
}

struct Data {
    inputs: Vec<HostTensor>,
    judged: Dataset,
    trained: Dataset,
    accuracy: bool,
}

fn weights(path: &Path) -> Result<Vec<(String, HostTensor)>> {
    Ok(ModelFile::open(path)?.model(None, 0)?.weights()?)
}

fn is_of_config(error: &ModelFileError) -> bool {
    match error {
        ModelFileError::Unusable { source, .. } => is_of_config(source),
        error => matches!(error, ModelFileError::Config(_)),
    }
}

/// What an error says is not supported; every other error is a failure.
fn refusal(error: anyhow::Error) -> Result<Refusal> {
    let names = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<ConfigError>() || cause.downcast_ref().is_some_and(is_of_config)
    };
    match error.chain().any(names) {
        true => Ok(Refusal(error.root_cause().to_string())),
        false => bail!(error),
    }
}
