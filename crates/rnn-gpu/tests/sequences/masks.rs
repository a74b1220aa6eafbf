//! The steps that count: those that a mask leaves, and those that have weights.

use crate::common::{Sandbox, assert_names, case, json_of, npy_bytes, success};
use crate::{EXAMPLES, STEPS, fails, floats, losses, succeeds, train};
use rnn_core::HostTensor;
use serde_json::{Value, json};

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

/// Trainings of both outputs for one epoch, with further arrays of weights.
struct Weighted {
    sandbox: Sandbox,
    model: String,
    fit: String,
    run: String,
}

impl Weighted {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let model = two_outputs(&sandbox);
        let fit = sandbox.write("fit.toml", b"validation = 0.0\nepochs = 1\nbatch_size = 8\n");
        let run = sandbox.path("run");
        Self { sandbox, model, fit, run }
    }

    fn command(&self, weights: &[(&'static str, Vec<u8>)]) -> Vec<String> {
        let data = self.sandbox.npz("d.npz", &[two_arrays(), weights.to_vec()].concat());
        train(&self.model, &data, &self.run, &["--fit", &self.fit, "--overwrite"])
    }

    fn loss(&self, weights: &[(&'static str, Vec<u8>)]) -> f64 {
        succeeds(&self.command(weights));
        losses(&self.run)[0]
    }

    fn refuses(&self, weights: &[(&'static str, Vec<u8>)], names: &[&str]) {
        assert_names(&fails(&self.command(weights)), names);
    }
}

fn zeros(shape: &[usize]) -> Vec<u8> {
    floats(shape, vec![0.0; shape.iter().product()])
}

#[test]
fn an_output_of_weight_zero_adds_nothing_to_the_loss() {
    let weighted = Weighted::new();
    let all = weighted.loss(&[]);
    let tags = weighted.loss(&[("w_train_values", zeros(&[EXAMPLES, STEPS]))]);
    let values = weighted.loss(&[("w_train_0", zeros(&[EXAMPLES]))]);
    assert!((tags + values - all).abs() < 1e-5, "{tags} and {values} are the terms of {all}");
}

#[test]
fn weights_of_zero_for_all_outputs_make_a_loss_of_zero() {
    assert_eq!(Weighted::new().loss(&[("w_train", zeros(&[EXAMPLES]))]), 0.0);
}

#[test]
fn one_output_takes_weights_of_steps_and_another_those_of_examples() {
    let (each, whole) = (zeros(&[EXAMPLES, STEPS]), zeros(&[EXAMPLES]));
    let loss = Weighted::new().loss(&[("w_train_tags", each), ("w_train_values", whole)]);
    assert_eq!(loss, 0.0);
}

#[test]
fn weights_of_steps_for_all_outputs_are_refused() {
    let weights = [("w_train", zeros(&[EXAMPLES, STEPS]))];
    Weighted::new().refuses(&weights, &["w_train is of shape [12, 5]", "w_train_tags"]);
}

#[test]
fn weights_for_all_outputs_and_for_one_are_refused() {
    let weights = [("w_train", zeros(&[EXAMPLES])), ("w_train_values", zeros(&[EXAMPLES, STEPS]))];
    Weighted::new().refuses(&weights, &["w_train, for all outputs, and w_train_values"]);
}

#[test]
fn weights_of_another_number_of_steps_are_refused() {
    let weights = [("w_train_tags", zeros(&[EXAMPLES, STEPS - 1]))];
    Weighted::new().refuses(&weights, &["or for each step, [12, 5]"]);
}

#[test]
fn the_table_of_classes_leaves_out_what_is_masked() {
    let weighted = Weighted::new();
    let printed = succeeds(&weighted.command(&[]));
    let unmasked = (0..EXAMPLES * STEPS).filter(|i| i * i / 3 % 4 != 0).count();
    let classes = &json_of(&weighted.run, "report.json")["classes"]["report"]["classes"];
    let support = |class: &Value| class["support"].as_u64().expect("a count");
    let counted: u64 = classes.as_array().expect("classes").iter().map(support).sum();
    assert_eq!(counted, unmasked as u64, "{classes}");
    let total = printed.lines().find(|line| line.trim_start().starts_with("accuracy"));
    let support = total.and_then(|line| line.split_whitespace().last());
    assert_eq!(support, Some(unmasked.to_string().as_str()), "{printed}");
}

/// Keras's loss of masked steps is a mean of batches, and so depends on their size: `evaluate` takes
/// all 64 examples at once, as fit1.toml says too.
#[test]
fn an_evaluation_of_masked_steps_gives_what_keras_gives() {
    let [Some(tagger), Some(tags), Some(fit)] =
        ["tagger.keras", "tagger.npz", "fit1.toml"].map(case)
    else {
        return;
    };
    let sandbox = Sandbox::new();
    let halves = sandbox.write("halves.toml", b"batch_size = 32");
    for device in ["cpu", "gpu"] {
        if device == "gpu" && rnn_testing::adapters().is_empty() {
            continue;
        }
        let evaluate = ["evaluate", &tagger, "--data", &tags, "--device", device];
        for (more, loss) in [(None, "1.1583"), (Some(&fit), "1.1583"), (Some(&halves), "1.1578")] {
            let fit = more.map_or(vec![], |fit| vec!["--fit", fit]);
            let printed = success(&[&evaluate[..], &fit].concat());
            assert_names(&printed, &[&format!("loss {loss}, accuracy 0.3214")]);
        }
    }
}
