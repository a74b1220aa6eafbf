//! Masks that a description names, and those that layers of ours take.

use rnn_graph::{Graph, TensorType};
use rnn_nn::{Architecture, ForwardContext, Layer, Reader, Softmax, TimeDistributed};
use serde_json::{Value, json};

fn tensor(layer: &str, shape: Value) -> Value {
    let config = json!({"shape": shape, "dtype": "float32", "keras_history": [layer, 0, 0]});
    json!({"class_name": "__keras_tensor__", "config": config})
}

fn layer(class: &str, name: &str, config: Value, args: Value, mask: Option<&str>) -> Value {
    let mut config = config;
    config["name"] = json!(name);
    let operations =
        ["NotEqual", "Any", "LogicalOr", "LogicalAnd", "ExpandDims", "ZerosLike", "Plus"];
    let operation = operations.contains(&class);
    let module = if operation { "keras.src.ops.numpy" } else { "keras.layers" };
    let class = if class == "Plus" { "Add" } else { class };
    let kwargs = mask.map_or(json!({}), |mask| json!({"mask": tensor(mask, json!([null, 4]))}));
    json!({
        "module": module, "class_name": class, "name": name, "config": config,
        "inbound_nodes": [{"args": args, "kwargs": kwargs}],
    })
}

/// Masked tokens of two inputs, some operations, and an LSTM that is given `mask`.
fn model(operations: &[Value], merge: Value, mask: Option<&str>) -> Result<Architecture, String> {
    let tokens = |name: &str| {
        json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [],
            "config": {"batch_shape": [null, 4], "dtype": "int32", "name": name}})
    };
    let embedding = |name: &str, of: &str| {
        let config = json!({"input_dim": 5, "output_dim": 3, "mask_zero": true});
        layer("Embedding", name, config, json!([tensor(of, json!([null, 4]))]), None)
    };
    let not_equal = |name: &str, of: &str| {
        layer("NotEqual", name, json!({}), json!([tensor(of, json!([null, 4])), 0]), None)
    };
    let merged = merge["name"].as_str().expect("a name").to_owned();
    let features = json!([null, 4, 3]);
    let lstm = layer("LSTM", "lstm", json!({"units": 2}), json!([tensor(&merged, features)]), mask);
    let mut layers = vec![tokens("a"), tokens("b"), embedding("x", "a"), embedding("y", "b")];
    layers.extend([not_equal("p", "a"), not_equal("q", "b")]);
    layers.extend_from_slice(operations);
    layers.extend([merge, lstm]);
    let ends = json!([["a", 0, 0], ["b", 0, 0]]);
    let config = json!({"layers": layers, "input_layers": ends, "output_layers": ["lstm", 0, 0]});
    let model = json!({"class_name": "Functional", "config": config});
    Architecture::from_json(&model, None).map_err(|error| error.to_string())
}

fn both(class: &str, name: &str) -> Value {
    let features = || json!([null, 4, 3]);
    let args = match class {
        "Plus" => json!([tensor("x", features()), tensor("y", features())]),
        _ => json!([[tensor("x", features()), tensor("y", features())]]),
    };
    layer(class, name, json!({}), args, None)
}

fn of_masks(class: &str, a: &str, b: &str) -> Value {
    let steps = || json!([null, 4]);
    layer(class, "both", json!({}), json!([tensor(a, steps()), tensor(b, steps())]), None)
}

#[test]
fn masks_that_flow_by_themselves_may_be_named() {
    let or = of_masks("LogicalOr", "p", "q");
    assert!(model(&[or], both("Add", "sum"), Some("both")).is_ok());
    // The other way round it is the same.
    let or = of_masks("LogicalOr", "q", "p");
    assert!(model(&[or], both("Add", "sum"), Some("both")).is_ok());
    assert!(model(&[], both("Add", "sum"), None).is_ok());
}

