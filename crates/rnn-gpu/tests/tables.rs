//! Tables of the user's: which columns are features and which are labels.

mod common;

use common::line::{arrays, bytes, dense, rows, table, train};
use common::{Sandbox, failure, json_of, success};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// The columns of the table that the run is trained on.
const COLUMNS: [&str; 4] = ["name", "b", "y", "a"];

/// A run of a table, of which two columns are features and one is the label.
struct Trained {
    sandbox: Sandbox,
    model: String,
    csv: String,
    run: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("tables");
    let (model, run) = (dense(&sandbox, 1), sandbox.path("run"));
    let csv = sandbox.write("d.csv", table(&COLUMNS, true).as_bytes());
    success(&train(&model, &csv, &run, &["--target", "y", "--features", "a,b"]));
    Trained { sandbox, model, csv, run }
});

/// The message of a training on the table that must fail, and leaves nothing.
fn refused(more: &[&str]) -> String {
    let sandbox = Sandbox::new();
    let out = sandbox.path("run");
    let message = failure(&train(&TRAINED.model, &TRAINED.csv, &out, more));
    assert!(!Path::new(&out).exists(), "{message}");
    message
}

/// What the run predicts for a file.
fn predicted(sandbox: &Sandbox, input: &str) -> Vec<u8> {
    let y = sandbox.path("y.npy");
    success(&["predict", &TRAINED.run, "--input", input, "--output", &y, "--device", "cpu"]);
    fs::read(y).expect("predictions")
}

#[test]
fn a_table_without_a_target_is_refused_with_its_columns() {
    let message = refused(&[]);
    assert!(message.contains("--target") && message.contains("name, b, y, a"), "{message}");
}

#[test]
fn a_target_that_the_table_lacks_is_refused_with_its_columns() {
    let message = refused(&["--target", "label"]);
    assert!(message.contains("label") && message.contains("name, b, y, a"), "{message}");
}

#[test]
fn a_column_of_text_is_no_feature() {
    let message = refused(&["--target", "y"]);
    assert!(message.contains("line 2") && message.contains("name"), "{message}");
}

#[test]
fn a_run_keeps_which_columns_it_took() {
    let columns = &json_of(&TRAINED.run, "config.json")["columns"];
    assert_eq!((&columns["features"], &columns["targets"]), (&json!(["a", "b"]), &json!(["y"])));
}

#[test]
fn a_table_and_the_same_numbers_as_arrays_make_the_same_weights() {
    let sandbox = Sandbox::new();
    let (npz, same) = (sandbox.npz("d.npz", &arrays()), sandbox.path("same"));
    success(&train(&TRAINED.model, &npz, &same, &[]));
    let weights = |run: &str| bytes(run, "weights.safetensors");
    assert_eq!(weights(&TRAINED.run), weights(&same));
}

#[test]
fn predictions_find_their_features_by_name_or_else_by_place() {
    let sandbox = Sandbox::new();
    let x = sandbox.write("x.npy", &arrays()[0].1);
    let want = predicted(&sandbox, &x);
    for (columns, heading) in [
        (&COLUMNS[..], true),
        (&["b", "a"], true),
        (&["y", "z", "a", "b"], true),
        (&["a", "b"], false),
        (&COLUMNS, false),
    ] {
        let csv = sandbox.write("x.csv", table(columns, heading).as_bytes());
        assert_eq!(predicted(&sandbox, &csv), want, "{columns:?}");
    }
}

#[test]
fn a_table_that_lacks_a_feature_is_refused() {
    let sandbox = Sandbox::new();
    let short = sandbox.write("x.csv", table(&["a", "y"], true).as_bytes());
    let y = sandbox.path("y.npy");
    let message = failure(&["predict", &TRAINED.run, "--input", &short, "--output", &y]);
    assert!(message.contains("column b") && !Path::new(&y).exists(), "{message}");
    failure(&["evaluate", &TRAINED.run, "--device", "cpu", "--data", &short]);
}

#[test]
fn a_table_and_the_same_numbers_as_arrays_are_judged_alike() {
    let sandbox = Sandbox::new();
    let run = TRAINED.sandbox.copy(&TRAINED.run, "judged");
    success(&["evaluate", &run, "--device", "cpu"]);
    let line = |data: &str| {
        let printed = success(&["evaluate", &run, "--device", "cpu", "--data", data]);
        printed.lines().find(|line| line.starts_with("test loss")).expect("a loss").to_owned()
    };
    let [(_, x), (_, y)] = arrays();
    assert_eq!(line(&TRAINED.csv), line(&sandbox.npz("xy.npz", &[("x", x), ("y", y)])));
}

#[test]
fn a_run_goes_on_from_its_table() {
    let run = TRAINED.sandbox.copy(&TRAINED.run, "resumed");
    success(&["train", "--resume", &run, "--epochs", "3", "--device", "cpu"]);
    let epochs = json_of(&run, "history.json")["epochs"].as_array().map(Vec::len);
    assert_eq!(epochs, Some(3));
}

#[test]
fn whoever_begins_with_its_weights_names_the_target_again() {
    let sandbox = Sandbox::new();
    let Trained { csv, run, .. } = &*TRAINED;
    let message = failure(&train(run, csv, &sandbox.path("more"), &[]));
    assert!(message.contains("--target"), "{message}");
}

#[test]
fn a_table_without_names_has_columns_by_number() {
    let sandbox = Sandbox::new();
    let (model, run, bare) = (dense(&sandbox, 2), sandbox.path("run"), sandbox.path("bare"));
    let columns = ["a", "b", "y", "z"];
    let csv = sandbox.write("d.csv", table(&columns, true).as_bytes());
    success(&train(&model, &csv, &run, &["--target", "y,z"]));
    let csv = sandbox.write("bare.csv", table(&columns, false).as_bytes());
    let message = failure(&train(&model, &csv, &bare, &[]));
    assert!(message.contains("0, 1, 2, 3"), "{message}");
    success(&train(&model, &csv, &bare, &["--target", "2", "--target", "3"]));
    let weights = |run: &str| bytes(run, "weights.safetensors");
    assert_eq!(weights(&run), weights(&bare), "targets in one list or one by one");
}

#[test]
fn columns_are_steps_where_the_model_takes_such() {
    let sandbox = Sandbox::new();
    let steps = "input.shape = [\"any\", 1]\ncompile.loss = \"mse\"\n\
                 layer = [{ type = \"GRU\", units = 2 }, { type = \"Dense\", units = 1 }]\n";
    let (model, run) = (sandbox.write("steps.toml", steps.as_bytes()), sandbox.path("run"));
    success(&train(&model, &TRAINED.csv, &run, &["--target", "y", "--features", "a,b"]));
    assert_eq!(json_of(&run, "config.json")["samples"], json!([[2, 1]]));
}

#[test]
fn one_array_is_not_examples_and_labels_at_once() {
    let sandbox = Sandbox::new();
    let array = sandbox.write("x.npy", &rows(|of| of.to_vec()));
    let out = sandbox.path("none");
    let message = failure(&train(&TRAINED.model, &array, &out, &[]));
    assert!(message.contains("x_train") && message.contains("y_train"), "{message}");
    failure(&["evaluate", &TRAINED.run, "--data", &array, "--device", "cpu"]);
    failure(&train(&TRAINED.model, &array, &out, &["--target", "y"]));
    assert!(!Path::new(&out).exists());
}
