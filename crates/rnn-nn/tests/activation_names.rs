//! Activations, and layers that are activations alone, in the terms of Keras: what is written is read
//! as the same.

use rnn_nn::{
    Architecture, Dense, Elu, InputSpec, Layer, LeakyRelu, Lstm, Model, OutputActivation, PRelu,
    Reader, Relu, Softmax,
};
use rnn_ops::Activation;
use serde_json::{Value, json};

fn stack(input: InputSpec, layers: Vec<Box<dyn Layer>>) -> Model {
    let all = layers.into_iter().try_fold(Model::sequential(input, 3), Model::add);
    all.expect("the layers fit")
}

/// Written, read and written again.
fn round_trip(model: &Model) -> Value {
    let written = model.architecture().to_json(Reader::Ours).expect("it can be written");
    let read = Architecture::from_json(&written, None).expect("it can be read");
    assert_eq!(read.to_json(Reader::Ours).expect("it can be written again"), written);
    assert_eq!(format!("{read:?}"), format!("{:?}", model.architecture()));
    written
}

fn argument(model: &Value, layer: usize, name: &str) -> Value {
    model["config"]["layers"][layer]["config"][name].clone()
}

/// A Dense layer with this activation, as Keras 2 writes it.
fn dense(activation: Value) -> Value {
    let config = json!({"name": "first", "batch_input_shape": [null, 3], "units": 2,
        "activation": activation});
    let layers = [json!({"class_name": "Dense", "config": config})];
    json!({"class_name": "Sequential", "keras_version": "2.2.4", "config": layers})
}

#[test]
fn activations_come_back_from_both_readers() {
    let all = Activation::ALL.into_iter().filter(|&activation| activation != Activation::GeluTanh);
    let mut layers: Vec<Box<dyn Layer>> =
        all.map(|all| -> Box<dyn Layer> { Box::new(OutputActivation::from(all)) }).collect();
    layers.extend([
        Box::new(Relu::new().max_value(2.0).negative_slope(0.1).threshold(0.5)) as Box<dyn Layer>,
        Box::new(LeakyRelu::new().negative_slope(0.2)),
        Box::new(Elu::new().alpha(2.0)),
        Box::new(PRelu::new().shared_axes([1])),
        Box::new(Softmax::axis(0)),
        Box::new(Dense::new(4, Softmax::axis(-2))),
        Box::new(OutputActivation::LogSoftmax),
        Box::new(OutputActivation::Glu),
        Box::new(Lstm::new(3).activation(Activation::Gelu).recurrent_activation(Activation::Silu)),
    ]);
    let model = stack(InputSpec::floats([5, 4]), layers);
    let ours = round_trip(&model);
    let written = model.architecture().to_json(Reader::Keras).expect("it can be written");
    let read = Architecture::from_json(&written, None).expect("it can be read");
    assert_eq!(read.to_json(Reader::Ours).expect("it can be written"), ours);
    // The approximation of gelu is an argument in Keras, which a description has no place for.
    let approximate = OutputActivation::from(Activation::GeluTanh);
    let model = stack(InputSpec::floats([4]), vec![Box::new(approximate)]);
    let written = round_trip(&model);
    assert_eq!(argument(&written, 1, "activation"), json!("gelu_tanh"));
    model.architecture().to_json(Reader::Keras).expect_err("Keras has no name for it");
}

#[test]
fn layers_that_are_given_as_activations_are_functions_or_refused() {
    let read = |activation: Value| {
        let model = dense(activation);
        let read = Architecture::from_json(&model, None)?;
        read.to_json(Reader::Ours).map(|written| argument(&written, 1, "activation"))
    };
    let layer = |class: &str, config: Value| json!({"class_name": class, "config": config});
    for (given, want) in [
        (json!("swish"), "silu"),
        (json!("hard_swish"), "hard_silu"),
        (json!({"class_name": "function", "config": "gelu"}), "gelu"),
        (layer("ReLU", json!({"max_value": 6.0, "threshold": 0.0})), "relu6"),
        (layer("ReLU", json!({"max_value": null})), "relu"),
        (layer("LeakyReLU", json!({"alpha": 0.2})), "leaky_relu"),
        (layer("ELU", json!({"alpha": 1.0})), "elu"),
        (layer("Softmax", json!({"axis": -1})), "softmax"),
    ] {
        assert_eq!(read(given.clone()).expect("it is known"), json!(want), "{given}");
    }
    for odd in [
        layer("ReLU", json!({"max_value": 1.0})),
        layer("LeakyReLU", json!({"alpha": 0.3})),
        layer("ELU", json!({"alpha": 2.0})),
        layer("PReLU", json!({})),
    ] {
        let error = read(odd.clone()).expect_err("it is no function").to_string();
        assert!(error.contains("activation"), "{odd}: {error}");
    }
}
