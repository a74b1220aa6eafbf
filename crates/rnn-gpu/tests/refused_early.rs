//! What cannot end well is refused before the first step, by name, and leaves nothing behind.

mod common;

use common::{FAILED, Sandbox, assert_names, npy_bytes, rnn_gpu, success, text};
use rnn_core::HostTensor;
use std::fs;
use std::path::Path;

const EXAMPLES: usize = 30;

/// Sequences of this many steps, which show their class in every step.
fn sequences(steps: usize) -> Vec<u8> {
    let values = (0..EXAMPLES * steps).map(|i| (i / steps % 3) as f32).collect();
    npy_bytes(HostTensor::from_f32([EXAMPLES, steps, 1], values))
}

/// Classes, of which `of` makes another of each.
fn classes(of: impl Fn(u32) -> u32) -> Vec<u8> {
    npy_bytes(HostTensor::from_u32([EXAMPLES], (0..EXAMPLES as u32).map(|i| of(i % 3)).collect()))
}

fn weights(of: impl Fn(usize) -> f32) -> Vec<u8> {
    npy_bytes(HostTensor::from_f32([EXAMPLES], (0..EXAMPLES).map(of).collect()))
}

/// A classifier of three classes, with this optimizer as TOML.
fn classifier(sandbox: &Sandbox, optimizer: &str) -> String {
    let text = format!(
        "input.shape = [\"any\", 1]\n\
         compile = {{ loss = \"sparse_categorical_crossentropy\", optimizer = {optimizer} }}\n\
         layer = [{{ type = \"GRU\", units = 3 }}, \
         {{ type = \"Dense\", units = 3, activation = \"softmax\" }}]\n"
    );
    sandbox.write("model.toml", text.as_bytes())
}

fn data(sandbox: &Sandbox, more: &[(&str, Vec<u8>)]) -> String {
    let own = [("x_train", sequences(4)), ("y_train", classes(|class| class))];
    sandbox.npz("d.npz", &[&own[..], more].concat())
}

fn train<'a>(model: &'a str, data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    [&args[..], &["--epochs", "1"], more].concat()
}

/// Makes sure that a training is refused by name before its first step, and that no folder is left.
fn refused(args: &[&str], out: &str, names: &[&str]) {
    let output = rnn_gpu(args).output().expect("it starts");
    let (printed, message) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(FAILED), "{args:?}: {message}");
    assert!(!printed.contains("Epoch 1/"), "it began: {printed}");
    assert_names(&message, names);
    assert!(!Path::new(out).exists(), "it left {out}");
}

#[test]
fn examples_to_test_of_another_length_are_refused() {
    let sandbox = Sandbox::new();
    let (model, out) = (classifier(&sandbox, "\"adam\""), sandbox.path("run"));
    let labels = classes(|class| class);
    for part in ["test", "val"] {
        let (x, y) = (format!("x_{part}"), format!("y_{part}"));
        let d = data(&sandbox, &[(&x, sequences(5)), (&y, labels.clone())]);
        for more in [&[][..], &["--stream"]] {
            refused(&train(&model, &d, &out, more), &out, &[&x, "[5, 1]", "[4, 1]"]);
        }
    }
}

#[test]
fn class_weights_of_a_wrong_count_or_of_nothing_are_refused() {
    let sandbox = Sandbox::new();
    let (model, out) = (classifier(&sandbox, "\"adam\""), sandbox.path("run"));
    let d = data(&sandbox, &[]);
    for (weights, names) in [
        ("[1.0, 2.0]", ["class_weights are 2", "3 classes"]),
        ("[1.0, 2.0, 1.0, 1.0]", ["class_weights are 4", "3 classes"]),
        ("[0.0, 0.0, 0.0]", ["class_weights", "all 0"]),
        ("[1.0, -2.0, 1.0]", ["class_weights", "-2"]),
    ] {
        let fit = format!("class_weights = {weights}\n");
        let fit = sandbox.write("fit.toml", fit.as_bytes());
        refused(&train(&model, &d, &out, &["--fit", &fit]), &out, &names);
    }
    let fit = sandbox.write("fit.toml", b"class_weights = [1.0, 2.0, 0.0]\n");
    let d = data(&sandbox, &[]);
    success(&train(&model, &d, &out, &["--fit", &fit]));
}

#[test]
fn numbers_that_an_optimizer_cannot_have_are_refused() {
    let sandbox = Sandbox::new();
    let (d, out) = (data(&sandbox, &[]), sandbox.path("run"));
    let model = classifier(&sandbox, "\"adam\"");
    for (fit, names) in [
        ("learning_rate = -0.001\n", ["learning_rate", "-0.001"]),
        ("optimizer = { type = \"SGD\", learning_rate = -1 }\n", ["learning_rate", "-1"]),
        ("loss = { type = \"Huber\", delta = -1.0 }\n", ["delta", "-1"]),
    ] {
        let fit = sandbox.write("fit.toml", fit.as_bytes());
        refused(&train(&model, &d, &out, &["--fit", &fit]), &out, &names);
    }
    let decay = |numbers: &str| {
        format!(
            "{{ type = \"Adam\", learning_rate = {{ class_name = \"ExponentialDecay\", config = {{ \
             decay_steps = 5, {numbers} }} }} }}"
        )
    };
    for (optimizer, names) in [
        ("{ type = \"Adam\", learning_rate = -0.1 }".to_owned(), ["learning_rate", "-0.1"]),
        ("{ type = \"Adam\", learning_rate = 1e300 }".to_owned(), ["learning_rate", "e+300"]),
        ("{ type = \"Adam\", beta_1 = 1.0 }".to_owned(), ["beta_1", "1"]),
        ("{ type = \"Adam\", epsilon = -1e-7 }".to_owned(), ["epsilon", "-"]),
        ("{ type = \"AdamW\", weight_decay = -0.1 }".to_owned(), ["weight_decay", "-0.1"]),
        ("{ type = \"SGD\", momentum = 1.5 }".to_owned(), ["momentum", "1.5"]),
        ("{ type = \"RMSprop\", rho = -0.5 }".to_owned(), ["rho", "-0.5"]),
        ("{ type = \"SGD\", clipnorm = -1.0 }".to_owned(), ["clipnorm", "-1"]),
        (decay("initial_learning_rate = -0.1, decay_rate = 0.5"), ["learning_rate", "-0.1"]),
        (decay("initial_learning_rate = 0.1, decay_rate = -0.5"), ["learning_rate", "-0.5"]),
    ] {
        let model = classifier(&sandbox, &optimizer);
        refused(&train(&model, &d, &out, &[]), &out, &names);
    }
}

