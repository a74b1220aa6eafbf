//! Runs that are moved, and the data that they find again, or do not.

mod common;

use common::line::{arrays, bytes, dense, rows, train};
use common::{Sandbox, failure, json_of, rnn_gpu, success};
use serde_json::json;
use std::fs;

/// A project of data and a run of two epochs, in the folder `here`: the path of the run.
fn project(sandbox: &Sandbox) -> String {
    let model = dense(sandbox, 1);
    fs::create_dir_all(sandbox.path("here/runs")).expect("a folder");
    let data = sandbox.npz("here/d.npz", &arrays());
    let run = sandbox.path("here/runs/r");
    success(&train(&model, &data, &run, &[]));
    run
}

/// The run of a project, moved away from its data.
fn moved_alone(sandbox: &Sandbox) -> String {
    let (run, alone) = (project(sandbox), sandbox.path("alone"));
    fs::rename(&run, &alone).expect("it moves");
    alone
}

fn resume<'a>(run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--resume", run, "--device", "cpu", "--epochs", "4"], more].concat()
}

fn weights(run: &str) -> Vec<u8> {
    bytes(run, "weights.safetensors")
}

#[test]
fn a_run_keeps_where_its_data_lies_as_seen_from_the_run() {
    let sandbox = Sandbox::new();
    assert_eq!(json_of(&project(&sandbox), "config.json")["arrays"], json!("../../d.npz"));
}

#[test]
fn a_project_that_moves_as_a_whole_is_judged_and_gone_on_with() {
    let sandbox = Sandbox::new();
    project(&sandbox);
    fs::rename(sandbox.path("here"), sandbox.path("moved")).expect("it moves");
    let run = sandbox.path("moved/runs/r");
    success(&["evaluate", &run, "--device", "cpu"]);
    success(&resume(&run, &[]));
}

#[test]
fn a_run_that_moves_alone_asks_for_its_data() {
    let sandbox = Sandbox::new();
    let alone = moved_alone(&sandbox);
    let before = weights(&alone);
    let evaluate = ["evaluate", &alone, "--device", "cpu"];
    for args in [&resume(&alone, &[])[..], &evaluate] {
        let message = failure(args);
        assert!(message.contains("--data"), "{message}");
    }
    assert_eq!(weights(&alone), before);
}

#[test]
fn a_run_that_moves_alone_takes_no_other_data() {
    let sandbox = Sandbox::new();
    let alone = moved_alone(&sandbox);
    let before = weights(&alone);
    let other = [("x_train", rows(|of| vec![of[1], of[0]])), arrays()[1].clone()];
    let other = sandbox.npz("other.npz", &other);
    let message = failure(&resume(&alone, &["--data", &other]));
    assert!(message.contains("other.npz"), "{message}");
    assert_eq!(weights(&alone), before);
}

#[test]
fn a_run_that_moves_alone_goes_on_with_its_data_as_if_it_had_stayed() {
    let sandbox = Sandbox::new();
    let (alone, data) = (moved_alone(&sandbox), sandbox.path("here/d.npz"));
    let stayed = sandbox.path("stayed");
    success(&train(&dense(&sandbox, 1), &data, &stayed, &[]));
    success(&resume(&stayed, &[]));
    success(&resume(&alone, &["--data", &data]));
    assert_eq!(weights(&alone), weights(&stayed));
    // It knows from now on where its data lies.
    success(&["evaluate", &alone, "--device", "cpu"]);
}

#[test]
fn a_run_is_judged_by_data_that_changed_under_it_only_if_they_are_named() {
    let sandbox = Sandbox::new();
    let run = project(&sandbox);
    let [(_, x), (_, y)] = arrays();
    let other = [("x_train", rows(|of| vec![of[1], of[0]])), ("y_train", y.clone())];
    sandbox.npz("here/d.npz", &other);
    failure(&["evaluate", &run, "--device", "cpu"]);
    let named = sandbox.npz("new.npz", &[("x", x), ("y", y)]);
    success(&["evaluate", &run, "--device", "cpu", "--data", &named]);
}

#[test]
fn a_run_that_makes_its_data_goes_on_with_no_other() {
    let sandbox = Sandbox::new();
    let (films, data) = (sandbox.path("films"), sandbox.npz("d.npz", &arrays()));
    let size =
        ["--movies", "6", "--size", "8", "--length", "4", "--batch-size", "2", "--epochs", "1"];
    let args = ["train", "next-frame", "--device", "cpu", "--out", &films];
    success(&[&args[..], &size].concat());
    let message = failure(&resume(&films, &["--data", &data]));
    assert!(message.contains("--data"), "{message}");
}

/// A path that was typed in another folder is found from any.
#[test]
fn a_run_is_found_from_any_folder() {
    let sandbox = Sandbox::new();
    let model = dense(&sandbox, 1);
    sandbox.npz("d.npz", &arrays());
    let mut begin = rnn_gpu(&train(&model, "d.npz", "run", &[]));
    assert!(begin.current_dir(sandbox.path("")).output().expect("it starts").status.success());
    success(&["train", "--resume", &sandbox.path("run"), "--epochs", "3", "--device", "cpu"]);
    success(&["evaluate", &sandbox.path("run"), "--device", "cpu"]);
}
