//! Models of the user's on arrays of the user's: described in TOML, trained, measured, predicted
//! with, exported and imported; and what is said of what does not fit.

mod common;

use common::{Sandbox, failure, json_of, npy_bytes, rnn_gpu, success, text};
use rnn_core::HostTensor;
use rnn_formats::npy;
use rnn_run::fit::FitOptions;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

const EXAMPLES: usize = 60;
const STEPS: usize = 4;

fn floats(shape: &[usize], values: Vec<f32>) -> Vec<u8> {
    npy_bytes(HostTensor::from_f32(shape, values))
}

fn whole(shape: &[usize], values: Vec<u32>) -> Vec<u8> {
    npy_bytes(HostTensor::from_u32(shape, values))
}

fn classes() -> Vec<u32> {
    (0..EXAMPLES as u32).map(|i| i % 3).collect()
}

/// Sequences of which every step is a multiple of the class less 1.
fn sequences() -> Vec<f32> {
    let sequence = |class: u32| (0..STEPS).map(move |t| (class as f32 - 1.0) * (1.0 + t as f32));
    classes().into_iter().flat_map(sequence).collect()
}

/// The same arrays to train on and to test.
fn data(sandbox: &Sandbox, name: &str, x: &[u8], y: &[u8]) -> String {
    let arrays = [("x_train", x), ("y_train", y), ("x_test", x), ("y_test", y)];
    sandbox.npz(name, &arrays.map(|(name, bytes)| (name, bytes.to_vec())))
}

fn classifier(sandbox: &Sandbox) -> String {
    let model = r#"
        input = { shape = ["any", 1] }
        compile = { loss = "sparse_categorical_crossentropy", optimizer = "adam" }
        [[layer]]
        type = "Bidirectional"
        layer = { type = "GRU", units = 4 }
        [[layer]]
        type = "Dense"
        units = 3
        activation = "softmax"
    "#;
    sandbox.write("model.toml", model.as_bytes())
}

fn train<'a>(model: &'a str, data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    [&args[..], more].concat()
}

fn predict(model: &str, input: &str, output: &str) -> HostTensor {
    success(&["predict", model, "--input", input, "--output", output, "--device", "cpu"]);
    npy::read(Path::new(output)).expect("an array").to_f32().expect("floats")
}

/// A run of the classifier, on sequences of which those to test are those to train on.
struct Trained {
    sandbox: Sandbox,
    data: String,
    run: String,
    printed: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("models");
    let (model, run) = (classifier(&sandbox), sandbox.path("run"));
    let x = floats(&[EXAMPLES, STEPS, 1], sequences());
    sandbox.write("x.npy", &x);
    let data = data(&sandbox, "d.npz", &x, &whole(&[EXAMPLES], classes()));
    let fit = "epochs = 12\nbatch_size = 8\nvalidation = 0.2\nlearning_rate = 0.03\n\
               [early_stopping]\npatience = 6\n";
    let fit = sandbox.write("fit.toml", fit.as_bytes());
    let printed = success(&train(&model, &data, &run, &["--fit", &fit]));
    Trained { sandbox, data, run, printed }
});

#[test]
fn a_described_model_learns_its_classes() {
    let Trained { run, printed, .. } = &*TRAINED;
    assert_eq!(json_of(run, "report.json")["examples"], json!([48, 12, 60]));
    let results = json_of(run, "results.json");
    assert_eq!((&results["evaluated_on"], &results["accuracy"]), (&json!("test"), &json!(1.0)));
    assert!(printed.contains("48 examples to train on, 12 to validate, 60 to test"), "{printed}");
    assert!(printed.contains("test loss") && printed.contains("accuracy 1.0000"), "{printed}");
    assert!(printed.contains("           2       1.00      1.00      1.00        20"), "{printed}");
    assert!(success(&["summary", run]).contains("bidirectional (Bidirectional)"));
}

