//! Layers that keep their states from batch to batch.

use crate::common::{Sandbox, assert_names, case, json_of, success};
use crate::{EXAMPLES, STEPS, fails, floats, losses, succeeds, train};
use rnn_formats::npy;
use serde_json::{Value, json};
use std::fs;
use std::sync::LazyLock;

/// A stack on `[T, 3]`, of batches of 4.
fn stateful(sandbox: &Sandbox, name: &str, layers: &[Value]) -> String {
    let input = json!({"class_name": "InputLayer", "config": {"batch_shape": [4, STEPS, 3]}});
    let last = json!({"class_name": "Dense", "config": {"units": 1}});
    let layers = [&[input], layers, &[last]].concat();
    let model = json!({
        "class_name": "Sequential",
        "config": {"layers": layers},
        "compile_config": {"optimizer": "sgd", "loss": "mse"},
    });
    sandbox.write(name, model.to_string().as_bytes())
}

fn recurrent(class: &str, stateful: bool) -> Value {
    json!({"class_name": class, "config": {"units": 3, "stateful": stateful}})
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect()
}

fn arrays(examples: usize) -> [(&'static str, Vec<u8>); 2] {
    let x = floats(&[examples, STEPS, 3], numbers(examples * STEPS * 3));
    [("x_train", x), ("y_train", floats(&[examples], numbers(examples)))]
}

const CLASSES: [&str; 3] = ["LSTM", "GRU", "SimpleRNN"];

/// Runs of three epochs of a stateful layer of each class.
struct Stateful {
    sandbox: Sandbox,
    data: String,
    fit: String,
}

impl Stateful {
    fn run(&self, class: &str) -> String {
        self.sandbox.path(&format!("{class}-run"))
    }

    /// The losses of another run of this layer, in a folder of its own, with further options.
    fn losses(&self, class: &str, out: &str, more: &[&str]) -> Vec<f64> {
        let (model, run) = (self.sandbox.path(&format!("{class}.json")), self.sandbox.path(out));
        succeeds(&train(&model, &self.data, &run, more));
        losses(&run)
    }
}

static STATEFUL: LazyLock<Stateful> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("sequences-stateful");
    let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 3\n");
    let data = sandbox.npz("d.npz", &arrays(EXAMPLES));
    let stateful_runs = Stateful { sandbox, data, fit };
    for class in CLASSES {
        let name = format!("{class}.json");
        stateful(&stateful_runs.sandbox, &name, &[recurrent(class, true)]);
        let run = format!("{class}-run");
        stateful_runs.losses(class, &run, &["--fit", &stateful_runs.fit]);
    }
    stateful_runs
});

#[test]
fn a_stateful_model_trains_on_batches_of_its_size_in_their_order() {
    for class in CLASSES {
        let run = STATEFUL.run(class);
        let config = json_of(&run, "config.json");
        assert_eq!((&config["batch_size"], &config["shuffle"]), (&json!(4), &json!(false)));
        let options = ["--fit", &STATEFUL.fit, "--no-shuffle", "--batch-size", "4"];
        let asked = STATEFUL.losses(class, &format!("{class}-asked"), &options);
        assert_eq!(asked, losses(&run), "{class}");
    }
}

#[test]
fn a_stateful_model_shuffles_when_an_option_or_a_file_asks() {
    let fit = b"validation = 0.0\nepochs = 3\nshuffle = true\n";
    let fit = STATEFUL.sandbox.write("shuffled.toml", fit);
    for class in CLASSES {
        let options = ["--fit", &STATEFUL.fit, "--shuffle"];
        let shuffled = STATEFUL.losses(class, &format!("{class}-option"), &options);
        assert_ne!(shuffled, losses(&STATEFUL.run(class)), "{class}");
        let by_file = STATEFUL.losses(class, &format!("{class}-file"), &["--fit", &fit]);
        assert_eq!(by_file, shuffled, "{class}");
    }
}

/// A GRU that keeps the states of batches of 4 rows, or one that does not, for one epoch.
struct Batched {
    sandbox: Sandbox,
    model: String,
    fit: String,
    run: String,
}

impl Batched {
    fn new(states: bool) -> Self {
        let sandbox = Sandbox::new();
        let model = stateful(&sandbox, "m.json", &[recurrent("GRU", states)]);
        let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 1\n");
        let run = sandbox.path("run");
        Self { sandbox, model, fit, run }
    }

    fn command(&self, examples: usize, more: &[&str]) -> Vec<String> {
        let data = self.sandbox.npz("d.npz", &arrays(examples));
        train(&self.model, &data, &self.run, &[&["--fit", &self.fit], more].concat())
    }

