//! Models in Keras's terms: what is written is read as the same model, what Keras 2 wrote means
//! what it meant then, and what is not supported is named.

use rnn_nn::{
    Add, Architecture, AveragePooling2D, BatchNormalization, Bidirectional, Concatenate,
    ConfigError, Constraint, Conv1D, Conv2D, ConvLstm2D, Dense, Dropout, Embedding, Flatten,
    GlobalMaxPooling1D, Gru, Initializer, InputSpec, Layer, LayerNormalization, Lstm, Masking,
    MaxPooling1D, Merge, Model, ModelError, OutputActivation, Penalty, Permute, Reader, Reshape,
    SimpleRnn, Softmax, SpatialDropout1D, Subtract, TimeDistributed, UpSampling2D,
};
use rnn_ops::{Activation, Padding};
use serde_json::{Value, json};

fn stack(input: InputSpec, layers: Vec<Box<dyn Layer>>) -> Model {
    let start = Model::sequential(input, 3);
    let all = layers.into_iter().try_fold(start, Model::add);
    all.expect("the layers fit")
}

/// Written, read and written again: no argument is lost, and the weights are the same.
fn expect_round_trip(model: &Model) -> Value {
    let architecture = model.architecture();
    let written = architecture.to_json(Reader::Ours).expect("it can be written");
    let read = Architecture::from_json(&written, None).expect("it can be read");
    assert_eq!(read.to_json(Reader::Ours).expect("it can be written again"), written);
    assert_eq!(format!("{read:?}"), format!("{architecture:?}"));
    let again = read.model(3).expect("the layers fit");
    assert_eq!(again.summary(), model.summary());
    assert_eq!(again.parameters(), model.parameters());
    written
}

fn argument(model: &Value, layer: usize, name: &str) -> Value {
    model["config"]["layers"][layer]["config"][name].clone()
}

#[test]
fn stacks_with_arguments_of_all_kinds_come_back() {
    let l2 = Penalty { l1: 0.0, l2: 0.01 };
    let texts = stack(
        InputSpec::tokens([20]),
        vec![
            Box::new(Embedding::new(50, 8).mask_zero().embeddings_regularizer(l2.clone())),
            Box::new(SpatialDropout1D::new(0.1)),
            Box::new(
                Bidirectional::new(Lstm::new(4).return_sequences()).merge_mode(Merge::Average),
            ),
            Box::new(
                Gru::new(5)
                    .reset_before()
                    .go_backwards()
                    .dropout(0.2)
                    .recurrent_dropout(0.3)
                    .recurrent_activation(Activation::HardSigmoid)
                    .recurrent_initializer(Initializer::Uniform(-0.1, 0.1))
                    .kernel_constraint(Constraint::max_norm(3.0))
                    .return_sequences(),
            ),
            Box::new(LayerNormalization::new().epsilon(0.01).without_scale()),
            Box::new(TimeDistributed(Dense::new(6, Activation::Tanh).without_bias())),
            Box::new(Lstm::new(3).without_unit_forget_bias().stateful()),
            Box::new(Dropout::new(0.5)),
            Box::new(Dense::new(4, Softmax::new()).bias_initializer(Initializer::Constant(0.5))),
        ],
    );
    let written = expect_round_trip(&texts);
    assert_eq!(argument(&written, 1, "embeddings_regularizer")["config"]["l2"], json!(0.01));
    assert_eq!(argument(&written, 3, "backward_layer")["config"]["go_backwards"], json!(true));
    assert_eq!(argument(&written, 9, "activation"), json!("softmax"));
    assert_eq!(argument(&written, 9, "name"), json!("dense"));
    let pictures = stack(
        InputSpec::floats([5, 8, 9, 2]),
        vec![
            Box::new(
                ConvLstm2D::new(3, [2, 3])
                    .padding(Padding::Same)
                    .strides([1, 2])
                    .activity_regularizer(l2),
            ),
            Box::new(BatchNormalization::new().momentum(0.9).corrected_variance().zero_debiased()),
            Box::new(Conv2D::new(4, 3).dilation_rate(2).activation(Activation::Relu)),
            Box::new(UpSampling2D([2, 1])),
            Box::new(AveragePooling2D(2).strides(1).padding(Padding::Same)),
            Box::new(Reshape::new([8, -1])),
            Box::new(Masking::new(0.5)),
            Box::new(Conv1D::new(2, 2).padding(Padding::Causal)),
            Box::new(MaxPooling1D(3)),
            Box::new(OutputActivation::from(Activation::HardSigmoid2018)),
            Box::new(SimpleRnn::new(3).activation(Activation::Relu).return_sequences()),
            Box::new(Permute::new([2, 1])),
            Box::new(GlobalMaxPooling1D()),
            Box::new(Flatten),
        ],
    );
    let written = expect_round_trip(&pictures);
    assert_eq!(argument(&written, 5, "strides"), json!([1, 1]));
    assert_eq!(argument(&written, 12, "dims"), json!([2, 1]));
    assert_eq!(argument(&written, 2, "corrected_variance"), json!(true));
    assert_eq!(argument(&written, 2, "zero_debiased"), json!(true));
    // Keras 3 has no such activation and no such arguments.
    let written = pictures.architecture().to_json(Reader::Keras).expect("it can be written");
    assert_eq!(argument(&written, 2, "corrected_variance"), Value::Null);
    assert_eq!(argument(&written, 2, "zero_debiased"), Value::Null);
    assert_eq!(argument(&written, 10, "activation")["class_name"], json!("Sequential"));
    let read = Architecture::from_json(&written, None).expect("it can be read");
    let again = read.to_json(Reader::Ours).expect("it can be written");
    assert_eq!(argument(&again, 10, "activation"), json!("hard_sigmoid_2018"));
}

