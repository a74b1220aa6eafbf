//! The user's files: none is written twice by one command, over what it reads, or over what is not a
//! file of a run that is to be replaced.

mod common;

use common::{Sandbox, contents, failure, npy_bytes, success};
use rnn_core::HostTensor;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn floats(shape: &[usize]) -> HostTensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| ((i * 7 + 3) % 11) as f32 / 11.0 - 0.5).collect();
    HostTensor::from_f32(shape, values).expect("the shape fits")
}

/// A model of one layer with a sigmoid, and data for it.
fn small(sandbox: &Sandbox) -> [String; 2] {
    let model = "input.shape = [3]\ncompile = { loss = \"binary_crossentropy\", optimizer = \"adam\" }\n\
                 layer = [{ type = \"Dense\", units = 1, activation = \"sigmoid\" }]\n";
    let model = sandbox.write("small.toml", model.as_bytes());
    let labels = (0..20).map(|i| (i % 2) as f32).collect();
    let arrays = [
        ("x_train", npy_bytes(Ok(floats(&[20, 3])))),
        ("y_train", npy_bytes(HostTensor::from_f32([20], labels))),
    ];
    [model, sandbox.npz("d.npz", &arrays)]
}

fn train<'a>([model, data]: &'a [String; 2], out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    [&args[..], &["--epochs", "1"], more].concat()
}

#[test]
fn an_import_never_writes_into_a_run() {
    let sandbox = Sandbox::new();
    let (of, run, keras) = (small(&sandbox), sandbox.path("run"), sandbox.path("m.keras"));
    success(&train(&of, &run, &[]));
    success(&["export", &run, "--to", &keras]);
    let before = contents(&run);
    failure(&["import", &keras, "--out", &run]);
    failure(&["import", &keras, "--out", &run, "--overwrite"]);
    // A run that is not finished is one, too.
    fs::remove_file(Path::new(&run).join("config.json")).expect("it was there");
    fs::remove_file(Path::new(&run).join("checkpoints/finished")).expect("it was there");
    failure(&["import", &keras, "--out", &run, "--overwrite"]);
    let mut kept = contents(&run);
    for name in ["config.json", "checkpoints/finished"] {
        kept.insert(name.into(), before[name].clone());
    }
    assert_eq!(kept, before);
    let other = sandbox.path("other");
    success(&["import", &keras, "--out", &other]);
    let before = contents(&other);
    assert!(before.contains_key("model.json") && before.contains_key("weights.safetensors"));
    failure(&["import", &keras, "--out", &other]);
    success(&["import", &keras, "--out", &other, "--overwrite"]);
    assert_eq!(contents(&other), before);
    // Nor does a training, without a word.
    failure(&train(&of, &other, &[]));
    assert_eq!(contents(&other), before);
    let foreign = sandbox.path("foreign");
    fs::create_dir(&foreign).expect("a folder");
    fs::write(Path::new(&foreign).join("thesis.txt"), "years").expect("a file");
    for more in [&[][..], &["--overwrite"]] {
        failure(&[&["import", &keras, "--out", &foreign], more].concat());
    }
    assert_eq!(contents(&foreign).len(), 1);
}

#[test]
fn a_training_replaces_a_run_only_when_told_and_nothing_else() {
    let sandbox = Sandbox::new();
    let (of, run) = (small(&sandbox), sandbox.path("run"));
    success(&train(&of, &run, &["--tensorboard"]));
    let mine = [
        "notes.txt",
        "checkpoints/mine.bin",
        "rollout-3/frame.txt",
        "tensorboard/train/mine",
        "data/x.npy",
    ];
    for name in mine {
        let path = Path::new(&run).join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, name).expect("a file");
    }
    fs::write(Path::new(&run).join("rollout-3/frame-01.png"), "a frame").expect("a file");
    let before = contents(&run);
    assert!(before.contains_key("histogram.png"), "{:?}", before.keys());
    failure(&train(&of, &run, &[]));
    assert_eq!(contents(&run), before);
    // What fails before it trains leaves the old run.
    let regression = "input.shape = [3]\ncompile = { loss = \"mse\", optimizer = \"adam\" }\n\
                      layer = [{ type = \"Dense\", units = 1 }]\n";
    let regression = sandbox.write("regression.toml", regression.as_bytes());
    let short = sandbox.npz("short.npz", &[("x_train", npy_bytes(Ok(floats(&[20, 3]))))]);
    failure(&train(&[regression.clone(), short], &run, &["--overwrite"]));
    assert_eq!(contents(&run), before);
    let of = [regression, of[1].clone()];
    success(&train(&of, &run, &["--overwrite", "--checkpoint-every", "never"]));
    let after = contents(&run);
    for name in mine {
        assert_eq!(after.get(name).map(Vec::as_slice), Some(name.as_bytes()), "{name}");
    }
    // A regression has no histogram, and without checkpoints none of the old run is left.
    let fresh = sandbox.path("fresh");
    success(&train(&of, &fresh, &["--checkpoint-every", "never"]));
    let files = |all: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        all.keys().filter(|name| !mine.contains(&name.as_str())).cloned().collect()
    };
    assert_eq!(files(&after), files(&contents(&fresh)));
    assert_eq!(after["weights.safetensors"], contents(&fresh)["weights.safetensors"]);
}

