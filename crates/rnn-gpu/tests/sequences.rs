//! Masks, weights and kept states of sequences, through the command: what counts, what goes on from
//! batch to batch, and what is said of what does not fit.

mod common;

use common::{Sandbox, case, failure, npy_bytes, success};
use rnn_core::HostTensor;
use rnn_formats::npy;
use serde_json::{Value, json};
use std::fs;

const EXAMPLES: usize = 12;
const STEPS: usize = 5;

fn floats(shape: &[usize], values: Vec<f32>) -> Vec<u8> {
    npy_bytes(HostTensor::from_f32(shape, values))
}

fn train(model: &str, data: &str, out: &str, more: &[&str]) -> Vec<String> {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

fn succeeds(args: &[String]) -> String {
    success(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn fails(args: &[String]) -> String {
    failure(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn read(run: &str, name: &str) -> String {
    fs::read_to_string(format!("{run}/{name}")).expect("a file of the run")
}

/// Losses of the epochs of a run.
fn losses(run: &str) -> Vec<f64> {
    let history: Value = serde_json::from_str(&read(run, "history.json")).expect("JSON");
    let epochs = history["epochs"].as_array().expect("epochs");
    epochs.iter().map(|epoch| epoch["train"]["loss"].as_f64().expect("a loss")).collect()
}

fn layer(class: &str, name: &str, inputs: &[&str], config: Value) -> Value {
    let mut config = config;
    config["name"] = json!(name);
    let nodes: Vec<Value> = inputs.iter().map(|input| json!([input, 0, 0, {}])).collect();
    let nodes = if nodes.is_empty() { json!([]) } else { json!([nodes]) };
    json!({"class_name": class, "name": name, "config": config, "inbound_nodes": nodes})
}

/// Tags of tokens, of which 0 is masked, and numbers of steps, of which those of zeros are.
fn two_outputs(sandbox: &Sandbox) -> String {
    let input = |shape: Value, dtype: &str| json!({"batch_shape": shape, "dtype": dtype});
    let layers = [
        layer("InputLayer", "a", &[], input(json!([null, STEPS]), "int32")),
        layer("InputLayer", "b", &[], input(json!([null, STEPS, 2]), "float32")),
        layer(
            "Embedding",
            "embedding",
            &["a"],
            json!({"input_dim": 4, "output_dim": 3, "mask_zero": true}),
        ),
        layer("Masking", "masking", &["b"], json!({"mask_value": 0.0})),
        layer("Dense", "tags", &["embedding"], json!({"units": 3, "activation": "softmax"})),
        layer("Dense", "values", &["masking"], json!({"units": 1})),
    ];
    let model = json!({
        "class_name": "Functional",
        "config": {
            "layers": layers,
            "input_layers": [["a", 0, 0], ["b", 0, 0]],
            "output_layers": [["tags", 0, 0], ["values", 0, 0]],
        },
        "compile_config": {
            "optimizer": "sgd",
            "loss": ["sparse_categorical_crossentropy", "mse"],
        },
    });
    sandbox.write("two.json", model.to_string().as_bytes())
}

fn two_arrays() -> Vec<(&'static str, Vec<u8>)> {
    let rows = EXAMPLES * STEPS;
    let tokens = (0..rows).map(|i| (i * i / 3 % 4) as u32).collect();
    let tags = (0..rows).map(|i| (i % 3) as u32).collect();
    let steps = (0..2 * rows).map(|i| if i / 2 % 3 == 0 { 0.0 } else { i as f32 / 50.0 });
    vec![
        ("x_train_a", npy_bytes(HostTensor::from_u32([EXAMPLES, STEPS], tokens))),
        ("x_train_b", floats(&[EXAMPLES, STEPS, 2], steps.collect())),
        ("y_train_tags", npy_bytes(HostTensor::from_u32([EXAMPLES, STEPS, 1], tags))),
        ("y_train_values", floats(&[EXAMPLES, STEPS, 1], vec![0.5; rows])),
    ]
}

#[test]
fn weights_of_steps_and_of_examples_are_given_for_all_outputs_or_for_each() {
    let sandbox = Sandbox::new();
    let (model, run) = (two_outputs(&sandbox), sandbox.path("run"));
    let zeros = |shape: &[usize]| floats(shape, vec![0.0; shape.iter().product()]);
    let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 1\nbatch_size = 8\n");
    let with = |weights: &[(&'static str, Vec<u8>)]| {
        let data = sandbox.npz("d.npz", &[two_arrays(), weights.to_vec()].concat());
        train(&model, &data, &run, &["--fit", &fit, "--overwrite"])
    };
    let loss = |weights: &[(&'static str, Vec<u8>)]| {
        succeeds(&with(weights));
        losses(&run)[0]
    };
    let (each, whole) = (zeros(&[EXAMPLES, STEPS]), zeros(&[EXAMPLES]));
    let (all, tags) = (loss(&[]), loss(&[("w_train_values", each.clone())]));
    let values = loss(&[("w_train_0", whole.clone())]);
    assert!((tags + values - all).abs() < 1e-5, "{tags} and {values} are the terms of {all}");
    assert_eq!(loss(&[("w_train", whole.clone())]), 0.0);
    assert_eq!(loss(&[("w_train_tags", each.clone()), ("w_train_values", whole.clone())]), 0.0);

    let message = fails(&with(&[("w_train", each.clone())]));
    assert!(message.contains("w_train is of shape [12, 5]"), "{message}");
    assert!(message.contains("w_train_tags"), "{message}");
    let message = fails(&with(&[("w_train", whole), ("w_train_values", each)]));
    assert!(message.contains("w_train, for all outputs, and w_train_values"), "{message}");
    let message = fails(&with(&[("w_train_tags", zeros(&[EXAMPLES, STEPS - 1]))]));
    assert!(message.contains("or for each step, [12, 5]"), "{message}");
}

/// What counts of sequences: the steps that the mask leaves, in the table of classes too.
#[test]
fn the_table_of_classes_leaves_out_what_is_masked() {
    let sandbox = Sandbox::new();
    let (model, run) = (two_outputs(&sandbox), sandbox.path("run"));
    let data = sandbox.npz("d.npz", &two_arrays());
    let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 1\n");
    let printed = succeeds(&train(&model, &data, &run, &["--fit", &fit]));
    let there = (0..EXAMPLES * STEPS).filter(|i| i * i / 3 % 4 != 0).count();
    let total = printed.lines().find(|line| line.trim_start().starts_with("accuracy"));
    let support = total.and_then(|line| line.split_whitespace().last());
    assert_eq!(support, Some(there.to_string().as_str()), "{printed}");
}

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

#[test]
fn a_stateful_model_takes_the_batches_of_its_file_in_their_order() {
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 3\n");
    let data = sandbox.npz("d.npz", &arrays(EXAMPLES));
    for class in ["LSTM", "GRU", "SimpleRNN"] {
        let model = stateful(&sandbox, "m.json", &[recurrent(class, true)]);
        let losses = |more: &[&str]| {
            let options = [&["--fit", &fit, "--overwrite"], more].concat();
            succeeds(&train(&model, &data, &run, &options));
            losses(&run)
        };
        let kept = losses(&[]);
        let config: Value = serde_json::from_str(&read(&run, "config.json")).expect("JSON");
        assert_eq!((&config["batch_size"], &config["shuffle"]), (&json!(4), &json!(false)));
        assert_eq!(losses(&["--no-shuffle", "--batch-size", "4"]), kept);
        let shuffled = losses(&["--shuffle"]);
        assert_ne!(shuffled, kept);
        let asked = sandbox.write("asked.toml", b"validation = 0.0\nepochs = 3\nshuffle = true\n");
        succeeds(&train(&model, &data, &run, &["--fit", &asked, "--overwrite"]));
        assert_eq!(self::losses(&run), shuffled);
    }
}

#[test]
fn rows_that_do_not_fill_a_batch_of_states_are_refused() {
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 1\n");
    let model = stateful(&sandbox, "m.json", &[recurrent("GRU", true)]);
    let data = |examples| sandbox.npz("d.npz", &arrays(examples));
    let message = fails(&train(&model, &data(10), &run, &["--fit", &fit]));
    assert!(message.contains("the 10 examples to train on in batches of 4 make one of 2"));
    assert!(message.contains("--batch-size 4"), "{message}");
    let message = fails(&train(&model, &data(12), &run, &["--fit", &fit, "--batch-size", "6"]));
    assert!(message.contains("of 4 rows") && message.contains("one of 6"), "{message}");
    // A batch that takes more than there is takes all.
    succeeds(&train(&model, &data(4), &run, &["--fit", &fit, "--batch-size", "64"]));
    let x = sandbox.write("x.npy", &floats(&[6, STEPS, 3], numbers(6 * STEPS * 3)));
    let y = sandbox.path("y.npy");
    let message = failure(&["predict", &run, "--input", &x, "--output", &y]);
    assert!(message.contains("the 6 examples given in batches of 4"), "{message}");

    let free = stateful(&sandbox, "free.json", &[recurrent("GRU", false)]);
    succeeds(&train(&free, &data(10), &run, &["--fit", &fit, "--overwrite", "--batch-size", "3"]));
    let config: Value = serde_json::from_str(&read(&run, "config.json")).expect("JSON");
    assert_eq!(config["shuffle"], json!(true));
    success(&["predict", &run, "--input", &x, "--output", &y]);
}

#[test]
fn the_fixed_batch_goes_back_into_the_file_and_states_go_on_while_it_predicts() {
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 1\n");
    let data = sandbox.npz("d.npz", &arrays(8));
    let model = stateful(&sandbox, "m.json", &[recurrent("LSTM", true)]);
    succeeds(&train(&model, &data, &run, &["--fit", &fit]));
    let keras = sandbox.path("m.keras");
    success(&["export", &run, "--to", &keras]);
    let file = fs::File::open(&keras).expect("it was just written");
    let mut archive = zip::ZipArchive::new(file).expect("an archive");
    let config = archive.by_name("config.json").expect("a description");
    let config: Value = serde_json::from_reader(config).expect("JSON");
    let shape = &config["config"]["layers"][0]["config"]["batch_shape"];
    assert_eq!(*shape, json!([4, STEPS, 3]));
    // The second batch is as the first, and begins where that ended.
    let rows = numbers(4 * STEPS * 3);
    let predict = |of: &str, name: &str, count: usize| {
        let x = sandbox.write("x.npy", &floats(&[4 * count, STEPS, 3], rows.repeat(count)));
        let y = sandbox.path(name);
        success(&["predict", of, "--input", &x, "--output", &y, "--device", "cpu"]);
        npy::read(y.as_ref()).expect("predictions").to_f32().expect("floats")
    };
    let twice = predict(&run, "twice.npy", 2);
    let (first, second) = twice.as_f32().expect("floats").split_at(4);
    assert_eq!(predict(&keras, "once.npy", 1).as_f32().expect("floats"), first);
    assert!(first.iter().zip(second).all(|(a, b)| (a - b).abs() > 1e-4), "{first:?} {second:?}");
    assert_eq!(predict(&keras, "again.npy", 2).as_f32(), twice.as_f32());
}

/// What Keras computes for the files of cases. Its loss of masked steps is a mean of batches, and so
/// depends on their size: `evaluate` takes all 64 examples at once, as fit1.toml says too.
#[test]
fn cases_give_what_keras_gives() {
    let names = ["tagger.keras", "tagger.npz", "stateful.keras", "stateful.npz", "fit1.toml"];
    let [Some(tagger), Some(tags), Some(model), Some(data), Some(fit)] = names.map(case) else {
        return;
    };
    let sandbox = Sandbox::new();
    for device in ["cpu", "gpu"] {
        if device == "gpu" && rnn_testing::adapters().is_empty() {
            continue;
        }
        let evaluate = ["evaluate", &tagger, "--data", &tags, "--device", device];
        let halves = sandbox.write("halves.toml", b"batch_size = 32");
        for (more, loss) in [(None, "1.1583"), (Some(&fit), "1.1583"), (Some(&halves), "1.1578")] {
            let fit = more.map_or(vec![], |fit| vec!["--fit", fit]);
            let printed = success(&[&evaluate[..], &fit].concat());
            assert!(printed.contains(&format!("loss {loss}, accuracy 0.3214")), "{printed}");
        }
    }
    let run = sandbox.path("run");
    succeeds(&train(&model, &data, &run, &["--fit", &fit]));
    for (found, expected) in losses(&run).into_iter().zip([1.07721, 1.05555, 1.01941]) {
        assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
    }
}