#[test]
fn branches_states_and_shared_layers_come_back() -> Result<(), ModelError> {
    let mut model = Model::new(3);
    let [a, b] = [3, 3].map(|width| model.input(InputSpec::floats([5, width])));
    let encoded = model.call(Lstm::new(4).return_state(), &[a])?;
    let decoded = model.apply(Lstm::new(4).return_sequences(), &[b, encoded[1], encoded[2]])?;
    let flat = model.apply(Flatten, &[decoded])?;
    let both = model.apply(Concatenate::new(), &[flat, encoded[0]])?;
    let one = model.apply(Dense::new(24, Activation::Relu), &[both])?;
    let other = model.call_again(one, &[one])?[0];
    let sum = model.apply(Add(), &[one, other])?;
    let difference = model.apply(Subtract(), &[sum, other])?;
    let model = model.with_outputs([difference, encoded[0]]).unwrap();
    let written = expect_round_trip(&model);
    let ends = json!([["subtract", 0, 0], ["lstm", 0, 0]]);
    assert_eq!(written["config"]["output_layers"], ends);
    let again = json!(["dense", 1, 0]);
    let add = &written["config"]["layers"][7]["inbound_nodes"][0]["args"][0][1];
    assert_eq!(add["config"]["keras_history"], again, "{add}");
    Ok(())
}

/// A stack as Keras 2.2 writes it, around one layer.
fn keras2(class: &str, config: Value) -> Value {
    let mut config = config;
    config["name"] = json!("first");
    config["batch_input_shape"] = json!([null, null, 3]);
    json!({
        "class_name": "Sequential",
        "keras_version": "2.2.4",
        "config": [{"class_name": class, "config": config}],
    })
}

fn error(model: &Value) -> String {
    let model = Architecture::from_json(model, None).and_then(|read| read.model(1));
    model.expect_err("it is not supported").to_string()
}

