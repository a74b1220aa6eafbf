//! Validation data, losses and optimizers of the user's, and the precision that a run is judged in.

mod common;

use common::line::{ROWS, arrays, bytes, dense, label, rows, train};
use common::{Sandbox, failure, json_of, npy_bytes, rnn_gpu, success, text};
use rnn_core::HostTensor;
use serde_json::json;
use std::fs;
use std::path::Path;

/// What a command that must succeed says on standard error.
fn said(args: &[&str]) -> String {
    let output = rnn_gpu(args).output().expect("it starts");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn validation_data_of_the_users_validates() {
    let sandbox = Sandbox::new();
    let (model, run) = (dense(&sandbox, 1), sandbox.path("run"));
    let x = || rows(|of| of.to_vec());
    let y = || rows(|of| vec![label(of)]);
    let few =
        |n: usize, width: usize| npy_bytes(HostTensor::from_f32([n, width], vec![9.0; n * width]));
    let d = sandbox.npz(
        "d.npz",
        &[("x_train", x()), ("y_train", y()), ("x_val", few(7, 2)), ("y_val", few(7, 1))],
    );
    let split = sandbox.npz("split.npz", &[("x_train", x()), ("y_train", y())]);
    success(&train(&model, &d, &run, &[]));
    let examples = |run: &str| json_of(run, "report.json")["examples"].clone();
    assert_eq!(examples(&run), json!([ROWS, 7, 0]));
    let fit = sandbox.write("fit.toml", b"validation = 0.5\n");
    let more = ["--fit", &fit, "--overwrite"];
    let message = said(&train(&model, &d, &run, &more));
    assert!(message.contains("validation") && message.contains("x_val"), "{message}");
    assert_eq!(examples(&run), json!([ROWS, 7, 0]));
    success(&train(&model, &split, &run, &more));
    assert_eq!(examples(&run), json!([ROWS / 2, ROWS / 2, 0]));
    // It does not train: the weights are those of a training on all without it.
    let none = sandbox.write("none.toml", b"validation = 0.0\n");
    success(&train(&model, &split, &sandbox.path("all"), &["--fit", &none]));
    success(&train(&model, &d, &run, &["--overwrite"]));
    let weights = |run: &str| bytes(run, "weights.safetensors");
    assert_eq!(weights(&run), weights(&sandbox.path("all")));
    // Half of it is refused, and what has no place is named.
    for missing in ["x_val", "y_val"] {
        let rest = if missing == "x_val" { ("y_val", few(7, 1)) } else { ("x_val", few(7, 2)) };
        let d = sandbox.npz("half.npz", &[("x_train", x()), ("y_train", y()), rest]);
        let message = failure(&train(&model, &d, &sandbox.path("half"), &[]));
        assert!(message.contains(missing), "{message}");
    }
    let odd = [("x_train", x()), ("y_train", y()), ("x_valid", x()), ("weights", y())];
    let message = said(&train(&model, &sandbox.npz("odd.npz", &odd), &sandbox.path("odd"), &[]));
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
    // What Keras's file asks for and is not computed is named.
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
    let model = "input.shape = [6, 2]\ncompile.loss = \"mse\"\n\
                 layer = [{ type = \"SimpleRNN\", units = 8 }, { type = \"Dense\", units = 1 }]\n";
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
