//! What is printed is clean and short, whatever the files hold: no control character reaches the
//! terminal, and no name or content fills it.

mod common;

use common::line::{arrays, rows, table, train};
use common::{Sandbox, assert_names, failure, rnn_gpu, success, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What a terminal would obey: a clearing of the screen, a title, a backspace, a carriage return,
/// an 8-bit control sequence, and a turned direction.
const STEERING: &str = "\u{1b}[2J\u{1b}]0;mine\u{7}\u{8}\r\u{7f}\u{9b}2J\u{202e}";

/// All that a command prints, which succeeds or fails, but does not panic.
fn printed(args: &[&str]) -> String {
    let output = rnn_gpu(args).output().expect("it starts");
    assert!(matches!(output.status.code(), Some(0..=2)), "{args:?}: {:?}", output.status);
    let all = text(&output.stdout) + &text(&output.stderr);
    assert!(!all.contains("panicked"), "{args:?}: {}", &all[..all.len().min(2000)]);
    all
}

/// Makes sure that text of this many characters at most has none that steers a terminal.
fn assert_clean(all: &str, most: usize) {
    let steers = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    let odd = all.chars().position(steers);
    assert_eq!(odd, None, "{:?}", all.chars().skip(odd.unwrap_or(0)).take(40).collect::<String>());
    let found = all.chars().count();
    assert!(found <= most, "{found} characters: {}", all.chars().take(400).collect::<String>());
}

/// A model of a layer of this name.
fn model(sandbox: &Sandbox, name: &str) -> String {
    let name = Value::from(name).to_string().replace('\u{7f}', "\\u007F");
    let text = format!(
        "input.shape = [2]\ncompile = {{ loss = \"mse\", optimizer = \"adam\" }}\n\
         layer = [{{ type = \"Dense\", units = 1, name = {name} }}]\n"
    );
    sandbox.write("model.toml", text.as_bytes())
}

#[test]
fn a_layer_name_of_any_length_is_used_and_printed_short() {
    let sandbox = Sandbox::new();
    let (data, x) = (sandbox.npz("d.npz", &arrays()), rows(|of| of.to_vec()));
    let x = sandbox.write("x.npy", &x);
    for length in [300, 65_500, 65_533, 65_536, 200_000] {
        let model = model(&sandbox, &"n".repeat(length));
        let (run, y) = (sandbox.path("run"), sandbox.path("y.npy"));
        assert_clean(&success(&["summary", &model]), 3000);
        assert_clean(&success(&train(&model, &data, &run, &["--overwrite"])), 6000);
        for args in [
            vec!["evaluate", &run, "--device", "cpu"],
            vec!["predict", &run, "--input", &x, "--output", &y, "--device", "cpu"],
            vec!["summary", &run],
        ] {
            assert_clean(&success(&args), 3000);
        }
        // A format may have no place for such a name.
        for form in ["keras", "h5", "weights.h5", "onnx", "safetensors"] {
            let file = sandbox.path(&format!("m.{form}"));
            assert_clean(&printed(&["export", &run, "--to", &file]), 3000);
            if Path::new(&file).exists() && matches!(form, "keras" | "h5") {
                assert_clean(&printed(&["summary", &file]), 3000);
            }
        }
    }
}

#[test]
fn names_in_a_model_do_not_steer_the_terminal() {
    let sandbox = Sandbox::new();
    let (data, run) = (sandbox.npz("d.npz", &arrays()), sandbox.path("run"));
    let model = model(&sandbox, STEERING);
    for args in [
        vec!["summary", &model],
        train(&model, &data, &run, &["--overwrite"]),
        vec!["summary", &run],
    ] {
        let all = printed(&args);
        assert_clean(&all, 6000);
        assert!(all.contains("\\u001b"), "{all}");
    }
    let unknown = model_of_type(&sandbox, STEERING);
    assert_clean(&failure(&["summary", &unknown]), 3000);
}

fn model_of_type(sandbox: &Sandbox, class: &str) -> String {
    let class = Value::from(class).to_string().replace('\u{7f}', "\\u007F");
    let text = format!("input.shape = [2]\nlayer = [{{ type = {class}, units = 1 }}]\n");
    sandbox.write("unknown.toml", text.as_bytes())
}

#[test]
fn a_long_line_of_a_toml_is_not_printed() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(3 << 20);
    let data = sandbox.npz("d.npz", &arrays());
    for text in [
        format!("input.shape = [2]\nlayer = [{{ type = \"{long}\" }}]\n"),
        format!("input.shape = [2]\n{long} = 1\nlayer = [{{ type = \"Dense\", units = 1 }}]\n"),
        format!("input.shape = [2]\nlayer = \"{long}\n"),
        format!("input.shape = [2]\nlayer = [{{ type = \"Dense\", units = \"{long}\" }}]\n"),
    ] {
        let file = sandbox.write("model.toml", text.as_bytes());
        let message = failure(&["summary", &file]);
        assert_clean(&message, 3000);
        assert_names(&message, &["model.toml"]);
    }
    let model = model(&sandbox, "a");
    for text in
        [format!("loss = \"{long}\"\n"), format!("{long} = 2\n"), format!("epochs = {long}")]
    {
        let (fit, out) = (sandbox.write("fit.toml", text.as_bytes()), sandbox.path("out"));
        assert_clean(&failure(&train(&model, &data, &out, &["--fit", &fit])), 6000);
    }
}

#[test]
fn a_cell_of_a_table_is_printed_short_and_clean() {
    let sandbox = Sandbox::new();
    let (model, out) = (model(&sandbox, "a"), sandbox.path("out"));
    let long = "x".repeat(8 << 20);
    for cell in [&long, STEERING, &format!("\"{STEERING}{long}\"")] {
        let more = [
            // A cell, and the name of a column.
            format!("{}{cell},0.5,0.5\n", table(&["a", "b", "y"], true)),
            table(&["a", "b", "y"], true).replacen("a,b", &format!("{cell},b"), 1),
        ];
        for text in more {
            let data = sandbox.write("d.csv", text.replace('\r', " ").as_bytes());
            for target in ["y", "none"] {
                let message =
                    printed(&train(&model, &data, &out, &["--target", target, "--overwrite"]));
                assert_clean(&message, 8000);
            }
        }
    }
}

/// A run folder of a stranger's, whose texts are as they please.
#[test]
fn texts_of_a_run_do_not_steer_or_fill_the_terminal() {
    let sandbox = Sandbox::new();
    let (data, run) = (sandbox.npz("d.npz", &arrays()), sandbox.path("run"));
    success(&train(&model(&sandbox, "a"), &data, &run, &[]));
    let config = Path::new(&run).join("config.json");
    let whole: Value = serde_json::from_slice(&fs::read(&config).expect("it")).expect("JSON");
    for odd in [STEERING.to_owned(), "l".repeat(1 << 20)] {
        for key in ["name", "device", "arrays", "fingerprint", "precision", "epochs"] {
            let mut changed = whole.clone();
            changed[key] = odd.clone().into();
            fs::write(&config, changed.to_string()).expect("room");
            let picture = sandbox.path("c.png");
            for args in [
                vec!["evaluate", &run, "--device", "cpu"],
                vec!["compare", &run, &run, "--out", &picture],
                vec!["history", &run],
                vec!["train", "--resume", &run, "--device", "cpu"],
            ] {
                assert_clean(&printed(&args), 8000);
            }
        }
    }
}
