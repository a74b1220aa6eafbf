//! `rnn-gpu history`: the epochs of finished and unfinished runs, as JSON and nothing else.

mod common;

use common::line::{arrays, dense, train};
use common::{FAILED, Sandbox, assert_names, contents, failure_with, json_of, success};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// A run of two epochs.
struct Trained {
    sandbox: Sandbox,
    run: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("history");
    let (model, data) = (dense(&sandbox, 1), sandbox.npz("d.npz", &arrays()));
    let run = sandbox.path("run");
    success(&train(&model, &data, &run, &[]));
    Trained { sandbox, run }
});

fn history(run: &str) -> Value {
    serde_json::from_str(&success(&["history", run])).expect("JSON alone")
}

#[test]
fn the_history_of_a_finished_run_is_that_of_its_file() {
    let printed = history(&TRAINED.run);
    assert_eq!(printed, json_of(&TRAINED.run, "history.json"));
    let epochs = printed["epochs"].as_array().expect("epochs");
    assert_eq!(epochs.len(), 2);
    for (epoch, number) in epochs.iter().zip(1..) {
        assert_eq!(epoch["epoch"], json!(number));
        assert!(epoch["train"]["loss"].is_number(), "{epoch}");
    }
}

#[test]
fn the_history_of_an_unfinished_run_is_that_of_its_newest_checkpoint() {
    let run = TRAINED.sandbox.copy(&TRAINED.run, "unfinished");
    for name in ["config.json", "history.json", "checkpoints/finished"] {
        fs::remove_file(Path::new(&run).join(name)).expect("it was there");
    }
    let before = contents(&run);
    assert_eq!(history(&run), json_of(&TRAINED.run, "history.json"));
    assert_eq!(contents(&run), before);
}

#[test]
fn an_imported_model_has_no_history() {
    let [keras, imported] = ["m.keras", "imported"].map(|name| TRAINED.sandbox.path(name));
    success(&["export", &TRAINED.run, "--to", &keras]);
    success(&["import", &keras, "--out", &imported]);
    let message = failure_with(FAILED, &["history", &imported]);
    assert_names(&message, &[&imported, "no history"]);
    assert_names(&failure_with(FAILED, &["history", &keras]), &["no config.json"]);
}

#[test]
fn a_folder_without_a_run_has_no_history() {
    let message = failure_with(FAILED, &["history", &Sandbox::new().path("none")]);
    assert_names(&message, &["no config.json"]);
}
