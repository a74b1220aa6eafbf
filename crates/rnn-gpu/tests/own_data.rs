//! Validation data, losses and optimizers of the user's, and the precision that a run is judged in.

mod common;

use common::line::{ROWS, arrays, bytes, dense, label, rows, train};
use common::{Sandbox, failure, json_of, npy_bytes, rnn_gpu, success, text};
use rnn_core::HostTensor;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// What a command that must succeed says on standard error.
fn said(args: &[&str]) -> String {
    let output = rnn_gpu(args).output().expect("it starts");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

/// So many rows of nines, as no row to train on is.
fn nines(rows: usize, width: usize) -> Vec<u8> {
    npy_bytes(HostTensor::from_f32([rows, width], vec![9.0; rows * width]))
}

/// Arrays to train on, and seven rows to validate.
fn with_validation(sandbox: &Sandbox) -> String {
    let validation = [("x_val", nines(7, 2)), ("y_val", nines(7, 1))];
    sandbox.npz("d.npz", &[arrays(), validation].concat())
}

/// How many examples train, validate and test a run.
fn examples(run: &str) -> Value {
    json_of(run, "report.json")["examples"].clone()
}

#[test]
fn validation_data_of_the_users_validates_and_a_share_of_the_training_data_does_not() {
    let sandbox = Sandbox::new();
    let (model, run, d) = (dense(&sandbox, 1), sandbox.path("run"), with_validation(&sandbox));
    success(&train(&model, &d, &run, &[]));
    assert_eq!(examples(&run), json!([ROWS, 7, 0]));
    let fit = sandbox.write("fit.toml", b"validation = 0.5\n");
    let message = said(&train(&model, &d, &run, &["--fit", &fit, "--overwrite"]));
    assert!(message.contains("validation") && message.contains("x_val"), "{message}");
    assert_eq!(examples(&run), json!([ROWS, 7, 0]));
}

#[test]
fn without_validation_data_a_share_of_the_training_data_validates() {
    let sandbox = Sandbox::new();
    let (model, run) = (dense(&sandbox, 1), sandbox.path("run"));
    let d = sandbox.npz("d.npz", &arrays());
    let fit = sandbox.write("fit.toml", b"validation = 0.5\n");
    success(&train(&model, &d, &run, &["--fit", &fit]));
    assert_eq!(examples(&run), json!([ROWS / 2, ROWS / 2, 0]));
}

/// Seven rows, of which the first holds a NaN.
fn with_a_nan() -> Vec<u8> {
    let mut values = vec![9.0; 14];
    values[0] = f32::NAN;
    npy_bytes(HostTensor::from_f32([7, 2], values))
}

#[test]
fn a_validation_that_is_not_finite_ends_the_training_and_damages_nothing() {
    let sandbox = Sandbox::new();
    let (model, run) = (dense(&sandbox, 1), sandbox.path("run"));
    let d = sandbox
        .npz("d.npz", &[arrays(), [("x_val", with_a_nan()), ("y_val", nines(7, 1))]].concat());
    let message = failure(&train(&model, &d, &run, &["--checkpoint-every", "1"]));
    assert!(message.contains("validation loss of epoch 1 is NaN"), "{message}");
    // The same data end it again, from a checkpoint that is read.
    let message = failure(&["train", "--resume", &run]);
    assert!(message.contains("validation loss of epoch 1 is NaN"), "{message}");
    let damaged = |entry: fs::DirEntry| entry.file_name().to_string_lossy().contains("damaged");
    let entries = fs::read_dir(&run).expect("the run").flatten();
    assert!(!entries.into_iter().any(damaged));
}

#[test]
fn a_test_that_is_not_finite_is_written_and_read_again() {
    let sandbox = Sandbox::new();
    let (model, run) = (dense(&sandbox, 1), sandbox.path("run"));
    let d = sandbox
        .npz("d.npz", &[arrays(), [("x_test", with_a_nan()), ("y_test", nines(7, 1))]].concat());
    success(&train(&model, &d, &run, &[]));
    assert_eq!(json_of(&run, "results.json")["loss"], json!("NaN"));
    success(&["compare", &run, &run, "--out", &sandbox.path("compared.png")]);
    success(&["history", &run]);
}

#[test]
fn validation_data_does_not_train() {
    let sandbox = Sandbox::new();
    let [run, all] = ["run", "all"].map(|name| sandbox.path(name));
    let (model, d) = (dense(&sandbox, 1), with_validation(&sandbox));
    success(&train(&model, &d, &run, &[]));
    let none = sandbox.write("none.toml", b"validation = 0.0\n");
    let without = sandbox.npz("without.npz", &arrays());
    success(&train(&model, &without, &all, &["--fit", &none]));
    let weights = |run: &str| bytes(run, "weights.safetensors");
    assert_eq!(weights(&run), weights(&all));
}

#[test]
fn validation_data_without_labels_or_labels_without_it_are_refused() {
    let sandbox = Sandbox::new();
    let (model, out) = (dense(&sandbox, 1), sandbox.path("half"));
    for (missing, rest) in [("x_val", ("y_val", nines(7, 1))), ("y_val", ("x_val", nines(7, 2)))] {
        let d = sandbox.npz("half.npz", &[&arrays()[..], &[rest]].concat());
        let message = failure(&train(&model, &d, &out, &[]));
        assert!(message.contains(missing) && !Path::new(&out).exists(), "{message}");
    }
}

#[test]
fn arrays_that_have_no_place_are_named() {
    let sandbox = Sandbox::new();
    let odd = [("x_valid", nines(7, 2)), ("weights", nines(7, 1))];
    let d = sandbox.npz("odd.npz", &[arrays(), odd].concat());
    let message = said(&train(&dense(&sandbox, 1), &d, &sandbox.path("odd"), &[]));
    assert!(message.contains("x_valid") && message.contains("weights"), "{message}");
}

#[test]
fn without_a_word_it_is_adam_and_what_trains_is_said() {
    let sandbox = Sandbox::new();
    let d = sandbox.npz("d.npz", &arrays());
    let model = |name: &str, compile: &str| {
        let layers = "input.shape = [2]\nlayer = [{ type = \"Dense\", units = 1 }]\n";
        sandbox.write(name, format!("{layers}{compile}").as_bytes())
    };
    let fit = sandbox.write("fit.toml", b"loss = \"mse\"\n");
    for (index, (compile, with_fit, class, rate)) in [
        ("", true, "Adam", "0.001"),
        ("compile.loss = \"mae\"\n", false, "Adam", "0.001"),
        ("compile.loss = \"mae\"\n", true, "Adam", "0.001"),
        ("compile.optimizer = \"sgd\"\n", true, "SGD", "0.01"),
        (
            "compile.optimizer = { type = \"RMSprop\", learning_rate = 0.25 }\n",
            true,
            "RMSprop",
            "0.25",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (model, run) = (model("m.toml", compile), sandbox.path(&format!("run{index}")));
        let more = if with_fit { vec!["--fit", &fit] } else { vec![] };
        let printed = success(&train(&model, &d, &run, &more));
        let line = printed.lines().find(|line| line.starts_with("optimizer: ")).expect("a line");
        assert!(line.contains(&format!("{class}, learning rate {rate}")), "{line}");
        let loss = if with_fit { "MeanSquaredError" } else { "MeanAbsoluteError" };
        assert!(line.contains(loss), "{line}");
        let trained = &json_of(&run, "model.json")["compile_config"];
        assert_eq!(trained["optimizer"]["class_name"], json!(class), "{compile}");
        assert_eq!(trained["loss"]["class_name"], json!(loss), "{compile}");
    }
}

#[test]
fn metrics_of_a_keras_file_that_are_not_computed_are_named() {
    let sandbox = Sandbox::new();
    let d = sandbox.npz("d.npz", &arrays());
    let described = json!({
        "class_name": "Sequential",
        "config": {"layers": [
            {"class_name": "InputLayer", "config": {"batch_shape": [null, 2], "name": "x"}},
            {"class_name": "Dense", "config": {"units": 1, "name": "y"}},
        ]},
        "compile_config": {"optimizer": "sgd", "loss": "mse", "metrics": ["mse", "cosine_similarity"]},
    });
    let model = sandbox.write("m.json", described.to_string().as_bytes());
    let message = said(&train(&model, &d, &sandbox.path("metrics"), &[]));
    assert!(message.contains("cosine_similarity") && !message.contains("metric mse"), "{message}");
}

#[test]
fn a_run_is_judged_in_the_precision_that_it_was_trained_in() {
    let sandbox = Sandbox::new();
    // The sequence between the layers has the precision.
    let model = "input.shape = [6, 2]\ncompile.loss = \"mse\"\n\
                 layer = [{ type = \"SimpleRNN\", units = 8, return_sequences = true },\n\
                 { type = \"SimpleRNN\", units = 8 }, { type = \"Dense\", units = 1 }]\n";
    let model = sandbox.write("m.toml", model.as_bytes());
    let x: Vec<f32> = (0..ROWS * 12).map(|i| (i % 13) as f32 / 13.0 - 0.4).collect();
    let x = npy_bytes(HostTensor::from_f32([ROWS, 6, 2], x));
    let arrays = [("x_train", x.clone()), ("y_train", rows(|of| vec![label(of)]))];
    let d = sandbox.npz("d.npz", &arrays);
    let run = sandbox.path("run");
    success(&train(&model, &d, &run, &["--precision", "mixed"]));
    let loss = |run: &str| json_of(run, "results.json")["loss"].as_f64().expect("a loss");
    let (trained, input, y) = (loss(&run), sandbox.write("x.npy", &x), sandbox.path("y.npy"));
    let predict = || {
        let args = ["predict", &run, "--input", &input, "--output", &y, "--device", "cpu"];
        success(&args);
        fs::read(&y).expect("predictions")
    };
    let printed = success(&["evaluate", &run, "--device", "cpu"]);
    assert!(printed.contains("precision: mixed"), "{printed}");
    assert_eq!(loss(&run), trained);
    let named = [("x", arrays[0].1.clone()), ("y", arrays[1].1.clone())];
    let named = sandbox.npz("xy.npz", &named);
    let message = said(&["evaluate", &run, "--device", "cpu", "--data", &named]);
    assert!(message.contains("precision: mixed"), "{message}");
    let mixed = predict();
    // Single precision gives other numbers.
    let config = text(&bytes(&run, "config.json")).replace("\"mixed\"", "\"f32\"");
    fs::write(Path::new(&run).join("config.json"), config).expect("it is written");
    let printed = success(&["evaluate", &run, "--device", "cpu"]);
    assert!(printed.contains("precision: f32"), "{printed}");
    assert_ne!(loss(&run), trained);
    assert_ne!(predict(), mixed);
}