#[test]
fn a_run_is_judged_by_data_that_are_named_as_by_its_own() {
    let Trained { data, run, printed, .. } = &*TRAINED;
    let evaluated = success(&["evaluate", run, "--data", data, "--device", "cpu"]);
    let line = evaluated.lines().find(|l| l.starts_with("test loss")).expect("a test loss");
    assert!(printed.contains(line), "{evaluated}");
}

#[test]
fn a_run_and_its_files_of_keras_predict_the_same() {
    let Trained { sandbox, run, .. } = &*TRAINED;
    let x = sandbox.path("x.npy");
    let first = predict(run, &x, &sandbox.path("y.npy"));
    assert_eq!(first.shape().dims(), [EXAMPLES, 3]);
    for name in ["m.keras", "m.h5"] {
        let (file, again) = (sandbox.path(name), sandbox.path(&format!("{name}.run")));
        success(&["export", run, "--to", &file]);
        assert_eq!(predict(&file, &x, &sandbox.path("k.npy")), first, "{name}");
        success(&["import", &file, "--out", &again]);
        assert_eq!(predict(&again, &x, &sandbox.path("i.npy")), first, "{name}");
    }
}

#[test]
fn a_training_goes_on_from_a_file_of_keras_with_its_loss_and_optimizer() {
    let Trained { sandbox, data, run, .. } = &*TRAINED;
    let (file, out) = (sandbox.path("goes-on.keras"), sandbox.path("goes-on"));
    success(&["export", run, "--to", &file]);
    success(&train(&file, data, &out, &["--epochs", "1"]));
    assert_eq!(json_of(&out, "results.json")["accuracy"], json!(1.0));
}

#[test]
fn weights_are_exported_alone_and_a_model_of_any_length_not_as_onnx() {
    let Trained { sandbox, run, .. } = &*TRAINED;
    let weights = sandbox.path("m.safetensors");
    success(&["export", run, "--to", &weights]);
    assert!(Path::new(&weights).exists());
    let onnx = sandbox.path("m.onnx");
    let message = failure(&["export", run, "--to", &onnx]);
    assert!(message.contains("any length") && !Path::new(&onnx).exists(), "{message}");
}

/// What counts nothing teaches nothing, by example or by class.
#[test]
fn examples_and_classes_count_what_is_asked_for() {
    let sandbox = Sandbox::new();
    let (model, run) = (classifier(&sandbox), sandbox.path("run"));
    let x = floats(&[EXAMPLES, STEPS, 1], sequences());
    let y = whole(&[EXAMPLES], classes());
    let weights = floats(&[EXAMPLES], vec![0.0; EXAMPLES]);
    let weighed = [("x_train", x.clone()), ("y_train", y.clone()), ("w_train", weights)];
    let weighed = sandbox.npz("w.npz", &weighed);
    let printed = success(&train(&model, &weighed, &run, &["--epochs", "1"]));
    assert!(printed.contains(", loss 0.0000, accuracy"), "{printed}");
    // Of one class alone, which is all that there is to train on.
    let fit = sandbox.write("fit.toml", b"class_weights = [0.0, 1.0, 1.0]\nepochs = 1\n");
    let zeros = whole(&[EXAMPLES], vec![0; EXAMPLES]);
    let d = data(&sandbox, "d.npz", &x, &zeros);
    let printed = success(&train(&model, &d, &run, &["--fit", &fit, "--overwrite"]));
    assert!(printed.contains(", loss 0.0000, accuracy"), "{printed}");
    let message = failure(&train(&model, &weighed, &run, &["--fit", &fit, "--overwrite"]));
    assert!(message.contains("w_train"), "{message}");
}

