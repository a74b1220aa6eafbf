//! The sequence examples of keras.io, whole: their models open, predict, have Keras's loss, train to
//! Keras's predictions, and leave again for Keras and ONNX with the same numbers. The models are those of
//! tests/interchange/tutorials.py.

mod common;
#[path = "../../../tests/interchange/python.rs"]
mod python;

use anyhow::{Context, Result};
use common::expect_close;
use rnn::HostTensor;
use rnn::model_file::{self, ModelFile};
use rnn::nn::{Batch, Dataset, Loss, Model, Trainer};
use rnn_cpu::CpuDevice;
use rnn_formats::{keras::Format, npy};
use rnn_run::arrays::{Arrays, ElementKind, samples};
use rnn_run::run::RunFolder;
use std::path::{Path, PathBuf};

/// The largest difference from Keras's predictions and loss, relative to values above 1.
const TOLERANCE: f32 = 1e-5;
/// The same after three steps of training.
const TRAINED: f32 = 1e-4;
/// Examples in a batch of `tutorials.py`.
const BATCH: usize = 6;

/// Files by which onnxruntime is asked whether it predicts this, as check_onnx.py reads them.
fn write_onnx(
    folder: &Path,
    name: &str,
    model: &Model,
    (inputs, output): (&[HostTensor], &HostTensor),
) -> Result<()> {
    std::fs::write(folder.join(format!("{name}.onnx")), model.to_onnx()?)?;
    for ((input, ..), tensor) in model.inputs().zip(inputs) {
        npy::write(&folder.join(format!("{name}.in.{input}.npy")), tensor)?;
    }
    npy::write(&folder.join(format!("{name}.out.0.npy")), output)?;
    Ok(())
}

/// Everything that is done with the model of one example.
fn check(keras: &Path, onnx: &Path) -> Result<()> {
    let file = ModelFile::open(keras)?;
    let mut arrays = Arrays::open(&keras.with_extension("npz"), false)?;
    let described = file.architecture.inputs().iter().enumerate();
    let inputs =
        described.map(|(i, input)| arrays.get(&[&format!("input_{i}")], ElementKind::of(input)));
    let inputs: Vec<HostTensor> = inputs.collect::<Result<_>>()?;
    let model = file.trained_model(Some(&samples(inputs.iter().map(HostTensor::shape))))?;
    let compile = file.compile.clone().context("it was compiled")?;
    let whole = matches!(compile.losses[0].0, Loss::SparseCategoricalCrossentropy { .. });
    let kind = if whole { ElementKind::Whole } else { ElementKind::Floats };
    let labels = arrays.get(&["labels"], kind)?;
    let mut want = |name: &str| arrays.get(&[name], ElementKind::Floats);

    let device = CpuDevice::new();
    let data = Dataset::new(inputs, [labels])?;
    let batches: Vec<Batch> = data.batches(BATCH).collect::<Result<_, _>>()?;
    let first = &batches[0];
    let mut trainer =
        Trainer::new(model, &device, compile.optimizer, 0).losses(compile.losses.clone());
    let predicted = trainer.predict_batch(&first.inputs)?;
    expect_close(&predicted[0], &want("output")?, TOLERANCE).context("predictions")?;
    trainer.evaluate_batch(first)?;
    let loss = HostTensor::from_f32([1], vec![trainer.take_metrics()?.loss as f32])?;
    let wanted = HostTensor::from_f32([1], want("loss")?.as_f32()?.to_vec())?;
    expect_close(&loss, &wanted, TOLERANCE).context("the loss")?;
    for batch in &batches {
        trainer.train_batch(batch)?;
    }
    let after = trainer.predict_batch(&first.inputs)?;
    expect_close(&after[0], &want("after")?, TRAINED).context("predictions after training")?;

    let run = RunFolder::create(&keras.with_extension("run"))?;
    let model = trainer.model()?;
    model_file::save(run.path(), &file.architecture, Some(&compile), (&*model, None))?;
    let ours = keras.with_extension("ours.keras");
    model_file::save_keras(&ModelFile::open(run.path())?, Format::Keras, &ours)?;
    let name = keras.file_stem().context("a name")?.to_string_lossy();
    write_onnx(onnx, &name, &*model, (&first.inputs, &after[0])).context("to ONNX")
}

#[test]
fn the_sequence_examples_of_keras_pass_whole() {
    let test = "the_sequence_examples_of_keras_pass_whole";
    let folder = tempfile::tempdir().expect("a folder");
    let onnx = folder.path().join("onnx");
    std::fs::create_dir(&onnx).expect("a folder");
    if python::run(test, "tutorials.py", &[folder.path()]).is_none() {
        return;
    }
    let entries = std::fs::read_dir(folder.path()).expect("the folder").flatten();
    let mut models: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    models.retain(|path| Format::of_path(path).is_some());
    models.sort();
    let failed = |model: &PathBuf| {
        let error = check(model, &onnx).err()?;
        Some(format!("{}: {error:#}", model.display()))
    };
    let failures: Vec<String> = models.iter().filter_map(failed).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(models.len(), 14);
    for (script, folder) in [("tutorials.py", folder.path()), ("check_onnx.py", &onnx)] {
        let arguments = [folder, Path::new("check")];
        let arguments = if script == "tutorials.py" { &arguments[..] } else { &arguments[..1] };
        println!("{}", python::run(test, script, arguments).expect("it ran before"));
    }
}