#[test]
fn what_keras_2_wrote_means_what_it_meant() {
    let read = |class, config| {
        let read = Architecture::from_json(&keras2(class, config), None).expect("it can be read");
        let read = read.with_shapes(&[&[7, 3]]).expect("the shape fits");
        read.to_json(Reader::Ours).expect("it can be written")
    };
    let variance =
        json!({"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": null});
    let lstm = json!({
        "units": 4, "recurrent_activation": "hard_sigmoid", "implementation": 1, "unroll": false,
        "kernel_initializer": {"class_name": "VarianceScaling", "config": variance},
        "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.02}},
    });
    let lstm = read("LSTM", lstm);
    assert_eq!(argument(&lstm, 1, "recurrent_activation"), json!("hard_sigmoid_2018"));
    assert_eq!(argument(&lstm, 1, "kernel_initializer")["class_name"], json!("GlorotUniform"));
    assert_eq!(argument(&lstm, 1, "kernel_regularizer")["config"]["l2"], json!(0.02));
    assert_eq!(argument(&lstm, 0, "batch_shape"), json!([null, 7, 3]));
    let gru = read("GRU", json!({"units": 4}));
    assert_eq!(argument(&gru, 1, "reset_after"), json!(false));
    let normalization = read("BatchNormalization", json!({"axis": -1, "fused": null}));
    assert_eq!(argument(&normalization, 1, "corrected_variance"), json!(true));
    assert_eq!(argument(&normalization, 1, "zero_debiased"), json!(true));
    // Versions by their keras/backend/tensorflow_backend.py; TensorFlow's own Keras has none.
    for (version, debiased) in [
        ("2.0.9", false),
        ("2.1.2", false),
        ("2.1.3", true),
        ("2.1.6", true),
        ("2.2.0", true),
        ("2.2.4", true),
        ("2.2.4-tf", false),
        ("2.2.5", true),
        ("2.3.0", false),
        ("2.15.0", false),
        ("3.15.1", false),
    ] {
        let mut model = keras2("BatchNormalization", json!({}));
        model["keras_version"] = json!(version);
        let read = Architecture::from_json(&model, None).expect("it can be read");
        let written = read.to_json(Reader::Ours).expect("it can be written");
        assert_eq!(argument(&written, 1, "zero_debiased"), json!(debiased), "{version}");
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let message = error(&keras2("SimpleTransformer", json!({"units": 4})));
    assert!(message.contains("first") && message.contains("SimpleTransformer"), "{message}");
    assert!(message.contains("Bidirectional") && message.contains("LSTM,"), "{message}");
    let message = error(&keras2("LSTM", json!({"units": 4, "activation": "glu"})));
    for part in ["layer first (LSTM)", "activation", "\"glu\"", "linear, relu, sigmoid, tanh"] {
        assert!(message.contains(part), "{message}");
    }
    let message = error(&keras2("LSTM", json!({"units": 4, "time_major": true})));
    assert!(message.contains("time_major = true") && message.contains("return_state"), "{message}");
    assert!(error(&keras2("LSTM", json!({}))).contains("units is missing"));
    let message = error(&keras2("Conv1D", json!({"filters": 2, "kernel_size": [2], "groups": 3})));
    assert!(message.contains("groups = 3"), "{message}");
    let message = error(&keras2("LSTM", json!({"units": 4, "dtype": "float64"})));
    assert!(message.contains("dtype = \"float64\""), "{message}");
    let half = json!({"class_name": "Orthogonal", "config": {"gain": 0.5}});
    let message = error(&keras2("LSTM", json!({"units": 4, "recurrent_initializer": half})));
    assert!(message.contains("gain"), "{message}");
    let message = error(&keras2("LSTM", json!({"units": 4})));
    assert!(message.contains("without a length"), "{message}");
    let inner = json!({"class_name": "RNN", "config": {}});
    let message = error(&keras2("Bidirectional", json!({"layer": inner})));
    assert!(message.contains("RNN") && message.contains("GRU, LSTM, SimpleRNN"), "{message}");
    let architecture = Architecture::from_json(&keras2("LSTM", json!({"units": 4})), None);
    let misfit = architecture.expect("it can be read").with_shapes(&[&[7, 4]]);
    let message = misfit.expect_err("the width is another").to_string();
    assert!(message.contains("[None, None, 3], got [7, 4]"), "{message}");
}

/// A backward layer of its own is told apart from the forward layer in weights and width.
#[test]
fn directions_may_differ_where_they_are_put_side_by_side() -> Result<(), ConfigError> {
    let both = |merge: &str| {
        let gru = |config| json!({"class_name": "GRU", "config": config});
        let backward = json!({"units": 2, "use_bias": false, "go_backwards": true});
        json!({
            "class_name": "Sequential",
            "config": {"layers": [{"class_name": "Bidirectional", "config": {
                "name": "both",
                "batch_input_shape": [null, 5, 3],
                "layer": gru(json!({"units": 4})),
                "backward_layer": gru(backward),
                "merge_mode": merge,
            }}]},
        })
    };
    let model = Architecture::from_json(&both("concat"), None)?.model(1)?;
    assert_eq!(model.output_shapes(1), [[1, 6]]);
    // Of 4 units with both biases, and of 2 without any.
    assert_eq!(model.count_params(), 3 * (4 * (3 + 4 + 2) + 2 * (3 + 2)));
    let refused = Architecture::from_json(&both("sum"), None)?.model(1);
    let refused = refused.expect_err("their widths differ");
    let message = format!("{:?}", refused);
    assert!(message.contains("[[4], [2]]"), "{message}");
    Ok(())
}

/// Keras counts the calls of a model within the model from 1 in `output_layers`, and before Keras 3
/// wherever it refers to them.
#[test]
fn calls_of_a_model_within_the_model_are_told_apart() {
    let input = |name: &str| {
        json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [],
            "config": {"batch_shape": [null, 2], "name": name}})
    };
    let dense = json!({"class_name": "Dense", "name": "d", "config": {"units": 2, "name": "d"},
        "inbound_nodes": [[["x", 0, 0, {}]]]});
    let inner = json!({"name": "two", "layers": [input("x"), dense],
        "input_layers": [["x", 0, 0]], "output_layers": [["d", 0, 0]]});
    let model = |of_sum: [usize; 2], outputs: [usize; 2]| {
        let two = json!({"class_name": "Functional", "name": "two", "config": inner,
            "inbound_nodes": [[["b", 0, 0, {}]], [["a", 0, 0, {}]]]});
        let sum = json!({"class_name": "Subtract", "name": "sum", "config": {"name": "sum"},
            "inbound_nodes": [[["two", of_sum[0], 0, {}], ["two", of_sum[1], 0, {}]]]});
        json!({"class_name": "Functional", "config": {"name": "m",
            "layers": [input("a"), input("b"), two, sum],
            "input_layers": [["a", 0, 0], ["b", 0, 0]],
            "output_layers": [["two", outputs[0], 0], ["two", outputs[1], 0], ["sum", 0, 0]]}})
    };
    // What each output is made of: the calls of the layers, of which the first is two(b).
    let written = |json: &Value, version: &str| {
        let read = Architecture::from_json(json, Some(version)).expect("it can be read");
        let outputs = &read.to_json(Reader::Ours).expect("it can be written")["config"];
        let calls: Vec<u64> =
            (0..2).filter_map(|i| outputs["output_layers"][i][1].as_u64()).collect();
        let sum = outputs["layers"].as_array().expect("layers").iter().find(|l| l["name"] == "sum");
        let of = &sum.expect("a sum")["inbound_nodes"][0]["args"][0];
        let of: Vec<u64> =
            (0..2).filter_map(|i| of[i]["config"]["keras_history"][1].as_u64()).collect();
        (calls, of)
    };
    assert_eq!(written(&model([0, 1], [2, 1]), "3.15.1"), (vec![1, 0], vec![0, 1]));
    assert_eq!(written(&model([1, 2], [2, 1]), "2.4.0"), (vec![1, 0], vec![0, 1]));
    assert_eq!(written(&model([0, 1], [1, 0]), "2.4.0"), (vec![1, 0], vec![0, 1]));
}

