//! Models in ONNX files predict here what they predict in onnxruntime. `onnx_torch.py` and
//! `onnx_keras.py` of tests/interchange wrote those of PyTorch and of Keras.

use anyhow::{Context, Result, ensure};
use rnn::HostTensor;
use rnn::model_file::ModelFile;
use rnn::nn::{Architecture, InputSpec, Optimizer, Trainer};
use rnn_cpu::CpuDevice;
use rnn_formats::npz::Npz;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The largest difference from onnxruntime, relative to values above 1.
const TOLERANCE: f32 = 1e-5;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/onnx");

fn predictions(file: &ModelFile, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
    let samples: Vec<&[usize]> = inputs.iter().map(|input| &input.shape().dims()[1..]).collect();
    let model = file.trained_model(Some(&samples))?;
    let device = CpuDevice::new();
    let mut trainer = Trainer::new(model, &device, Optimizer::adam(), 0);
    Ok(trainer.predict_batch(inputs)?)
}

fn expect_close(got: &HostTensor, want: &HostTensor) -> Result<()> {
    ensure!(got.shape() == want.shape(), "{} instead of {}", got.shape(), want.shape());
    for (index, (got, want)) in got.as_f32()?.iter().zip(want.as_f32()?).enumerate() {
        let error = (got - want).abs() / want.abs().max(1.0);
        ensure!(error <= TOLERANCE, "element {index} is {got}, onnxruntime has {want}");
    }
    Ok(())
}

