//! Models within TimeDistributed, and tokens of several axes.

use rnn_nn::{Architecture, Embedding, InputSpec, Lstm, Model, Reader, TimeDistributed};
use serde_json::{Value, json};

fn layer(class: &str, config: Value) -> Value {
    json!({"class_name": class, "config": config})
}

/// A model that applies another to each of 3 steps.
fn around(inner: &Value) -> Value {
    let input = layer("InputLayer", json!({"name": "x", "batch_shape": [null, 3, 4, 2]}));
    let every = layer("TimeDistributed", json!({"name": "every", "layer": inner}));
    layer("Sequential", json!({"layers": [input, every]}))
}

fn stack(layers: Value, trainable: bool) -> Value {
    layer("Sequential", json!({"name": "inner", "trainable": trainable, "layers": layers}))
}

fn layers() -> Value {
    let input = layer("InputLayer", json!({"name": "y", "batch_shape": [null, 4, 2]}));
    let conv = layer("Conv1D", json!({"name": "conv", "filters": 5, "kernel_size": 2}));
    let normal = layer("BatchNormalization", json!({"name": "normal"}));
    json!([input, conv, normal, layer("LSTM", json!({"name": "scan", "units": 6}))])
}

#[test]
fn a_model_in_the_place_of_a_layer_has_the_shapes_and_weights_of_its_layers() {
    let architecture = Architecture::from_json(&around(&stack(layers(), true)), None).unwrap();
    let model = architecture.model(1).unwrap();
    assert_eq!(model.output_shapes(1), [[1, 3, 6]]);
    let ranges: Vec<_> =
        model.weight_ranges().iter().map(|r| (&*r.name, &*r.owner, r.trained)).collect();
    let expected = [
        ("every/conv/kernel", "layer/layers/conv1d", true),
        ("every/conv/bias", "layer/layers/conv1d", true),
        ("every/normal/gamma", "layer/layers/batch_normalization", true),
        ("every/normal/beta", "layer/layers/batch_normalization", true),
        ("every/normal/moving_mean", "layer/layers/batch_normalization", false),
        ("every/normal/moving_variance", "layer/layers/batch_normalization", false),
        ("every/scan/kernel", "layer/layers/lstm/cell", true),
        ("every/scan/recurrent_kernel", "layer/layers/lstm/cell", true),
        ("every/scan/bias", "layer/layers/lstm/cell", true),
    ];
    assert_eq!(ranges, expected);
    let written = architecture.to_json(Reader::Keras).unwrap();
    let inner = &written["config"]["layers"][1]["config"]["layer"];
    assert_eq!(
        (&inner["class_name"], &inner["config"]["name"]),
        (&json!("Sequential"), &json!("inner"))
    );
    let again = Architecture::from_json(&written, None).unwrap();
    assert_eq!(again.to_json(Reader::Keras).unwrap(), written);
}

#[test]
fn a_frozen_model_trains_no_weight() {
    let frozen = Architecture::from_json(&around(&stack(layers(), false)), None).unwrap();
    assert!(frozen.model(1).unwrap().weight_ranges().iter().all(|range| !range.trained));
}

#[test]
fn models_that_are_no_layer_are_refused() {
    let history = |name: &str| json!([name, 0, 0]);
    let input = |name: &str| {
        let config = json!({"name": name, "batch_shape": [null, 4, 2]});
        json!({"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []})
    };
    let node = |name: &str, calls: Value| {
        json!({"class_name": "Dense", "name": name, "config": {"name": name, "units": 2},
            "inbound_nodes": calls})
    };
    let functional = |layers: Value, inputs: Value, outputs: Value| {
        let ends = json!({"layers": layers, "input_layers": inputs, "output_layers": outputs});
        around(&layer("Functional", ends))
    };
    let dense = node("d", json!([[["a", 0, 0, {}]]]));
    let two = functional(
        json!([input("a"), input("b"), dense]),
        json!([history("a"), history("b")]),
        json!([history("d")]),
    );
    let outputs = functional(
        json!([input("a"), dense]),
        json!([history("a")]),
        json!([history("d"), history("a")]),
    );
    let mut same = layers();
    same[3]["config"]["name"] = json!("conv");
    for (described, says) in [
        (two, "2 inputs and 1 outputs"),
        (outputs, "1 inputs and 2 outputs"),
        (around(&stack(same, true)), "two layers within it are called conv"),
    ] {
        let error = Architecture::from_json(&described, None).unwrap_err().to_string();
        assert!(error.contains("every") && error.contains(says), "{error}");
    }
}

#[test]
fn tokens_of_any_rank_are_looked_up() {
    for shape in [&[][..], &[5], &[5, 3], &[2, 5, 3]] {
        let model = Model::sequential(InputSpec::tokens(shape), 1);
        let model = model.add(Embedding::new(7, 4)).unwrap();
        assert_eq!(model.output_shapes(1), [[&[1], shape, &[4]].concat()]);
    }
    let characters = Model::sequential(InputSpec::tokens([5, 3]), 1);
    let words = characters.add(Embedding::new(7, 4).mask_zero()).unwrap();
    let words = words.add(TimeDistributed(Lstm::new(2))).unwrap();
    assert_eq!(words.output_shapes(1), [[1, 5, 2]]);
}