    /// The arguments of a prediction for 6 rows.
    fn prediction(&self) -> Vec<String> {
        let x = self.sandbox.write("x.npy", &floats(&[6, STEPS, 3], numbers(6 * STEPS * 3)));
        let y = self.sandbox.path("y.npy");
        let args = ["predict", &self.run, "--input", &x, "--output", &y, "--device", "cpu"];
        args.map(str::to_owned).to_vec()
    }
}

#[test]
fn examples_that_do_not_fill_a_batch_of_states_are_refused() {
    let message = fails(&Batched::new(true).command(10, &[]));
    let names = ["the 10 examples to train on in batches of 4 make one of 2", "--batch-size 4"];
    assert_names(&message, &names);
}

#[test]
fn batches_of_another_size_than_the_states_are_refused() {
    let message = fails(&Batched::new(true).command(12, &["--batch-size", "6"]));
    assert_names(&message, &["of 4 rows", "one of 6"]);
}

#[test]
fn a_batch_size_above_the_number_of_examples_takes_all() {
    succeeds(&Batched::new(true).command(4, &["--batch-size", "64"]));
}

#[test]
fn a_prediction_of_rows_that_do_not_fill_a_batch_of_states_is_refused() {
    let batched = Batched::new(true);
    succeeds(&batched.command(4, &[]));
    assert_names(&fails(&batched.prediction()), &["the 6 examples given in batches of 4"]);
}

#[test]
fn a_model_without_states_shuffles_and_takes_batches_of_any_size() {
    let batched = Batched::new(false);
    succeeds(&batched.command(10, &["--batch-size", "3"]));
    assert_eq!(json_of(&batched.run, "config.json")["shuffle"], json!(true));
    succeeds(&batched.prediction());
}

/// A run of a stateful LSTM, exported to Keras's format.
struct Exported {
    sandbox: Sandbox,
    run: String,
    keras: String,
}

static EXPORTED: LazyLock<Exported> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("sequences-exported");
    let (run, keras) = (sandbox.path("run"), sandbox.path("m.keras"));
    let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 1\n");
    let data = sandbox.npz("d.npz", &arrays(8));
    let model = stateful(&sandbox, "m.json", &[recurrent("LSTM", true)]);
    succeeds(&train(&model, &data, &run, &["--fit", &fit]));
    success(&["export", &run, "--to", &keras]);
    Exported { sandbox, run, keras }
});

/// Predictions for `count` batches that are all alike. `name` tells the files from other tests'.
fn predictions(model: &str, name: &str, count: usize) -> Vec<f32> {
    let sandbox = &EXPORTED.sandbox;
    let rows = numbers(4 * STEPS * 3).repeat(count);
    let x = sandbox.write(&format!("{name}-x.npy"), &floats(&[4 * count, STEPS, 3], rows));
    let y = sandbox.path(&format!("{name}-y.npy"));
    success(&["predict", model, "--input", &x, "--output", &y, "--device", "cpu"]);
    let found = npy::read(y.as_ref()).expect("predictions").to_f32().expect("floats");
    found.as_f32().expect("floats").to_vec()
}

#[test]
fn an_exported_file_has_the_batch_size_of_the_states() {
    let file = fs::File::open(&EXPORTED.keras).expect("it was just written");
    let mut archive = zip::ZipArchive::new(file).expect("an archive");
    let config = archive.by_name("config.json").expect("a description");
    let config: Value = serde_json::from_reader(config).expect("JSON");
    let shape = &config["config"]["layers"][0]["config"]["batch_shape"];
    assert_eq!(*shape, json!([4, STEPS, 3]));
}

#[test]
fn a_prediction_keeps_states_from_batch_to_batch() {
    let twice = predictions(&EXPORTED.run, "kept", 2);
    let (first, second) = twice.split_at(4);
    assert!(first.iter().zip(second).all(|(a, b)| (a - b).abs() > 1e-4), "{first:?} {second:?}");
}

#[test]
fn an_exported_file_predicts_as_its_run() {
    let Exported { run, keras, .. } = &*EXPORTED;
    let twice = predictions(run, "run", 2);
    assert_eq!(predictions(keras, "once", 1), twice[..4]);
    assert_eq!(predictions(keras, "twice", 2), twice);
}

#[test]
fn a_training_that_keeps_states_gives_what_keras_gives() {
    let [Some(model), Some(data), Some(fit)] =
        ["stateful.keras", "stateful.npz", "fit1.toml"].map(case)
    else {
        return;
    };
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    succeeds(&train(&model, &data, &run, &["--fit", &fit]));
    let found = losses(&run);
    for (found, expected) in found.into_iter().zip([1.07721, 1.05555, 1.01941]) {
        assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
    }
}
