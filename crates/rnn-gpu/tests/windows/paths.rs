//! Names that Windows reserves, long paths, and paths with spaces and umlauts.

use super::common::line::{arrays, bytes, dense, train};
use super::common::{
    FAILED, Sandbox, assert_names, contents, failure_with, rnn_gpu, success, text,
};
use std::fs;
use std::path::Path;

#[test]
fn names_that_windows_reserves_are_refused() {
    let sandbox = Sandbox::new();
    let (model, run) = (dense(&sandbox, 1), sandbox.path("run"));
    let data = sandbox.npz("d.npz", &arrays());
    let keras = sandbox.path("m.keras");
    let x = sandbox.write("x.npy", &arrays()[0].1);
    success(&train(&model, &data, &run, &[]));
    success(&["export", &run, "--to", &keras]);
    let before = contents(&sandbox.path(""));
    for name in
        ["con", "NUL", "aux.run", "run.", "run ", "run:b", "lpt1", "com0/run", "a?", r"\\.\nul"]
    {
        for folder in [name.to_owned(), sandbox.path(name)] {
            let message = failure_with(FAILED, &train(&model, &data, &folder, &[]));
            assert_names(&message, &["choose another name"]);
            let message = failure_with(FAILED, &["import", &keras, "--out", &folder]);
            assert_names(&message, &["choose another name"]);
        }
    }
    let at = |name: &str| sandbox.path(name);
    let board = ["--tensorboard", &at("con")];
    let new = at("new");
    for command in [
        &train(&model, &data, &new, &board)[..],
        &["export", &run, "--to", &at("aux.keras")],
        &["export", &run, "--to", "nul.onnx"],
        &["export", &run, "--to", &at("m.keras:b.onnx")],
        &["export", &run, "--to", &at("a./m.h5")],
        &["predict", &run, "--input", &x, "--output", "con.npy", "--device", "cpu"],
        &["predict", &run, "--input", &x, "--output", &at("nul/y.npy"), "--device", "cpu"],
        &["compare", &run, "--out", &at("prn.png")],
        &["new", "com1.toml"],
        &["verify", "--smoke", "--device", "cpu", "--json", "nul.json"],
        &["bench", "--quick", "--device", "cpu", "--json", &at("aux.json")],
        &["bench", "--quick", "--device", "cpu", "--suite", "scaling", "--out", &at("con")],
    ] {
        assert_names(&failure_with(FAILED, command), &["choose another name"]);
    }
    assert_eq!(
        contents(&sandbox.path("")).keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
}

/// Trains and evaluates in the folder, which need not exist, exports, imports and predicts. Paths are
/// given as they are, in a process whose current folder is `within`.
fn all_commands(sandbox: &Sandbox, within: &str, folder: &str) {
    let [(_, x), (_, y)] = arrays();
    let to_test = [("x_test", x.clone()), ("y_test", y)];
    let data = sandbox.npz("d.npz", &[arrays(), to_test].concat());
    let (model, x) = (dense(sandbox, 1), sandbox.write("x.npy", &x));
    let here = Path::new(within).join(folder);
    fs::create_dir_all(&here).expect("a folder");
    for file in [&model, &data, &x] {
        let name = Path::new(file).file_name().expect("a name");
        fs::copy(file, here.join(name)).expect("the disk has room");
    }
    let at = |name: &str| format!("{folder}{name}");
    let [model, data, x] = ["dense1.toml", "d.npz", "x.npy"].map(at);
    let [run, keras, y, again] = ["run", "m.keras", "y.npy", "again"].map(at);
    let board = at("board");
    for command in [
        &train(&model, &data, &run, &["--tensorboard", &board])[..],
        &["train", "--resume", &run, "--epochs", "3", "--device", "cpu"],
        &["evaluate", &run, "--device", "cpu"],
        &["evaluate", &run, "--data", &data, "--device", "cpu"],
        &["export", &run, "--to", &keras],
        &["import", &keras, "--out", &again],
        &["predict", &run, "--input", &x, "--output", &y, "--device", "cpu"],
        &["compare", &run, "--out", &at("compare.png")],
        &["checkpoints", &run],
        &["new", &at("fit.toml")],
    ] {
        let output = rnn_gpu(command).current_dir(within).output().expect("it starts");
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    }
    let weights = |run: &str| bytes(&here.join(run).display().to_string(), "weights.safetensors");
    assert_eq!(weights("run"), weights("again"));
    assert!(here.join("y.npy").exists() && here.join("fit.toml").exists());
}

#[test]
fn paths_have_spaces_and_umlauts() {
    for folder in [r"Läufe und Größen\日本 (1)\", "Läufe und Größen/ÄÖÜ ß/"] {
        let sandbox = Sandbox::new();
        all_commands(&sandbox, &sandbox.path(""), folder);
        let sandbox = Sandbox::new();
        all_commands(&sandbox, &sandbox.path(""), &sandbox.path(folder));
    }
}

#[test]
fn paths_are_longer_than_260_characters() {
    let deep =
        format!("{}\\", ["Läufe", &"x".repeat(120), &"y".repeat(120), &"z".repeat(120)].join("\\"));
    let sandbox = Sandbox::new();
    all_commands(&sandbox, &sandbox.path(""), &deep);
    let sandbox = Sandbox::new();
    all_commands(&sandbox, &sandbox.path(""), &sandbox.path(&deep));
}
