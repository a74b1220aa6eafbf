//! A run of a model of one's own is a run like any other: trained once here, then measured, compared
//! and gone on with.

mod common;

use common::{Sandbox, json_of, npy_bytes, success};
use rnn_core::HostTensor;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

const EXAMPLES: usize = 60;
const STEPS: usize = 4;

const MODEL: &[u8] = br#"
    input = { shape = ["any", 1] }
    compile = { loss = "binary_crossentropy", optimizer = { type = "Adam", learning_rate = 0.03 } }
    layer = [{ type = "GRU", units = 4 }, { type = "Dense", units = 1, activation = "sigmoid" }]
"#;

/// Two epochs of 9 steps each, of a model named after its file.
struct Trained {
    sandbox: Sandbox,
    model: String,
    data: String,
    run: String,
    printed: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("model-run");
    let (model, run) = (sandbox.write("judge.toml", MODEL), sandbox.path("run"));
    let [x, y] = arrays();
    let data = [("x_train", &x), ("y_train", &y), ("x_test", &x), ("y_test", &y)];
    let data = sandbox.npz("d.npz", &data.map(|(name, bytes)| (name, bytes.clone())));
    let printed = train(&model, &data, &run, "2");
    Trained { sandbox, model, data, run, printed }
});

/// Sequences whose steps are multiples of their class, and whether it is the last of three.
fn arrays() -> [Vec<u8>; 2] {
    let class = |row: usize| (row % 3) as f32;
    let step = |i: usize| (class(i / STEPS) - 1.0) * (1.0 + (i % STEPS) as f32);
    let x = (0..EXAMPLES * STEPS).map(step).collect();
    let y = (0..EXAMPLES).map(|row| f32::from(u8::from(class(row) == 2.0))).collect();
    let x = npy_bytes(HostTensor::from_f32([EXAMPLES, STEPS, 1], x));
    [x, npy_bytes(HostTensor::from_f32([EXAMPLES], y))]
}

fn train(model: &str, data: &str, out: &str, epochs: &str) -> String {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    success(&[&args[..], &["--epochs", epochs, "--batch-size", "6"]].concat())
}

/// A copy of the run beside it, where its data is found.
fn copy(name: &str) -> String {
    TRAINED.sandbox.copy(&TRAINED.run, name)
}

/// The line that says how a run was judged.
fn judged(printed: &str) -> &str {
    let line = printed.lines().find(|line| line.starts_with("test loss"));
    line.unwrap_or_else(|| panic!("{printed}"))
}

#[test]
fn the_run_has_the_files_of_every_run() {
    let Trained { run, printed, .. } = &*TRAINED;
    for file in ["config.json", "model.json", "history.csv", "histogram.png", "curves.png"] {
        assert!(Path::new(run).join(file).exists(), "{file}");
    }
    assert_eq!(json_of(run, "report.json")["examples"], json!([54, 6, 60]));
    let history = json_of(run, "history.json");
    assert_eq!(history["epochs"].as_array().map(Vec::len), Some(2));
    assert!(printed.contains("judge on d.npz") && judged(printed).contains("AUC"), "{printed}");
}

#[test]
fn its_results_are_those_of_the_data_to_test() {
    let results = json_of(&TRAINED.run, "results.json");
    assert_eq!((&results["evaluated_on"], &results["count"]), (&json!("test"), &json!(EXAMPLES)));
    let measures = ["loss", "accuracy", "precision", "recall", "f1", "auc"];
    assert!(measures.iter().all(|measure| results[measure].is_number()), "{results}");
}

#[test]
fn its_evaluation_prints_what_its_training_printed() {
    let evaluated = success(&["evaluate", &copy("evaluated"), "--device", "cpu"]);
    assert_eq!(judged(&evaluated), judged(&TRAINED.printed));
}

#[test]
fn its_page_shows_the_data_the_layers_the_mistakes_and_the_memory() {
    let page = fs::read_to_string(Path::new(&TRAINED.run).join("report.html")).expect("a page");
    for part in ["judge on d.npz", "Confusion matrix", "gru (GRU)", "Memory of a training step"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn two_epochs_and_two_more_are_four() {
    let Trained { sandbox, model, data, .. } = &*TRAINED;
    let (resumed, whole) = (copy("resumed"), sandbox.path("whole"));
    let printed = success(&["train", "--resume", &resumed, "--epochs", "4", "--device", "cpu"]);
    assert!(printed.contains("going on after step 18, in epoch 3"), "{printed}");
    train(model, data, &whole, "4");
    for name in ["weights.safetensors", "optimizer.safetensors"] {
        let bytes = |run: &str| fs::read(Path::new(run).join(name)).expect("a file");
        assert_eq!(bytes(&resumed), bytes(&whole), "{name}");
    }
}

#[test]
fn whoever_begins_with_its_weights_begins_with_what_its_optimizer_kept() {
    let Trained { sandbox, data, run, .. } = &*TRAINED;
    let printed = train(run, data, &sandbox.path("again"), "1");
    assert!(printed.contains("going on with what Adam keeps after 18 steps"), "{printed}");
}

#[test]
fn without_data_to_test_a_run_is_evaluated_on_those_that_validate() {
    let Trained { sandbox, model, run, .. } = &*TRAINED;
    let [x, y] = arrays();
    let data = sandbox.npz("untested.npz", &[("x_train", x), ("y_train", y)]);
    let untested = sandbox.path("untested");
    let printed = train(model, &data, &untested, "1");
    assert!(printed.contains("validation loss") && !printed.contains("test loss"), "{printed}");
    assert_eq!(json_of(&untested, "results.json")["evaluated_on"], json!("validation"));
    // Beside a run that was tested, the comparison says so.
    let picture = sandbox.path("two.png");
    let table = success(&["compare", run, &untested, "--out", &picture]);
    assert!(table.contains("judge on d.npz") && table.contains("(validation data)"), "{table}");
    assert!(fs::metadata(&picture).expect("a picture").len() > 0);
}
