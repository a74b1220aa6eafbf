//! Tables, validation data, losses and optimizers of the user's, runs that are moved, and the
//! precision that a run is judged in.

mod common;

use common::{Sandbox, failure, json_of, npy_bytes, rnn_gpu, success, text};
use rnn_core::HostTensor;
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const ROWS: usize = 40;

/// Two features of each row.
fn features() -> Vec<[f32; 2]> {
    (0..ROWS).map(|i| [(i % 7) as f32 / 7.0, (i % 5) as f32 / 5.0]).collect()
}

fn label(of: &[f32; 2]) -> f32 {
    of[0] - 2.0 * of[1]
}

/// A table of these columns, of which `name` is text.
fn table(columns: &[&str], heading: bool) -> String {
    let mut text = if heading { columns.join(",") + "\n" } else { String::new() };
    for (index, of) in features().iter().enumerate() {
        let cell = |column: &&str| match *column {
            "a" => of[0].to_string(),
            "b" => of[1].to_string(),
            "y" => label(of).to_string(),
            "z" => (label(of) * 2.0).to_string(),
            _ => format!("row {index}"),
        };
        let _ = writeln!(text, "{}", columns.iter().map(cell).collect::<Vec<_>>().join(","));
    }
    text
}

fn rows(of: impl Fn(&[f32; 2]) -> Vec<f32>) -> Vec<u8> {
    let values: Vec<f32> = features().iter().flat_map(of).collect();
    npy_bytes(HostTensor::from_f32([ROWS, values.len() / ROWS], values))
}

fn dense(sandbox: &Sandbox, units: usize) -> String {
    let model = format!(
        "input.shape = [2]\ncompile = {{ loss = \"mse\", optimizer = \"adam\" }}\n\
         layer = [{{ type = \"Dense\", units = {units} }}]\n"
    );
    sandbox.write(&format!("dense{units}.toml"), model.as_bytes())
}

fn train<'a>(model: &'a str, data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    [&args[..], &["--epochs", "2"], more].concat()
}

fn bytes(folder: &str, name: &str) -> Vec<u8> {
    fs::read(Path::new(folder).join(name))
        .unwrap_or_else(|error| panic!("{folder}/{name}: {error}"))
}

