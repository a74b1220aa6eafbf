//! `rnn-gpu checkpoints`: the checkpoints of a run, as JSON and nothing else, and no file changed.
//! `checkpoints.rs` tests the checkpoints themselves.

mod common;

use common::line::{arrays, dense, train};
use common::{FAILED, Sandbox, assert_names, contents, failure_with, success};
use rnn_run::checkpoint::RunLock;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const BEST: &str = "best.safetensors";

/// A run of two epochs with a checkpoint after each step.
struct Trained {
    sandbox: Sandbox,
    data: String,
    model: String,
    run: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("checkpoints_command");
    let (model, data) = (dense(&sandbox, 1), sandbox.npz("d.npz", &arrays()));
    let run = sandbox.path("run");
    let each_step = ["--batch-size", "8", "--checkpoint-every", "1"];
    success(&train(&model, &data, &run, &each_step));
    Trained { sandbox, data, model, run }
});

fn file(run: &str, name: &str) -> PathBuf {
    Path::new(run).join("checkpoints").join(name)
}

/// What is printed of a run, whose files stay as they are.
fn checkpoints(run: &str) -> Vec<Value> {
    let before = contents(run);
    let printed = success(&["checkpoints", run]);
    assert_eq!(contents(run), before);
    serde_json::from_str(&printed).expect("a list of JSON alone")
}

fn number(checkpoint: &Value, name: &str) -> u64 {
    checkpoint[name].as_u64().unwrap_or_else(|| panic!("{name} of {checkpoint}"))
}

#[test]
fn checkpoints_are_listed_in_order_with_the_best_behind() {
    let run = &TRAINED.run;
    let all = checkpoints(run);
    let names: Vec<&str> = all.iter().filter_map(|one| one["file"].as_str()).collect();
    assert_eq!(names.len(), 4, "three are kept, and the best: {names:?}");
    assert_eq!(names[3], BEST);
    let last = number(&all[2], "step");
    let of_epoch = last / 2;
    for (one, step) in all.iter().zip(last - 2..=last) {
        assert_eq!(one["file"], json!(format!("step-{step:08}.safetensors")));
        assert_eq!((&one["step"], &one["epoch"]), (&json!(step), &json!(2)));
    }
    assert_eq!(number(&all[3], "step"), of_epoch * number(&all[3], "epoch"));
    for one in &all {
        let size = fs::metadata(file(run, one["file"].as_str().expect("a name"))).expect("it");
        assert_eq!((&one["bytes"], &one["sound"]), (&json!(size.len()), &json!(true)));
        assert_eq!(one.get("problem"), None);
    }
}

#[test]
fn checkpoints_that_are_not_sound_are_told_and_left_as_they_are() {
    let run = TRAINED.sandbox.copy(&TRAINED.run, "damaged");
    for name in ["config.json", "history.json", "checkpoints/finished"] {
        fs::remove_file(Path::new(&run).join(name)).expect("it was there");
    }
    let all = checkpoints(&run);
    let name = |i: usize| all[i]["file"].as_str().expect("a name");
    // One is another than was written, one is cut short, and one is a folder, which opens but cannot
    // be read.
    let mut bytes = fs::read(file(&run, name(0))).expect("a checkpoint");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file(&run, name(0)), &bytes).expect("a writable file");
    fs::write(file(&run, BEST), &bytes[..middle]).expect("a writable file");
    fs::remove_file(file(&run, name(1))).expect("it is there");
    fs::create_dir(file(&run, name(1))).expect("a folder");
    let after = checkpoints(&run);
    assert_eq!(after.len(), all.len());
    for (i, problem) in [(0, "is damaged"), (1, "cannot read"), (3, "is damaged")] {
        let one = &after[i];
        assert_eq!((&one["file"], &one["sound"]), (&all[i]["file"], &json!(false)));
        assert_eq!(one["epoch"], Value::Null);
        // The name says it, if there is a number in it.
        assert_eq!(one["step"], if i == 3 { Value::Null } else { all[i]["step"].clone() });
        assert_names(one["problem"].as_str().expect("a reason"), &[name(i), problem]);
    }
    assert_eq!(number(&after[3], "bytes"), middle as u64);
    assert_eq!(after[2], all[2]);
}

#[test]
fn a_training_may_be_watched() {
    let run = TRAINED.sandbox.copy(&TRAINED.run, "locked");
    let _lock = RunLock::acquire(Path::new(&run), &()).expect("nobody trains into it");
    assert_eq!(checkpoints(&run).len(), 4);
}

#[test]
fn a_run_without_checkpoints_has_an_empty_list() {
    let Trained { sandbox, data, model, .. } = &*TRAINED;
    let run = sandbox.path("without");
    success(&train(model, data, &run, &["--checkpoint-every", "never"]));
    assert_eq!(checkpoints(&run), Vec::<Value>::new());
}

#[test]
fn what_is_no_run_has_no_checkpoints() {
    let Trained { sandbox, run, .. } = &*TRAINED;
    let [keras, imported] = ["m.keras", "imported"].map(|name| sandbox.path(name));
    success(&["export", run, "--to", &keras]);
    success(&["import", &keras, "--out", &imported]);
    let message = failure_with(FAILED, &["checkpoints", &imported]);
    assert_names(&message, &[&imported, "was imported", "no checkpoints"]);
    for other in [keras, sandbox.path("none")] {
        let message = failure_with(FAILED, &["checkpoints", &other]);
        assert_names(&message, &[&other, "not the folder of a run"]);
    }
}
