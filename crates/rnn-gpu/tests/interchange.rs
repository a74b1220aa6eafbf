//! Keras's models predict here what they predict in Keras, and what is exported predicts there
//! what it predicts here. The models are those of tests/interchange/models.py.

#[path = "../../../tests/interchange/python.rs"]
mod python;

use anyhow::{Context, Result, ensure};
use rnn::HostTensor;
use rnn::model_file::{self, ModelFile};
use rnn::nn::{Dataset, Loss, Optimizer, Trainer, TrainerState};
use rnn_cpu::CpuDevice;
use rnn_formats::keras::Format;
use rnn_run::arrays::samples;
use rnn_run::arrays::{Arrays, ElementKind};
use rnn_run::run::RunFolder;
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

/// Predicts from one of Keras's files.
fn check_predictions(keras: &Path) -> Result<(ModelFile, Vec<HostTensor>, Vec<HostTensor>)> {
    let file = ModelFile::open(keras)?;
    let mut arrays = Arrays::open(&keras.with_extension("npz"), false)?;
    let described = file.architecture.inputs().iter().enumerate();
    let inputs =
        described.map(|(i, input)| arrays.get(&[&format!("input_{i}")], ElementKind::of(input)));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let outputs = predictions(&file, &inputs)?;
    for (index, got) in outputs.iter().enumerate() {
        let want = arrays.get(&[&format!("output_{index}")], ElementKind::Floats)?;
        expect_close(got, &want).with_context(|| format!("output {index}"))?;
    }
    Ok((file, inputs, outputs))
}

/// The same, and exports the model.
fn check(keras: &Path) -> Result<()> {
    let (file, inputs, outputs) = check_predictions(keras)?;
    let ending = keras.extension().unwrap_or_default().to_string_lossy();
    let ours = keras.with_extension(format!("ours.{ending}"));
    let format = Format::of_path(keras).context("a form of Keras's")?;
    model_file::save_keras(&file, format, &ours)?;
    let again = predictions(&ModelFile::open(&ours)?, &inputs)?;
    ensure!(again == outputs, "exported and read again, it predicts something else");
    Ok(())
}

/// The models in a folder, each of which must hold.
fn expect_all(folder: &Path, check: impl Fn(&Path) -> Result<()>) -> usize {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    // Names with two endings are those that a check writes.
    let given =
        |path: &PathBuf| path.file_stem().is_some_and(|stem| !stem.to_string_lossy().contains('.'));
    let mut models: Vec<PathBuf> =
        paths.filter(|path| Format::of_path(path).is_some() && given(path)).collect();
    models.sort();
    let failed = |model: &PathBuf| Some(format!("{}: {:#}", model.display(), check(model).err()?));
    let failures: Vec<String> = models.iter().filter_map(failed).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    models.len()
}

/// Files that Keras wrote before; without Python.
#[test]
fn keras_files_predict_what_they_did_in_keras() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/predictions");
    let count = expect_all(Path::new(folder), |keras| check_predictions(keras).map(drop));
    assert_eq!(count, 4);
}

#[test]
fn keras_and_we_predict_the_same() {
    let test = "keras_and_we_predict_the_same";
    let folder = tempfile::tempdir().expect("a folder");
    let Some(text) = python::run(test, "models.py", &[folder.path()]) else { return };
    assert!(text.contains("Keras 3"), "{text}");
    assert!(expect_all(folder.path(), check) > 80);
    let checked = python::run(test, "models.py", &[folder.path(), Path::new("check")]);
    assert!(checked.is_some_and(|text| text.contains("Keras 3")));
}

/// Steps between two files of tests/interchange/training.py, and the examples of each.
const STEPS: usize = 4;
const BATCH: usize = 8;

/// Goes on with what Keras has trained, and writes a file with which Keras goes on.
fn go_on(keras: &Path) -> Result<()> {
    let after = ModelFile::open(&keras.with_extension("1.keras"))?;
    let want = after.model(None, 0)?.weights()?;
    let file = ModelFile::open(keras)?;
    let compile = file.compile.clone().context("it was compiled")?;
    let mut arrays = Arrays::open(&keras.with_extension("npz"), false)?;
    let sparse = matches!(compile.losses[0].0, Loss::SparseCategoricalCrossentropy { .. });
    let x = arrays.get(&["x"], ElementKind::Floats)?;
    let y = arrays.get(&["y"], if sparse { ElementKind::Whole } else { ElementKind::Floats })?;
    let batches = Dataset::new([x], [y])?.range(STEPS * BATCH..2 * STEPS * BATCH).batches(BATCH);
    let model = file.model(None, 0)?;
    let kept = file.optimizer_state(&model)?.context("its optimizer keeps something")?;
    ensure!(kept.step == STEPS as u64, "{} steps", kept.step);
    let first = TrainerState::beginning(&model, &compile.optimizer, Some(&kept), 0)?;
    let device = CpuDevice::new();
    let mut trainer =
        Trainer::new(model, &device, compile.optimizer, 0).losses(compile.losses.clone());
    trainer.restore(first)?;
    for batch in batches {
        trainer.train_batch(&batch?)?;
    }
    let mut worst = 0.0f32;
    for ((name, got), (wanted, want)) in trainer.model()?.weights()?.iter().zip(&want) {
        ensure!(name == wanted, "{name}, not {wanted}");
        expect_close(got, want).with_context(|| name.clone())?;
        let pairs = got.as_f32()?.iter().zip(want.as_f32()?);
        worst = pairs.map(|(got, want)| (got - want).abs()).fold(worst, f32::max);
    }
    println!("{}: {worst:.1e}", keras.display());
    if Format::of_path(keras) == Some(Format::Keras) {
        let run = RunFolder::create(&keras.with_extension("run"))?;
        let kept = trainer.optimizer_state()?;
        let now = (&*trainer.model()?, kept.as_ref());
        model_file::save(run.path(), &file.architecture, Some(&compile), now)?;
        let ours = keras.with_extension("ours.keras");
        model_file::save_keras(&ModelFile::open(run.path())?, Format::Keras, &ours)?;
    }
    Ok(())
}

#[test]
fn keras_and_we_go_on_with_each_others_training() {
    let test = "keras_and_we_go_on_with_each_others_training";
    let folder = tempfile::tempdir().expect("a folder");
    if python::run(test, "training.py", &[folder.path()]).is_none() {
        return;
    }
    assert_eq!(expect_all(folder.path(), go_on), 32);
    let checked = python::run(test, "training.py", &[folder.path(), Path::new("check")]);
    println!("{}", checked.expect("it ran before"));
}
