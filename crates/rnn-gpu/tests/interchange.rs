//! Keras's models predict here what they predict in Keras, and what is exported predicts there
//! what it predicts here. The models are those of tests/interchange/models.py.

#[path = "../../../tests/interchange/python.rs"]
mod python;

use anyhow::{Context, Result, ensure};
use rnn_cpu::CpuDevice;
use rnn_formats::keras::Format;
use rnn_gpu::HostTensor;
use rnn_gpu::arrays::{Arrays, Kind};
use rnn_gpu::model_file::{self, ModelFile};
use rnn_gpu::nn::{Optimizer, Trainer};
use rnn_gpu::predict::samples;
use std::path::{Path, PathBuf};

/// The largest difference from Keras, relative to values above 1.
const TOLERANCE: f32 = 1e-5;

fn predictions(file: &ModelFile, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
    let model = file.trained_model(Some(&samples(inputs.iter().map(HostTensor::shape))))?;
    let device = CpuDevice::new();
    let mut trainer = Trainer::new(model, &device, Optimizer::adam(), 0);
    Ok(trainer.predict_batch(inputs)?)
}

fn expect_close(got: &HostTensor, want: &HostTensor) -> Result<()> {
    ensure!(got.shape() == want.shape(), "{}, Keras has {}", got.shape(), want.shape());
    for (index, (got, want)) in got.as_f32()?.iter().zip(want.as_f32()?).enumerate() {
        let error = (got - want).abs() / want.abs().max(1.0);
        ensure!(error <= TOLERANCE, "element {index} is {got}, Keras has {want}");
    }
    Ok(())
}

/// Predicts from one of Keras's files and exports the model.
fn check(keras: &Path) -> Result<()> {
    let file = ModelFile::open(keras)?;
    let mut arrays = Arrays::open(&keras.with_extension("npz"), false)?;
    let described = file.architecture.inputs().iter().enumerate();
    let inputs = described.map(|(i, input)| arrays.get(&[&format!("input_{i}")], Kind::of(input)));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let outputs = predictions(&file, &inputs)?;
    for (index, got) in outputs.iter().enumerate() {
        let want = arrays.get(&[&format!("output_{index}")], Kind::Floats)?;
        expect_close(got, &want).with_context(|| format!("output {index}"))?;
    }
    let ending = keras.extension().unwrap_or_default().to_string_lossy();
    let ours = keras.with_extension(format!("ours.{ending}"));
    let format = Format::of_path(keras).context("a form of Keras's")?;
    model_file::save_keras(&file, format, &ours)?;
    let again = predictions(&ModelFile::open(&ours)?, &inputs)?;
    ensure!(again == outputs, "exported and read again, it predicts something else");
    Ok(())
}

#[test]
fn keras_and_we_predict_the_same() {
    let test = "keras_and_we_predict_the_same";
    let folder = tempfile::tempdir().expect("a folder");
    let Some(text) = python::run(test, "models.py", &[folder.path()]) else { return };
    assert!(text.contains("Keras 3"), "{text}");
    let entries = std::fs::read_dir(folder.path()).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut models: Vec<PathBuf> = paths.filter(|path| Format::of_path(path).is_some()).collect();
    models.sort();
    assert!(models.len() > 80, "{models:?}");
    let failed = |model: &PathBuf| Some(format!("{}: {:#}", model.display(), check(model).err()?));
    let failures: Vec<String> = models.iter().filter_map(failed).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let checked = python::run(test, "models.py", &[folder.path(), Path::new("check")]);
    assert!(checked.is_some_and(|text| text.contains("Keras 3")));
}