/// As Keras 3.15.1 prints the shapes of these models.
#[test]
fn summaries_leave_open_what_a_description_does() {
    let stack = |shape: Value, layers: Value| {
        let input = json!({"class_name": "InputLayer", "config": {"batch_shape": shape}});
        let layers = [vec![input], layers.as_array().expect("a list").clone()].concat();
        let model = json!({"class_name": "Sequential", "config": {"layers": layers}});
        let read = Architecture::from_json(&model, None).expect("it can be read");
        read.summary().expect("the layers fit")
    };
    let layers = json!([
        {"class_name": "Conv1D", "config": {"filters": 4, "kernel_size": 3, "strides": 2}},
        {"class_name": "Reshape", "config": {"target_shape": [-1, 2]}},
        {"class_name": "LSTM", "config": {"units": 8, "return_sequences": true}},
        {"class_name": "GRU", "config": {"units": 5}},
    ]);
    let text = stack(json!([null, null, 3]), layers.clone());
    for shape in ["(None, None, 4)", "(None, None, 2)", "(None, None, 8)", "(None, 5)"] {
        assert!(text.contains(&format!("│ {shape} ")), "{shape} is not in\n{text}");
    }
    let text = stack(json!([7, 21, 3]), layers);
    for shape in ["(7, 10, 4)", "(7, 20, 2)", "(7, 20, 8)", "(7, 5)"] {
        assert!(text.contains(&format!("│ {shape} ")), "{shape} is not in\n{text}");
    }
    let states = json!([{"class_name": "LSTM", "config": {"units": 8, "return_state": true}}]);
    let text = stack(json!([null, null, 3]), states);
    assert!(text.contains("│ [(None, 8), (None, 8), (None, 8)] "), "{text}");
    // Three open axes: smaller extents stand for them.
    let volume = json!([
        {"class_name": "Conv3D", "config": {"filters": 2, "kernel_size": 3}},
        {"class_name": "MaxPooling3D", "config": {"pool_size": 2}},
        {"class_name": "GlobalMaxPooling3D", "config": {}},
    ]);
    let text = stack(json!([null, null, null, null, 1]), volume);
    assert!(
        text.contains("│ (None, None, None, None, 2) ") && text.contains("│ (None, 2) "),
        "{text}"
    );
}
