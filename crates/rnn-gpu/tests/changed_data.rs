//! Data that changed under a run: any one number of any set is seen, and what a run of an earlier
//! version recorded is still compared.

mod common;

use common::line::{ROWS, dense, features, label, train};
use common::{Sandbox, assert_names, failure, npy_bytes, rnn_gpu, success, text};
use rnn_core::HostTensor;
use rnn_formats::checkpoint;
use std::path::Path;

/// Features and labels of a set, in which `change` adds 1 to a label or to the first feature.
fn set(change: Option<(&str, usize)>) -> [Vec<u8>; 2] {
    let moved = |letter: &str, row: usize| f32::from(u8::from(change == Some((letter, row))));
    let rows = || (0..).zip(features());
    let x = rows().flat_map(|(row, of)| [of[0] + moved("x", row), of[1]]).collect();
    let y = rows().map(|(row, of)| label(&of) + moved("y", row)).collect();
    let array = |width, values| npy_bytes(HostTensor::from_f32([ROWS, width], values));
    [array(2, x), array(1, y)]
}

/// The data of a run, of which one number is changed: of `x` or `y`, in a set, in a row.
fn write(sandbox: &Sandbox, change: Option<(&str, &str, usize)>) -> String {
    let of = |part: &str| match change {
        Some((letter, changed, row)) if changed == part => set(Some((letter, row))),
        _ => set(None),
    };
    let [[a, b], [c, d], [e, f]] = ["train", "val", "test"].map(of);
    let arrays =
        [("x_train", a), ("y_train", b), ("x_val", c), ("y_val", d), ("x_test", e), ("y_test", f)];
    sandbox.npz("d.npz", &arrays)
}

fn resume(run: &str) -> [&str; 7] {
    ["train", "--resume", run, "--epochs", "3", "--device", "cpu"]
}

#[test]
fn one_changed_number_of_any_set_is_seen() {
    let sandbox = Sandbox::new();
    let (data, run) = (write(&sandbox, None), sandbox.path("run"));
    success(&train(&dense(&sandbox, 1), &data, &run, &[]));
    for (part, name) in [("train", "training"), ("val", "validation"), ("test", "test")] {
        for (letter, row) in [("y", 0), ("y", 1), ("y", 17), ("x", 22), ("x", ROWS - 1)] {
            write(&sandbox, Some((letter, part, row)));
            for args in [&resume(&run)[..], &["evaluate", &run, "--device", "cpu"]] {
                let message = failure(args);
                assert_names(&message, &["d.npz", &format!("its {name} examples are others")]);
            }
        }
    }
    write(&sandbox, None);
    success(&["evaluate", &run, "--device", "cpu"]);
    success(&resume(&run));
}

/// The same arrays in files of their own, read as they are needed, are the same data.
#[test]
fn where_the_numbers_lie_does_not_matter() {
    let sandbox = Sandbox::new();
    let (data, run) = (write(&sandbox, None), sandbox.path("run"));
    success(&train(&dense(&sandbox, 1), &data, &run, &["--stream"]));
    let folder = sandbox.path("folder");
    std::fs::create_dir(&folder).expect("a folder");
    for part in ["train", "val", "test"] {
        let [x, y] = set(None);
        sandbox.write(&format!("folder/x_{part}.npy"), &x);
        sandbox.write(&format!("folder/y_{part}.npy"), &y);
    }
    success(&[&resume(&run)[..], &["--data", &folder]].concat());
}

/// What the version before recorded of the data of [`write`].
const OLD_FINGERPRINT: &str = "cfc03e4cb9a0f7a0";

/// Turns a run into one of a version before, which compared 64 of its training examples.
fn make_old(run: &str, fingerprint: &str) {
    let replace = |text: &str| -> String {
        let mut config: serde_json::Value = serde_json::from_str(text).expect("JSON");
        config["fingerprint"] = fingerprint.into();
        config.to_string()
    };
    let config = Path::new(run).join("config.json");
    let text = std::fs::read_to_string(&config).expect("a file");
    std::fs::write(&config, replace(&text)).expect("room");
    for entry in std::fs::read_dir(Path::new(run).join("checkpoints")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|is| is == "safetensors") {
            let (mut tensors, mut metadata) = checkpoint::load(&path).expect("a checkpoint");
            metadata.insert("data".into(), fingerprint.into());
            let config = replace(&metadata["config"]);
            metadata.insert("config".into(), config);
            checkpoint::save(&path, &mut tensors, &metadata).expect("room");
        }
    }
}

#[test]
fn a_run_of_an_earlier_version_goes_on_if_its_64_examples_are_the_same() {
    let sandbox = Sandbox::new();
    let (data, run) = (write(&sandbox, None), sandbox.path("run"));
    success(&train(&dense(&sandbox, 1), &data, &run, &[]));
    make_old(&run, OLD_FINGERPRINT);
    write(&sandbox, Some(("y", "train", 0)));
    assert_names(&failure(&resume(&run)), &["d.npz", "training examples are others"]);
    write(&sandbox, None);
    let evaluated = rnn_gpu(&["evaluate", &run, "--device", "cpu"]).output().expect("it starts");
    assert!(evaluated.status.success(), "{}", text(&evaluated.stderr));
    assert_names(&text(&evaluated.stderr), &["earlier version", "64 of its training examples"]);
    success(&resume(&run));
    // From now on all of it is known.
    write(&sandbox, Some(("y", "test", 1)));
    assert_names(&failure(&["evaluate", &run, "--device", "cpu"]), &["test examples are others"]);
}

#[test]
fn a_fingerprint_of_a_later_version_is_named_as_that() {
    let sandbox = Sandbox::new();
    let (data, run) = (write(&sandbox, None), sandbox.path("run"));
    success(&train(&dense(&sandbox, 1), &data, &run, &[]));
    make_old(&run, "later:0123");
    for args in [&resume(&run)[..], &["evaluate", &run, "--device", "cpu"]] {
        assert_names(&failure(args), &["another version of rnn-gpu"]);
    }
}