#[test]
fn a_blank_device_is_none() {
    let sandbox = Sandbox::new();
    let (model, d) = (classifier(&sandbox, "\"adam\""), data(&sandbox, &[]));
    let (run, x) = (sandbox.path("run"), sandbox.write("x.npy", &sequences(4)));
    let (y, out) = (sandbox.path("y.npy"), sandbox.path("other"));
    success(&train(&model, &d, &run, &[]));
    for blank in ["", " ", "\t"] {
        for args in [
            vec!["train", "--model", &model, "--data", &d, "--out", &out, "--device", blank],
            vec!["train", "--resume", &run, "--epochs", "2", "--device", blank],
            vec!["predict", &run, "--input", &x, "--output", &y, "--device", blank],
            vec!["evaluate", &run, "--device", blank],
            vec!["verify", "--smoke", "--device", blank],
        ] {
            refused(&args, &out, &[&format!("no device {blank:?}"), "rnn-gpu devices"]);
        }
    }
}

/// The files of a run are text, which cannot name every path: those that it would have to name are
/// refused, and all others are used.
#[cfg(unix)]
#[test]
fn paths_that_are_no_utf_8_are_refused_where_a_run_would_name_them() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::new();
    let model = classifier(&sandbox, "\"adam\"");
    let (d, odd) = (data(&sandbox, &[]), OsStr::from_bytes(b"odd\xff"));
    let folder = Path::new(&sandbox.path("")).join(odd);
    fs::create_dir(&folder).expect("a folder");
    fs::copy(&d, folder.join("d.npz")).expect("room");
    let call = |data: &Path, out: &Path, more: &[&OsStr]| {
        let mut command = rnn_gpu(&["train", "--model", &model, "--device", "cpu"]);
        command.args(["--epochs", "1"]).arg("--data").arg(data).arg("--out").arg(out).args(more);
        command.output().expect("it starts")
    };
    let out = sandbox.path("far/away/from/it/run");
    let output = call(&folder.join("d.npz"), Path::new(&out), &[]);
    assert_eq!(output.status.code(), Some(FAILED));
    assert!(!text(&output.stdout).contains("Epoch 1/"), "it began");
    assert_names(&text(&output.stderr), &["d.npz is not UTF-8"]);
    assert!(!Path::new(&out).exists());

    let board = [OsStr::new("--tensorboard"), folder.as_os_str()];
    let output = call(Path::new(&d), Path::new(&out), &board);
    assert_eq!(output.status.code(), Some(FAILED));
    assert_names(&text(&output.stderr), &["is not UTF-8"]);
    assert!(!Path::new(&out).exists() && !folder.join("run").exists());

    // Beside the data, and with both in such a folder, no file has to name it.
    let run = folder.join("run");
    let output = call(&folder.join("d.npz"), &run, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut evaluate = rnn_gpu(&["evaluate", "--device", "cpu"]);
    let output = evaluate.arg(&run).output().expect("it starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// What counts nothing teaches nothing, by example or by class: other labels there give the same
/// weights, and elsewhere others.
#[test]
fn examples_and_classes_of_weight_0_do_not_count() {
    let sandbox = Sandbox::new();
    let model = classifier(&sandbox, "\"adam\"");
    let trained = |y: Vec<u8>, w: Option<Vec<u8>>, more: &[&str]| {
        let mut arrays = vec![("x_train", sequences(4)), ("y_train", y)];
        arrays.extend(w.map(|w| ("w_train", w)));
        let (d, out) = (sandbox.npz("w.npz", &arrays), sandbox.path("weighed"));
        success(&train(&model, &d, &out, &[&["--overwrite"], more].concat()));
        fs::read(Path::new(&out).join("weights.safetensors")).expect("weights")
    };
    // Classes 1 and 2 change places.
    let swapped = |class: u32| [0, 2, 1][class as usize];
    let first = || Some(weights(|example| f32::from(u8::from(example % 3 == 0))));
    let all = trained(classes(|class| class), None, &[]);
    assert!(trained(classes(swapped), None, &[]) != all);
    let some = trained(classes(|class| class), first(), &[]);
    assert!(trained(classes(swapped), first(), &[]) == some && some != all);
    let fit = sandbox.write("fit.toml", b"class_weights = [1.0, 0.0, 0.0]\n");
    let some = trained(classes(|class| class), None, &["--fit", &fit]);
    assert!(trained(classes(swapped), None, &["--fit", &fit]) == some && some != all);
}