fn check(path: &Path) -> Result<()> {
    let file = ModelFile::open(path)?;
    let mut arrays = Npz::open(&path.with_extension("npz"))?;
    let inputs = file.architecture.inputs().iter().enumerate().map(|(i, input)| {
        let array = arrays.read(&format!("input_{i}"))?;
        Ok(if input.tokens { array.to_u32()? } else { array.to_f32()? })
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    for (index, got) in predictions(&file, &inputs)?.iter().enumerate() {
        let want = arrays.read(&format!("output_{index}"))?.to_f32()?;
        expect_close(got, &want).with_context(|| format!("output {index}"))?;
    }
    Ok(())
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(FILES).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    files.sort();
    files
}

#[test]
fn models_of_other_programs_predict_what_they_do_in_onnxruntime() {
    let failed = |path: &PathBuf| Some(format!("{}: {:#}", path.display(), check(path).err()?));
    let failures: Vec<String> = files().iter().filter_map(failed).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(files().len(), 21);
}

/// What is written as ONNX comes back.
fn round_trip(name: &str, input: &[Option<usize>], layers: &[(&str, Value)]) -> Result<()> {
    let shape: Vec<Value> = [None].iter().chain(input).map(|n| json!(n)).collect();
    let x = json!({"class_name": "InputLayer", "config": {"batch_shape": shape, "name": "x"}});
    let layers =
        layers.iter().map(|(class, config)| json!({"class_name": class, "config": config}));
    let layers: Vec<Value> = [x].into_iter().chain(layers).collect();
    let model = json!({"class_name": "Sequential", "config": {"layers": layers}});
    let model = Architecture::from_json(&model, None)?.model(1)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(format!("{name}.onnx"));
    std::fs::write(&path, model.to_onnx()?)?;
    let (_, spec, _) = model.inputs().next().context("an input")?;
    let (tokens, shape) = (matches!(spec, InputSpec::Tokens(_)), [&[3], spec.shape()].concat());
    let count: usize = shape.iter().product();
    let x = match tokens {
        true => HostTensor::from_u32(shape, (0..count as u32).map(|i| i % 7).collect())?,
        false => HostTensor::from_f32(shape, (0..count).map(|i| (i as f32).sin()).collect())?,
    };
    let device = CpuDevice::new();
    let mut trainer = Trainer::new(model, &device, Optimizer::adam(), 0);
    let want = trainer.predict_batch(std::slice::from_ref(&x))?;
    let got = predictions(&ModelFile::open(&path)?, &[x])?;
    ensure!(got.len() == want.len(), "{} outputs", got.len());
    got.iter().zip(&want).try_for_each(|(got, want)| expect_close(got, want))
}

#[test]
fn what_is_exported_comes_back() {
    let mut failures = Vec::new();
    let mut check = |name: &str, input: &[usize], layers: &[(&str, Value)]| {
        let input: Vec<Option<usize>> = input.iter().map(|&n| Some(n)).collect();
        if let Err(error) = round_trip(name, &input, layers) {
            failures.push(format!("{name}: {error:#}"));
        }
    };
    let recurrent = [
        ("SimpleRNN", json!({"units": 4})),
        ("SimpleRNN", json!({"units": 4, "activation": "relu", "use_bias": false})),
        ("LSTM", json!({"units": 4, "return_sequences": true})),
        ("LSTM", json!({"units": 4, "go_backwards": true})),
        ("LSTM", json!({"units": 4, "return_sequences": true, "go_backwards": true})),
        (
            "LSTM",
            json!({"units": 4, "activation": "leaky_relu", "recurrent_activation": "softsign"}),
        ),
        (
            "LSTM",
            json!({"units": 4, "recurrent_activation": "hard_sigmoid", "activation": "linear"}),
        ),
        ("GRU", json!({"units": 4})),
        ("GRU", json!({"units": 4, "reset_after": false, "return_sequences": true})),
        ("GRU", json!({"units": 4, "use_bias": false})),
        ("LSTM", json!({"units": 4, "activation": "silu"})),
        ("GRU", json!({"units": 4, "activation": "mish"})),
    ];
    for (i, layer) in recurrent.into_iter().enumerate() {
        check(&format!("recurrent_{i}"), &[6, 3], &[layer]);
    }
    for class in ["LSTM", "GRU", "SimpleRNN"] {
        for (merge, sequences) in [("concat", true), ("sum", false), ("mul", true), ("ave", true)] {
            let config = json!({"units": 3, "return_sequences": sequences});
            let layer = json!({"class_name": class, "config": config});
            let config = json!({"layer": layer, "merge_mode": merge});
            check(&format!("both_{class}_{merge}"), &[5, 2], &[("Bidirectional", config)]);
        }
    }
    for (axes, input) in [(1, &[9, 2][..]), (2, &[7, 6, 2]), (3, &[5, 6, 4, 2])] {
        for (padding, strides, dilation) in [("valid", 1, 1), ("same", 2, 1), ("same", 1, 2)] {
            let config = json!({"filters": 3, "kernel_size": 3, "padding": padding,
                "strides": strides, "dilation_rate": dilation, "activation": "relu"});
            check("conv", input, &[(&format!("Conv{axes}D"), config)]);
        }
        for kind in ["Max", "Average"] {
            let config = json!({"pool_size": 3, "strides": 2, "padding": "same"});
            check("pool", input, &[(&format!("{kind}Pooling{axes}D"), config)]);
            check("global", input, &[(&format!("Global{kind}Pooling{axes}D"), json!({}))]);
        }
        let ends = json!([[1, 0], [0, 2], [1, 1]].iter().take(axes).collect::<Vec<_>>());
        let ends = if axes == 1 { ends[0].clone() } else { ends };
        check("pad", input, &[(&format!("ZeroPadding{axes}D"), json!({"padding": ends}))]);
        check("crop", input, &[(&format!("Cropping{axes}D"), json!({"cropping": ends}))]);
        let film = [&[3], input].concat();
        let config = json!({"filters": 2, "kernel_size": 2, "padding": "same"});
        check("conv_lstm", &film, &[(&format!("ConvLSTM{axes}D"), config)]);
    }
    for activation in [
        "linear",
        "relu",
        "sigmoid",
        "tanh",
        "hard_sigmoid",
        "leaky_relu",
        "relu6",
        "softsign",
        "exponential",
        "elu",
        "celu",
        "selu",
        "softplus",
        "silu",
        "hard_silu",
        "mish",
        "gelu",
        "gelu_tanh",
        "hard_tanh",
        "softmax",
        "log_softmax",
        "glu",
    ] {
        check(activation, &[5], &[("Dense", json!({"units": 4, "activation": activation}))]);
    }
    let conv = json!({"class_name": "Conv1D", "config": {"filters": 2, "kernel_size": 2}});
    for (class, input, config) in [
        ("BatchNormalization", &[4, 3][..], json!({})),
        ("LayerNormalization", &[4, 3], json!({})),
        ("Flatten", &[4, 3], json!({})),
        ("RepeatVector", &[3], json!({"n": 4})),
        ("Permute", &[4, 5, 3], json!({"dims": [3, 1, 2]})),
        ("Reshape", &[4, 3], json!({"target_shape": [2, -1]})),
        ("Softmax", &[4, 3, 2], json!({"axis": 1})),
        ("ReLU", &[4, 3], json!({"max_value": 0.5})),
        ("LeakyReLU", &[4, 3], json!({"negative_slope": 0.2})),
        ("PReLU", &[4, 3], json!({})),
        ("Dropout", &[4, 3], json!({"rate": 0.5})),
        ("Rescaling", &[4, 3], json!({"scale": 0.5, "offset": [0.5, 1.0, 2.0]})),
        ("UpSampling1D", &[4, 3], json!({"size": 2})),
        ("TimeDistributed", &[4, 5, 3], json!({"layer": conv})),
    ] {
        check(class, input, &[(class, config)]);
    }
    let text = [
        ("Embedding", json!({"input_dim": 7, "output_dim": 3})),
        ("Conv1D", json!({"filters": 4, "kernel_size": 3, "activation": "relu"})),
        ("MaxPooling1D", json!({"pool_size": 2})),
        ("LSTM", json!({"units": 4})),
        ("Dense", json!({"units": 1, "activation": "sigmoid"})),
    ];
    check("text", &[12], &text);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What is said of a model that is refused.
fn refused(path: &Path) -> String {
    let error = ModelFile::open(path).err().expect("a refusal");
    format!("{:#}", anyhow::Error::from(error))
}

#[test]
fn weights_are_read_from_the_folder_of_the_model_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("a folder");
    let read = |name: &str| std::fs::read(Path::new(FILES).join(name)).expect("a file");
    std::fs::write(folder.path().join("side.onnx.data"), read("outside.onnx.data")).expect("room");
    let (mut model, from) = (read("outside.onnx"), b"outside.onnx.data");
    while let Some(at) = model.windows(from.len()).position(|bytes| bytes == from) {
        model[at..at + from.len()].copy_from_slice(b"../side.onnx.data");
    }
    let path = inner.join("m.onnx");
    std::fs::write(&path, model).expect("room");
    let message = refused(&path);
    assert!(message.contains("its weights lie in ../side.onnx.data"), "{message}");
    std::fs::write(&path, read("outside.onnx")).expect("room");
    assert!(refused(&path).contains("no file in the folder of the model"), "{}", refused(&path));
}

#[test]
fn damaged_files_are_errors_or_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.onnx");
    for name in ["last_any.onnx", "frames.onnx", "pictures.onnx", "keras_words.onnx"] {
        let whole = std::fs::read(Path::new(FILES).join(name)).expect("a file");
        for at in (0..whole.len()).step_by(7) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, changed).expect("room");
            let _ = ModelFile::open(&path).map(|file| file.summary());
        }
        std::fs::write(&path, &whole[..whole.len() / 2]).expect("room");
        assert!(refused(&path).contains("damaged"), "{}", refused(&path));
    }
}