/// What a command that must succeed says on standard error.
fn said(args: &[&str]) -> String {
    let output = rnn_gpu(args).output().expect("it starts");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn a_column_of_a_table_is_features_or_labels_and_never_both() {
    let sandbox = Sandbox::new();
    let (model, run) = (dense(&sandbox, 1), sandbox.path("run"));
    let csv = sandbox.write("d.csv", table(&["name", "b", "y", "a"], true).as_bytes());
    let message = failure(&train(&model, &csv, &run, &[]));
    assert!(message.contains("--target") && message.contains("name, b, y, a"), "{message}");
    let message = failure(&train(&model, &csv, &run, &["--target", "label"]));
    assert!(message.contains("label") && message.contains("name, b, y, a"), "{message}");
    // A column of text is no feature.
    let message = failure(&train(&model, &csv, &run, &["--target", "y"]));
    assert!(message.contains("line 2") && message.contains("name"), "{message}");
    assert!(!Path::new(&run).exists());
    success(&train(&model, &csv, &run, &["--target", "y", "--features", "a,b"]));
    let columns = &json_of(&run, "config.json")["columns"];
    assert_eq!((&columns["features"], &columns["targets"]), (&json!(["a", "b"]), &json!(["y"])));
    // The same arrays make the same weights.
    let arrays = [("x_train", rows(|of| of.to_vec())), ("y_train", rows(|of| vec![label(of)]))];
    let (npz, same) = (sandbox.npz("d.npz", &arrays), sandbox.path("same"));
    success(&train(&model, &npz, &same, &[]));
    assert_eq!(bytes(&run, "weights.safetensors"), bytes(&same, "weights.safetensors"));
    let x = sandbox.write("x.npy", &arrays[0].1);
    let predict = |input: &str| {
        let y = sandbox.path("y.npy");
        success(&["predict", &run, "--input", input, "--output", &y, "--device", "cpu"]);
        fs::read(y).expect("predictions")
    };
    let want = predict(&x);
    for (columns, heading) in [
        (&["name", "b", "y", "a"][..], true),
        (&["b", "a"], true),
        (&["y", "z", "a", "b"], true),
        (&["a", "b"], false),
        (&["name", "b", "y", "a"], false),
    ] {
        let csv = sandbox.write("x.csv", table(columns, heading).as_bytes());
        assert_eq!(predict(&csv), want, "{columns:?}");
    }
    let short = sandbox.write("x.csv", table(&["a", "y"], true).as_bytes());
    let y = sandbox.path("z.npy");
    let message = failure(&["predict", &run, "--input", &short, "--output", &y]);
    assert!(message.contains("column b") && !Path::new(&y).exists(), "{message}");
    success(&["evaluate", &run, "--device", "cpu"]);
    let evaluate = ["evaluate", &run, "--device", "cpu", "--data"];
    let line = |data: &str| {
        let printed = success(&[&evaluate[..], &[data]].concat());
        printed.lines().find(|line| line.starts_with("test loss")).expect("a loss").to_owned()
    };
    let named = [("x", arrays[0].1.clone()), ("y", arrays[1].1.clone())];
    assert_eq!(line(&csv), line(&sandbox.npz("xy.npz", &named)));
    failure(&[&evaluate[..], &[&short]].concat());
    // It goes on from its table, and a model of its weights takes the columns that are named.
    success(&["train", "--resume", &run, "--epochs", "3", "--device", "cpu"]);
    let message = failure(&train(&run, &csv, &sandbox.path("more"), &[]));
    assert!(message.contains("--target"), "{message}");
}

#[test]
fn several_targets_tables_without_names_and_arrays_without_labels() {
    let sandbox = Sandbox::new();
    let (model, run) = (dense(&sandbox, 2), sandbox.path("run"));
    let csv = sandbox.write("d.csv", table(&["a", "b", "y", "z"], true).as_bytes());
    success(&train(&model, &csv, &run, &["--target", "y,z"]));
    let bare = sandbox.write("bare.csv", table(&["a", "b", "y", "z"], false).as_bytes());
    let message = failure(&train(&model, &bare, &sandbox.path("bare"), &[]));
    assert!(message.contains("0, 1, 2, 3"), "{message}");
    success(&train(&model, &bare, &sandbox.path("bare"), &["--target", "2", "--target", "3"]));
    let weights = |run: &str| bytes(run, "weights.safetensors");
    assert_eq!(weights(&run), weights(&sandbox.path("bare")));
    // Columns are steps, where the model takes such.
    let steps = "input.shape = [\"any\", 1]\ncompile.loss = \"mse\"\n\
                 layer = [{ type = \"GRU\", units = 2 }, { type = \"Dense\", units = 1 }]\n";
    let steps = sandbox.write("steps.toml", steps.as_bytes());
    let more = ["--target", "y", "--features", "a,b"];
    success(&train(&steps, &csv, &sandbox.path("steps"), &more));
    assert_eq!(json_of(&sandbox.path("steps"), "config.json")["samples"], json!([[2, 1]]));
    // One array is not examples and labels at once.
    let array = sandbox.write("x.npy", &rows(|of| of.to_vec()));
    let out = sandbox.path("none");
    let message = failure(&train(&model, &array, &out, &[]));
    assert!(message.contains("x_train") && message.contains("y_train"), "{message}");
    failure(&["evaluate", &run, "--data", &array, "--device", "cpu"]);
    failure(&train(&model, &array, &out, &["--target", "y"]));
    assert!(!Path::new(&out).exists());
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
    let arrays = [("x_train", rows(|of| of.to_vec())), ("y_train", rows(|of| vec![label(of)]))];
    let d = sandbox.npz("d.npz", &arrays);
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
fn a_run_that_was_moved_goes_on_with_the_same_data_alone() {
    let sandbox = Sandbox::new();
    let model = dense(&sandbox, 1);
    let arrays = [("x_train", rows(|of| of.to_vec())), ("y_train", rows(|of| vec![label(of)]))];
    for folder in ["here/runs", "there"] {
        fs::create_dir_all(sandbox.path(folder)).expect("a folder");
    }
    let d = sandbox.npz("here/d.npz", &arrays);
    let run = sandbox.path("here/runs/r");
    success(&train(&model, &d, &run, &[]));
    let kept = json_of(&run, "config.json")["arrays"].clone();
    assert_eq!(kept, json!("../../d.npz"));
    let resume = |run: &str, more: &[&str]| -> Vec<String> {
        let args = ["train", "--resume", run, "--device", "cpu"];
        [&args[..], more].concat().into_iter().map(str::to_owned).collect()
    };
    let fails = |args: &[String]| failure(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let works = |args: &[String]| success(&args.iter().map(String::as_str).collect::<Vec<_>>());
    // As if nothing had happened.
    let whole = sandbox.path("whole");
    success(&[&train(&model, &d, &whole, &[])[..], &[]].concat());
    works(&resume(&whole, &["--epochs", "4"]));
    let weights = |run: &str| bytes(run, "weights.safetensors");
    // The project moves as a whole.
    fs::rename(sandbox.path("here"), sandbox.path("moved")).expect("it moves");
    let run = sandbox.path("moved/runs/r");
    success(&["evaluate", &run, "--device", "cpu"]);
    works(&resume(&run, &["--epochs", "3"]));
    // The run moves alone.
    let alone = sandbox.path("there/alone");
    fs::rename(&run, &alone).expect("it moves");
    let before = weights(&alone);
    let message = fails(&resume(&alone, &["--epochs", "4"]));
    assert!(message.contains("--data"), "{message}");
    let message = failure(&["evaluate", &alone, "--device", "cpu"]);
    assert!(message.contains("--data"), "{message}");
    let other = [("x_train", rows(|of| vec![of[1], of[0]])), arrays[1].clone()];
    let other = sandbox.npz("other.npz", &other);
    let message = fails(&resume(&alone, &["--epochs", "4", "--data", &other]));
    assert!(message.contains("other.npz"), "{message}");
    assert_eq!(weights(&alone), before);
    let d = sandbox.path("moved/d.npz");
    works(&resume(&alone, &["--epochs", "4", "--data", &d]));
    assert_eq!(weights(&alone), weights(&whole));
    success(&["evaluate", &alone, "--device", "cpu"]);
    // A run is not judged by data that has changed under it, unless it is said.
    fs::copy(&other, &d).expect("a copy");
    failure(&["evaluate", &alone, "--device", "cpu"]);
    let arrays = [("x", arrays[0].1.clone()), ("y", arrays[1].1.clone())];
    let new = sandbox.npz("new.npz", &arrays);
    success(&["evaluate", &alone, "--device", "cpu", "--data", &new]);
    // The bundled reviews lie nowhere.
    let films = sandbox.path("films");
    let size =
        ["--movies", "6", "--size", "8", "--length", "4", "--batch-size", "2", "--epochs", "1"];
    let args = ["train", "next-frame", "--device", "cpu", "--out", &films];
    success(&[&args[..], &size].concat());
    let message = fails(&resume(&films, &["--epochs", "2", "--data", &d]));
    assert!(message.contains("--data"), "{message}");
}

/// A path that was typed in another folder is found from any.
#[test]
fn a_run_is_found_from_any_folder() {
    let sandbox = Sandbox::new();
    let model = dense(&sandbox, 1);
    let arrays = [("x_train", rows(|of| of.to_vec())), ("y_train", rows(|of| vec![label(of)]))];
    sandbox.npz("d.npz", &arrays);
    let mut begin = rnn_gpu(&train(&model, "d.npz", "run", &[]));
    assert!(begin.current_dir(sandbox.path("")).output().expect("it starts").status.success());
    success(&["train", "--resume", &sandbox.path("run"), "--epochs", "3", "--device", "cpu"]);
    success(&["evaluate", &sandbox.path("run"), "--device", "cpu"]);
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