#[test]
fn sequences_of_classes_and_of_numbers_are_learned() {
    let sandbox = Sandbox::new();
    let describe = |name: &str, units: usize, activation: &str, loss: &str| {
        let layers = format!(
            "[input]\ntokens = {STEPS}\n[[layer]]\ntype = \"Embedding\"\ninput_dim = 3\n\
             output_dim = 4\n[[layer]]\ntype = \"LSTM\"\nunits = 8\nreturn_sequences = true\n\
             [[layer]]\ntype = \"Dense\"\nunits = {units}\nactivation = \"{activation}\"\n\
             [compile]\nloss = \"{loss}\"\noptimizer = {{ type = \"Adam\", learning_rate = 0.05 }}\n"
        );
        sandbox.write(name, layers.as_bytes())
    };
    let tokens: Vec<u32> = (0..EXAMPLES * STEPS).map(|i| (i * i / 7 % 3) as u32).collect();
    let x = whole(&[EXAMPLES, STEPS], tokens.clone());
    let more = ["--epochs", "15", "--batch-size", "10"];
    let model = describe("classes.toml", 3, "softmax", "sparse_categorical_crossentropy");
    let d = data(&sandbox, "classes.npz", &x, &x);
    let printed = success(&train(&model, &d, &sandbox.path("classes"), &more));
    assert!(printed.contains("accuracy 1.0000"), "{printed}");
    let model = describe("numbers.toml", 1, "linear", "mse");
    let numbers = floats(&[EXAMPLES, STEPS, 1], tokens.iter().map(|&t| t as f32).collect());
    let d = data(&sandbox, "numbers.npz", &x, &numbers);
    let printed = success(&train(&model, &d, &sandbox.path("numbers"), &more));
    let loss = printed.lines().find_map(|line| line.strip_prefix("test loss "));
    let loss: f64 = loss.and_then(|loss| loss.parse().ok()).expect("a loss");
    assert!(loss < 0.02, "{printed}");
}

/// The message of a training that must fail, and leaves nothing.
fn refused(sandbox: &Sandbox, model: &str, data: &str, more: &[&str]) -> String {
    let run = sandbox.path("run");
    let message = failure(&train(model, data, &run, more));
    assert!(!Path::new(&run).exists(), "{message}");
    message
}

