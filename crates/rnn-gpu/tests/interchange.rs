//! Keras's models predict here what they predict in Keras, and what is exported predicts there
//! what it predicts here. The models are those of tests/interchange/models.py.

mod common;
#[path = "../../../tests/interchange/python.rs"]
mod python;

use anyhow::{Context, Result, ensure};
use common::expect_close;
use rnn::HostTensor;
use rnn::model_file::{self, ModelFile};
use rnn::nn::{
    Bidirectional, Dataset, Dialect, Gru, InputSpec, Layer, Loss, Lstm, Model, Optimizer, Trainer,
    TrainerState,
};
use rnn_cpu::CpuDevice;
use rnn_formats::keras::Format;
use rnn_run::arrays::samples;
use rnn_run::arrays::{Arrays, ElementKind};
use rnn_run::run::RunFolder;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The largest difference from Keras, relative to values above 1.
const TOLERANCE: f32 = 1e-5;

fn predictions(file: &ModelFile, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
    let model = file.trained_model(Some(&samples(inputs.iter().map(HostTensor::shape))))?;
    let device = CpuDevice::new();
    let mut trainer = Trainer::new(model, &device, Optimizer::adam(), 0);
    Ok(trainer.predict_batch(inputs)?)
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
        expect_close(got, &want, TOLERANCE).with_context(|| format!("output {index}"))?;
    }
    Ok((file, inputs, outputs))
}

/// The same, and exports the model.
fn check(keras: &Path) -> Result<()> {
    let (file, inputs, outputs) = check_predictions(keras)?;
    let ending = keras.extension().unwrap_or_default().to_string_lossy();
    let ours = keras.with_extension(format!("ours.{ending}"));
    let format = Format::of_path(keras).context("a form of Keras's")?;
    let saved = model_file::save_keras(&file, format, &ours);
    if keras.file_stem().is_some_and(|name| name == "characters") {
        let error = saved.err().context("the order of its layers depends on masks")?.to_string();
        ensure!(error.contains("embedding") && error.contains("order"), "{error}");
        return Ok(());
    }
    saved?;
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
    assert_eq!(count, 6);
}

fn of_predictions(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/predictions");
    Path::new(folder).join(name)
}

/// As `model.to_json()` and `model.save_weights()` wrote them; without Python.
#[test]
fn weights_alone_take_the_description_in_another_file() -> Result<()> {
    for name in ["frames", "keras2"] {
        let [weights, json, arrays] =
            ["weights.h5", "json", "npz"].map(|end| of_predictions(&format!("{name}.{end}")));
        let file = ModelFile::open_weights(&weights, &json, Arc::new(|_| {}))?;
        let mut arrays = Arrays::open(&arrays, false)?;
        let input = arrays.get(&["input_0"], ElementKind::Floats)?;
        let want = arrays.get(&["output_0"], ElementKind::Floats)?;
        expect_close(&predictions(&file, &[input])?[0], &want, TOLERANCE).context(name)?;
        let alone = format!("{:#}", anyhow::Error::from(ModelFile::open(&weights).err().unwrap()));
        ensure!(alone.contains("weights alone"), "{alone}");
    }
    Ok(())
}

/// Optimizers, initializers and regularizers that are not known.
#[test]
fn what_only_training_needs_stops_no_prediction() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("odd.keras");
    let tokens = Arrays::open(&of_predictions("words.npz"), false)?;
    let written = |optimizer: Value, loss: Value, regularizer: Value| -> Result<_> {
        let mut keras = rnn_formats::keras::read(&of_predictions("words.keras"))?;
        let compile = keras.compile.as_mut().context("it was compiled")?;
        (compile["optimizer"], compile["loss"]) = (optimizer, loss);
        let config = keras.config.as_mut().context("a description")?;
        let dense = &mut config["config"]["layers"][3]["config"];
        dense["kernel_initializer"] = json!({"class_name": "Mine", "config": {"a": 1}});
        dense["kernel_regularizer"] = regularizer;
        keras.write(&path)?;
        let told = Arc::new(Mutex::new(Vec::new()));
        let lines = told.clone();
        let tell = move |line: &str| lines.lock().unwrap().push(line.to_owned());
        let file = ModelFile::open_with(&path, Arc::new(tell))?;
        let told = told.lock().unwrap().join("\n");
        Ok((file, told))
    };
    let mut arrays = tokens;
    let input = arrays.get(&["input_0"], ElementKind::Whole)?;
    let want = arrays.get(&["output_0"], ElementKind::Floats)?;
    let named = |class: &str| json!({"class_name": class, "config": {"learning_rate": 0.5}});
    let loss = json!("binary_crossentropy");

    let (file, told) =
        written(named("Prodigy"), loss.clone(), json!({"class_name": "Odd", "config": {}}))?;
    expect_close(&predictions(&file, std::slice::from_ref(&input))?[0], &want, TOLERANCE)?;
    ensure!(told.contains("Prodigy") && told.contains("Odd") && told.contains("Mine"), "{told}");
    let compile = file.compile.as_ref().context("its loss is known")?;
    ensure!(compile.optimizer == Optimizer::adam() && file.optimizer.is_none());
    let refused = format!("{}", file.check_trainable().unwrap_err());
    ensure!(refused.contains("kernel_regularizer") && refused.contains("predict"), "{refused}");

    let (file, told) = written(named("Custom>SGD"), json!("my_loss"), Value::Null)?;
    ensure!(file.compile.is_none() && told.contains("my_loss"), "{told}");
    ensure!(file.optimizer.context("it is known")?.class() == "SGD");
    let (file, _) = written(named("Addons>AdamW"), loss, Value::Null)?;
    // The weights are there, whatever they began as.
    file.check_trainable()?;
    let plain = Optimizer::from_json(&named("AdamW"), Dialect::Keras3)?;
    ensure!(file.compile.context("all is known")?.optimizer == plain);
    Ok(())
}