#[test]
fn a_folder_that_is_no_run_is_left_alone() {
    let sandbox = Sandbox::new();
    let of = small(&sandbox);
    let foreign = sandbox.path("foreign");
    fs::create_dir(&foreign).expect("a folder");
    // As a model of somebody else's program may lie there.
    for name in ["config.json", "weights.safetensors", ".lock"] {
        fs::write(Path::new(&foreign).join(name), "{\"mine\": true}").expect("a file");
    }
    let before = contents(&foreign);
    for more in [&[][..], &["--overwrite"]] {
        let message = failure(&train(&of, &foreign, more));
        assert!(message.contains(".lock") && message.contains("--out"), "{message}");
        assert_eq!(contents(&foreign), before);
    }
    let file = sandbox.write("file", b"mine");
    failure(&train(&of, &file, &["--overwrite"]));
    assert_eq!(fs::read(&file).expect("it is there"), b"mine");
    // An empty folder may be given, and is still there when the training fails.
    let empty = sandbox.path("empty");
    fs::create_dir(&empty).expect("a folder");
    failure(&train(&[of[0].clone(), sandbox.path("none.npz")], &empty, &[]));
    assert!(Path::new(&empty).is_dir());
    #[cfg(unix)]
    {
        let link = sandbox.path("link");
        std::os::unix::fs::symlink(&foreign, &link).expect("a link");
        failure(&train(&of, &link, &["--overwrite"]));
        assert_eq!(contents(&foreign), before);
    }
    success(&train(&of, &empty, &[]));
    // What stands in the way of a run's file is named, before anything is removed.
    fs::remove_file(Path::new(&empty).join("report.html")).expect("it was there");
    fs::create_dir(Path::new(&empty).join("report.html")).expect("a folder");
    let before = contents(&empty);
    let message = failure(&train(&of, &empty, &["--overwrite"]));
    assert!(message.contains("report.html"), "{message}");
    assert_eq!(contents(&empty), before);
}

#[test]
fn nothing_is_written_over_what_is_read_or_over_a_run() {
    let sandbox = Sandbox::new();
    let (of, run, keras) = (small(&sandbox), sandbox.path("run"), sandbox.path("m.keras"));
    success(&train(&of, &run, &[]));
    success(&["export", &run, "--to", &keras]);
    let x = sandbox.write("x.npy", &npy_bytes(Ok(floats(&[4, 3]))));
    let arrays = sandbox.path("arrays");
    fs::create_dir(&arrays).expect("a folder");
    fs::copy(&x, Path::new(&arrays).join("x.npy")).expect("a copy");
    let inside = format!("{arrays}/x.npy");
    let mut same = vec![x.clone(), format!("{}/./x.npy", sandbox.path("run/.."))];
    #[cfg(unix)]
    {
        same.extend([sandbox.path("hard.npy"), sandbox.path("soft.npy")]);
        fs::hard_link(&x, &same[2]).expect("a link");
        std::os::unix::fs::symlink(&x, &same[3]).expect("a link");
    }
    let before = [contents(&run), contents(&arrays)];
    let kept = [fs::read(&x).expect("x"), fs::read(&keras).expect("a model")];
    for output in &same {
        failure(&["predict", &run, "--input", &x, "--output", output, "--device", "cpu"]);
    }
    failure(&["predict", &run, "--input", &arrays, "--output", &inside, "--device", "cpu"]);
    failure(&["export", &keras, "--to", &keras]);
    failure(&["export", &run, "--to", &format!("{run}/weights.safetensors")]);
    failure(&["export", &keras, "--to", &format!("{run}/weights.safetensors")]);
    for picture in ["curves.png", "report.png"] {
        failure(&["compare", &run, "--out", &format!("{run}/{picture}")]);
    }
    failure(&["new", &of[0]]);
    assert_eq!([contents(&run), contents(&arrays)], before);
    assert_eq!([fs::read(&x).expect("x"), fs::read(&keras).expect("a model")], kept);
    let y = sandbox.path("y.npy");
    for _ in 0..2 {
        success(&["predict", &run, "--input", &x, "--output", &y, "--device", "cpu"]);
    }
}