#[test]
fn arrays_that_do_not_fit_the_model_are_refused_by_what_they_hold() {
    let sandbox = Sandbox::new();
    let model = classifier(&sandbox);
    let tokens = "input.tokens = 4\nlayer = [{ type = \"Embedding\", input_dim = 3, output_dim = 2 }\
                  , { type = \"SimpleRNN\", units = 1 }]\ncompile.loss = \"mse\"\n";
    let tokens = sandbox.write("tokens.toml", tokens.as_bytes());
    let x = floats(&[EXAMPLES, STEPS, 1], sequences());
    let y = whole(&[EXAMPLES], classes());
    let numbers =
        |width: usize, value: f32| floats(&[EXAMPLES, width], vec![value; width * EXAMPLES]);
    for (model, x, y, parts) in [
        (
            &model,
            &floats(&[EXAMPLES * STEPS / 2, 2], sequences()),
            &y,
            &["[None, None, 1], got [2]"][..],
        ),
        (&model, &x, &whole(&[EXAMPLES], vec![3; EXAMPLES]), &["class 3", "3 classes"]),
        (&model, &x, &floats(&[EXAMPLES], vec![0.5; EXAMPLES]), &["element 0 is 0.5"]),
        (&model, &x, &numbers(3, 0.0), &["categorical_crossentropy"]),
        (
            &tokens,
            &whole(&[EXAMPLES, 4], vec![7; 4 * EXAMPLES]),
            &floats(&[EXAMPLES], vec![0.0; EXAMPLES]),
            &["token 7", "vocabulary of 3"],
        ),
    ] {
        let message = refused(&sandbox, model, &data(&sandbox, "d.npz", x, y), &[]);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn an_array_that_an_archive_lacks_is_named_beside_those_that_it_holds() {
    let sandbox = Sandbox::new();
    let model = classifier(&sandbox);
    let x = floats(&[EXAMPLES, STEPS, 1], sequences());
    let archive = sandbox.npz("x.npz", &[("x_train", x.clone())]);
    let message = refused(&sandbox, &model, &archive, &[]);
    assert!(message.contains("no array y_train; it holds x_train"), "{message}");
    let two = sandbox.npz("two.npz", &[("a", x.clone()), ("b", x)]);
    let message = failure(&["predict", &model, "--input", &two, "--output", "y.npy"]);
    assert!(message.contains("holds no array input_layer or x"), "{message}");
}

#[test]
fn a_description_with_a_mistake_is_refused_by_its_place() {
    let sandbox = Sandbox::new();
    let odd = sandbox.write("odd.toml", b"[[layer]]\ntype = \"GRU\"\nunits = 2\n");
    assert!(failure(&["summary", &odd]).contains("tokens = 500"));
    let text = fs::read_to_string(classifier(&sandbox)).expect("it was just written");
    let text = text.replace("units = 4", "units = 4, unts = 3");
    let message = failure(&["summary", &sandbox.write("odd.toml", text.as_bytes())]);
    assert!(message.contains("unts = 3") && message.contains("bidirectional"), "{message}");
}

#[test]
fn an_unknown_option_of_a_training_is_refused_with_the_known_ones() {
    let sandbox = Sandbox::new();
    let x = floats(&[EXAMPLES, STEPS, 1], sequences());
    let d = data(&sandbox, "d.npz", &x, &whole(&[EXAMPLES], classes()));
    let fit = sandbox.write("fit.toml", b"epochs = 3\nlerning_rate = 0.1\n");
    let message = refused(&sandbox, &classifier(&sandbox), &d, &["--fit", &fit]);
    assert!(message.contains("lerning_rate") && message.contains("learning_rate"), "{message}");
}

#[test]
fn a_model_without_weights_predicts_nothing() {
    let sandbox = Sandbox::new();
    let model = classifier(&sandbox);
    let x = sandbox.write("x.npy", &floats(&[EXAMPLES, STEPS, 1], sequences()));
    let y = sandbox.path("y.npy");
    let message = failure(&["predict", &model, "--input", &x, "--output", &y]);
    assert!(message.contains("without weights"), "{message}");
    assert!(!Path::new(&y).exists());
    let message = failure(&["predict", &model, "--input", &x, "--output", &sandbox.path("y.txt")]);
    assert!(message.contains("written as .npy"), "{message}");
}

#[test]
fn a_damaged_array_is_refused_by_its_name() {
    let sandbox = Sandbox::new();
    let (model, y) = (classifier(&sandbox), sandbox.path("y.npy"));
    let damaged = sandbox.write("damaged.npy", b"abc");
    let message = failure(&["predict", &model, "--input", &damaged, "--output", &y]);
    assert!(message.contains("damaged.npy: not a readable .npy array"), "{message}");
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let sandbox = Sandbox::new();
    assert!(failure(&["import", &sandbox.path("m.pt")]).contains("no such file"));
    let array = sandbox.write("x.npy", &floats(&[EXAMPLES, STEPS, 1], sequences()));
    assert!(failure(&["summary", &array]).contains("not a model"));
    // A misspelt experiment is told what there is.
    assert!(failure(&["summary", "lstmm"]).contains("lstm-dropout"));
}

#[test]
fn the_example_of_a_model_is_one() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("model.toml");
    assert!(success(&["new", &path]).contains("--model"));
    assert!(success(&["summary", &path]).contains("(None, 100, 32)"));
    let output = rnn_gpu(&["new", &path]).output().expect("it starts");
    assert!(text(&output.stderr).contains("is there already"));
    let path = sandbox.path("fit.toml");
    success(&["new", &path]);
    assert!(FitOptions::read(Path::new(&path)).is_ok());
}

#[test]
fn numbers_that_are_not_finite_end_a_run_with_their_cause_and_its_checkpoint_stays() {
    let sandbox = Sandbox::new();
    let (run, fit) = (sandbox.path("run"), sandbox.write("fit.toml", b"learning_rate = 1000.0\n"));
    let model = "input.shape = [4, 1]\ncompile = { loss = \"mse\", optimizer = \"SGD\" }\n\
                 layer = [{ type = \"Flatten\" }, { type = \"Dense\", units = 1 }]\n";
    let model = sandbox.write("line.toml", model.as_bytes());
    let x = floats(&[EXAMPLES, STEPS, 1], sequences());
    let y = floats(&[EXAMPLES], classes().iter().map(|&c| c as f32).collect());
    let d = data(&sandbox, "d.npz", &x, &y);
    let more = ["--fit", &fit, "--batch-size", "6", "--checkpoint-every", "1"];
    let message = failure(&train(&model, &d, &run, &more));
    // Each step moves the weights further beyond the last ones, until f32 ends.
    let number = |before: &str| -> usize {
        let (_, after) = message.split_once(before).unwrap_or_else(|| panic!("{message}"));
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{message}"))
    };
    let (step, kept) = (number("in step "), number("the state after step "));
    assert!(step > 2 && kept + 1 == step, "{message}");
    assert!(
        message.contains("with the output") && message.contains("lower the learning"),
        "{message}"
    );
    let checkpoint = Path::new(&run).join(format!("checkpoints/step-{kept:08}.safetensors"));
    assert!(checkpoint.exists(), "{}", checkpoint.display());
    let message = failure(&["train", "--resume", &run, "--device", "cpu"]);
    assert!(message.contains(&format!("in step {step}, ")), "{message}");
}

#[test]
fn rows_that_are_not_finite_are_counted_and_come_out_so() {
    let sandbox = Sandbox::new();
    let (model, run) = (classifier(&sandbox), sandbox.path("run"));
    let x = floats(&[EXAMPLES, STEPS, 1], sequences());
    let sound = data(&sandbox, "d.npz", &x, &whole(&[EXAMPLES], classes()));
    success(&train(&model, &sound, &run, &["--epochs", "1"]));
    let mut values = sequences();
    for (row, value) in [(17, f32::NAN), (18, f32::NAN), (59, f32::NAN), (3, f32::INFINITY)] {
        values[row * STEPS + 1] = value;
    }
    let x = floats(&[EXAMPLES, STEPS, 1], values);
    let (input, output) = (sandbox.write("x.npy", &x), sandbox.path("y.npy"));
    let predict = ["predict", &run, "--input", &input, "--output", &output, "--device", "cpu"];
    let predicted = rnn_gpu(&predict).output().expect("it starts");
    let said = text(&predicted.stderr);
    assert!(predicted.status.success(), "{said}");
    assert!(said.contains("4 of 60 rows have inputs that are not finite (first: row 3)"), "{said}");
    // An infinity saturates the gates.
    let outputs = "3 of 60 rows have outputs that are not finite (first: row 17)";
    assert!(said.contains(outputs), "{said}");
    let y = npy::read(Path::new(&output)).expect("an array").to_f32().expect("floats");
    let rows = y.as_f32().expect("floats").chunks_exact(3).enumerate();
    let broken = rows.filter(|(_, y)| y.iter().any(|y| !y.is_finite())).map(|(row, _)| row);
    assert_eq!(broken.collect::<Vec<_>>(), [17, 18, 59]);
    let broken = data(&sandbox, "nan.npz", &x, &whole(&[EXAMPLES], classes()));
    let evaluate = ["evaluate", &run, "--data", &broken, "--device", "cpu"];
    let evaluated = rnn_gpu(&evaluate).output().expect("it starts");
    let said = text(&evaluated.stderr);
    assert!(evaluated.status.success() && said.contains(outputs), "{said}");
    assert!(text(&evaluated.stdout).contains("NaN"), "{evaluated:?}");
    let finite = rnn_gpu(&["evaluate", &run, "--data", &sound, "--device", "cpu"]).output();
    assert!(!text(&finite.expect("it starts").stderr).contains("warning"));
}