#[test]
fn models_of_other_programs_are_named_with_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let keras1 = folder.path().join("keras1.h5");
    let mut old = rnn_formats::keras::read(&of_predictions("keras2.h5"))?;
    old.version = Some("1.2.2".into());
    old.write(&keras1)?;
    std::fs::create_dir(folder.path().join("saved"))?;
    for (name, text, says) in [
        ("saved/saved_model.pb", "", "SavedModel"),
        ("model.pth", "", "torch.onnx.export"),
        ("weights.ckpt.index", "", "checkpoint of TensorFlow"),
        ("model.tflite", "", "TensorFlow Lite"),
        ("model.yaml", "", "to_json"),
        (
            "model.json",
            r#"{"format": "layers-model", "modelTopology": {}}"#,
            "tensorflowjs_converter",
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        let message = format!("{:#}", anyhow::Error::from(ModelFile::open(&path).err().unwrap()));
        ensure!(message.contains(says), "{name}: {message}");
    }
    for (path, says) in [(folder.path().join("saved"), "model.save"), (keras1, "Keras 1")] {
        let message = format!("{:#}", anyhow::Error::from(ModelFile::open(&path).err().unwrap()));
        ensure!(message.contains(says), "{message}");
    }
    Ok(())
}

/// A matrix of gates side by side as cuDNN keeps it, by which the usual layers have each gate's
/// transpose (`_convert_rnn_weights` in keras/engine/saving.py of 2.2.4).
fn for_cudnn(kernel: &HostTensor, gates: usize) -> Result<HostTensor> {
    let (values, shape) = (kernel.as_f32()?, kernel.shape().dims());
    let (rows, columns) = (shape[0], shape[1]);
    let units = columns / gates;
    let mut turned = vec![0.0; values.len()];
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let (gate, unit) = (column / units, column % units);
        let place = unit * rows + row;
        turned[place / units * columns + gate * units + place % units] =
            values[row * columns + column];
    }
    Ok(HostTensor::from_f32(shape, turned)?)
}

/// The layers of old files whose weights lie as cuDNN takes them.
#[test]
fn files_for_cudnn_are_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let layers: [(&str, Box<dyn Layer>, usize); 3] = [
        ("LSTM", Box::new(Lstm::new(4)), 4),
        ("GRU", Box::new(Gru::new(4).return_sequences()), 3),
        ("LSTM", Box::new(Bidirectional::new(Lstm::new(4))), 4),
    ];
    for (i, (class, layer, gates)) in layers.into_iter().enumerate() {
        let model = Model::sequential(InputSpec::floats([5, 3]), 7).add(layer)?;
        model_file::save(folder.path(), model.architecture(), None, (&model, None))?;
        let file = ModelFile::open(folder.path())?;
        let [usual, old] = ["usual", "old"].map(|name| folder.path().join(format!("{name}{i}.h5")));
        model_file::save_keras(&file, Format::LegacyH5, &usual)?;
        let x = (0..30).map(|i| (i as f32).sin()).collect();
        let inputs = [HostTensor::from_f32([2, 5, 3], x)?];
        let expected = predictions(&ModelFile::open(&usual)?, &inputs)?;

        let mut written = rnn_formats::keras::read(&usual)?;
        let config = written.config.as_mut().context("a description")?;
        let layer = &mut config["config"]["layers"][1];
        let wrapped = layer["class_name"] == "Bidirectional";
        let layer = if wrapped { &mut layer["config"]["layer"] } else { layer };
        layer["class_name"] = format!("CuDNN{class}").into();
        let arguments = layer["config"].as_object_mut().context("arguments")?;
        for foreign in ["activation", "recurrent_activation", "use_bias", "reset_after", "dropout"]
        {
            arguments.remove(foreign);
        }
        if wrapped {
            config["config"]["layers"][1]["config"]["backward_layer"].take();
        }
        written.version = Some("2.2.4".into());
        for (name, tensor) in written.layers.iter_mut().flat_map(|layer| &mut layer.tensors) {
            *tensor = match name.ends_with("kernel") {
                true => for_cudnn(tensor, gates)?,
                // The sum of both is the bias of an LSTM.
                false if class == "LSTM" => {
                    let bias = tensor.as_f32()?;
                    let both = bias.iter().map(|b| 0.25 * b).chain(bias.iter().map(|b| 0.75 * b));
                    HostTensor::from_f32([2 * bias.len()], both.collect())?
                }
                false => HostTensor::from_f32([24], tensor.as_f32()?.to_vec())?,
            };
        }
        written.write(&old)?;
        for (got, want) in predictions(&ModelFile::open(&old)?, &inputs)?.iter().zip(&expected) {
            expect_close(got, want, TOLERANCE).context(class)?;
        }
    }
    Ok(())
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
        expect_close(got, want, TOLERANCE).with_context(|| name.clone())?;
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
    assert_eq!(expect_all(folder.path(), go_on), 42);
    let checked = python::run(test, "training.py", &[folder.path(), Path::new("check")]);
    println!("{}", checked.expect("it ran before"));
}