/// Keras writes the operations of a concatenated mask with the axis of the layer, which may be
/// negative.
#[test]
fn masks_of_concatenated_sequences_may_be_named() {
    let wide = |name: &str, of: &str| {
        let args = json!([tensor(of, json!([null, 4]))]);
        layer("ExpandDims", name, json!({"axis": -1}), args, None)
    };
    let or_zeros = |name: &str, mask: &str, zeros: &str| {
        let args = [(mask, json!([null, 4, 1])), (zeros, json!([null, 4, 3]))];
        layer("LogicalOr", name, json!({}), json!(args.map(|(of, shape)| tensor(of, shape))), None)
    };
    let zeros = |name: &str, of: &str| {
        layer("ZerosLike", name, json!({}), json!([tensor(of, json!([null, 4, 3]))]), None)
    };
    let concatenated = |class: &str, name: &str, axis: i64, parts: [&str; 2]| {
        let args = json!([parts.map(|of| tensor(of, json!([null, 4, 3])))]);
        layer(class, name, json!({"axis": axis}), args, None)
    };
    for axis in [1, -2] {
        let mut joined = concatenated("Concatenate", "masks", axis, ["pw", "qw"]);
        joined["module"] = json!("keras.src.ops.numpy");
        let any = json!([tensor("masks", json!([null, 8, 3]))]);
        let operations = [
            wide("pe", "p"),
            wide("qe", "q"),
            zeros("pz", "x"),
            zeros("qz", "y"),
            or_zeros("pw", "pe", "pz"),
            or_zeros("qw", "qe", "qz"),
            joined,
            layer("Any", "any", json!({"axis": -1, "keepdims": false}), any, None),
        ];
        let merge = concatenated("Concatenate", "steps", axis, ["x", "y"]);
        let read = model(&operations, merge, Some("any"));
        assert!(read.is_ok(), "axis {axis}: {:?}", read.err());
    }
}

#[test]
fn other_masks_are_refused() {
    let expect = |found: Result<Architecture, String>, wanted: &str| {
        let message = found.expect_err("it is not supported");
        assert!(message.contains(wanted), "{message}");
    };
    let other = "layer lstm is given the mask p, which is another than that of its input";
    expect(model(&[], both("Add", "sum"), Some("p")), other);
    let and = of_masks("LogicalAnd", "p", "q");
    expect(model(&[and], both("Add", "sum"), Some("both")), "in a way of its own");
    // An operation passes on no mask, so that the layer behind it has none unless it is given one.
    assert!(model(&[], both("Plus", "sum"), None).is_ok());
    expect(model(&[], both("Plus", "sum"), Some("p")), other);
}

#[test]
fn keras_2_merges_masks_in_another_way() {
    let history = |name: &str| json!([name, 0, 0, {}]);
    let node = |class: &str, name: &str, config: Value, nodes: Value| json!({"class_name": class, "name": name, "config": config, "inbound_nodes": nodes});
    let read = |second: &str, class: &str| {
        let input = json!({"batch_input_shape": [null, 4], "dtype": "int32"});
        let embedding = json!({"input_dim": 5, "output_dim": 3, "mask_zero": true});
        let layers = json!([
            node("InputLayer", "a", input, json!([])),
            node("Embedding", "x", embedding.clone(), json!([[history("a")]])),
            node("Embedding", "y", embedding, json!([[history("a")]])),
            node("Dense", "z", json!({"units": 3}), json!([[history("x")]])),
            node(class, "merged", json!({}), json!([[history("z"), history(second)]])),
        ]);
        let ends = json!([["merged", 0, 0]]);
        let config =
            json!({"layers": layers, "input_layers": [["a", 0, 0]], "output_layers": ends});
        let model = json!({"class_name": "Model", "keras_version": "2.2.4", "config": config});
        Architecture::from_json(&model, None).map(|_| ()).map_err(|error| error.to_string())
    };
    // The masks of x and y are of the same tokens.
    assert_eq!(read("x", "Add"), Ok(()));
    assert_eq!(read("y", "Add"), Ok(()));
    let message = read("x", "Multiply").expect_err("a product masks in Keras 3 alone");
    assert!(message.contains("Keras 2 puts together in another way"), "{message}");
}

/// Keras gives names of its own to the operations of masks when it reads a model.
#[test]
fn no_layer_has_the_name_of_an_operation_that_keras_adds() {
    let mut merge = both("Concatenate", "concatenate");
    merge["config"]["axis"] = json!(-1);
    let read = model(&[], merge, None).expect("it can be read");
    let written = read.to_json(Reader::Keras).expect("it can be written").to_string();
    assert!(!written.contains("\"concatenate\""), "{written}");
    assert!(written.contains("\"masked_concatenate\""), "{written}");
    let written = read.to_json(Reader::Ours).expect("it can be written").to_string();
    assert!(written.contains("\"concatenate\""), "{written}");
}

#[test]
fn a_softmax_layer_takes_no_mask() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([4, 2, 3]));
    let mask = graph.input("mask", TensorType::u32([4, 2]));
    let mut cx = ForwardContext::new(&mut graph, None);
    let masked = rnn_nn::Value { tensor: x, mask: Some(mask) };
    let error = Softmax::new().forward(&mut cx, masked, &[]).expect_err("Keras refuses it too");
    let within = TimeDistributed(Softmax::new()).forward(&mut cx, masked, &[]);
    let within = within.expect_err("Keras takes the mask of examples for one of features");
    assert_eq!(within.to_string(), error.to_string());
    assert!(error.to_string().contains("Softmax") || error.op == "Softmax", "{error}");
}
