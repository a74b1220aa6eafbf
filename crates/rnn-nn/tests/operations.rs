//! Operations between layers: what is refused, and why.

use rnn_nn::{Architecture, ConfigError};
use serde_json::{Value, json};

fn tensor() -> Value {
    json!({"class_name": "__keras_tensor__", "config": {
        "shape": [null, 5, 4], "dtype": "float32", "keras_history": ["x", 0, 0],
    }})
}

/// A model of one operation of an input `[5, 4]`.
fn read(class: &str, config: Value, arguments: &[Value]) -> Result<Vec<usize>, String> {
    let input = json!({
        "class_name": "InputLayer", "name": "x", "inbound_nodes": [],
        "config": {"batch_shape": [null, 5, 4], "name": "x"},
    });
    let arguments = [&[tensor()], arguments].concat();
    let operation = json!({
        "module": "keras.src.ops.numpy", "class_name": class, "config": config, "name": "y",
        "inbound_nodes": [{"args": arguments, "kwargs": {}}],
    });
    let model = json!({"class_name": "Functional", "config": {
        "layers": [input, operation],
        "input_layers": ["x", 0, 0],
        "output_layers": ["y", 0, 0],
    }});
    let model = Architecture::from_json(&model, None).and_then(|read| read.model(1));
    let chain = |error: ConfigError| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    };
    let model = model.map_err(chain)?;
    Ok(model.shape(model.outputs()[0]).unwrap().to_vec())
}

#[test]
fn the_batch_is_never_taken_apart() {
    let axis = |axis: Value| json!({"axis": axis, "keepdims": false});
    for class in ["Mean", "Sum", "Max", "Any", "Var"] {
        assert_eq!(read(class, axis(json!(1)), &[]), Ok(vec![4]));
        assert_eq!(read(class, axis(json!([-1, 1])), &[]), Ok(vec![]));
        for batch in [json!(0), json!(-3), Value::Null, json!([0, 1])] {
            let problem = read(class, axis(batch), &[]).unwrap_err();
            assert!(problem.contains("would combine the examples of a batch"), "{problem}");
        }
        assert!(read(class, axis(json!(3)), &[]).is_err());
    }
    assert_eq!(read("Reshape", json!({"newshape": [-1, 20]}), &[]), Ok(vec![20]));
    assert_eq!(read("Reshape", json!({"newshape": [-1, 2, -1]}), &[]), Ok(vec![2, 10]));
    for shape in [json!([20, -1]), json!([-1, 3]), json!([-1, 40])] {
        let problem = read("Reshape", json!({"newshape": shape}), &[]).unwrap_err();
        assert!(problem.contains("as many elements as its target"), "{problem}");
    }
    assert!(read("Transpose", json!({"axes": [1, 0, 2]}), &[]).is_err());
    assert!(read("Transpose", json!({"axes": null}), &[]).is_err());
    assert!(read("Squeeze", json!({"axis": 1}), &[]).is_err());
    assert!(read("Flip", json!({"axis": 0}), &[]).is_err());
    assert!(read("Flip", json!({"axis": null}), &[]).is_err());
    assert!(read("ExpandDims", json!({"axis": 0}), &[]).is_err());
    assert!(read("Einsum", json!({"subscripts": "btf->tf"}), &[]).is_err());
    assert!(read("Einsum", json!({"subscripts": "btt->bt"}), &[]).is_err());
    assert_eq!(read("Einsum", json!({"subscripts": "btf->bft"}), &[]), Ok(vec![4, 5]));
}

#[test]
fn slices_are_those_of_python() {
    let slice = |start: Value, stop: Value, step: Value| json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}});
    let null = Value::Null;
    let all = || slice(null.clone(), null.clone(), null.clone());
    let key = |key: Value| read("GetItem", json!({}), &[key]);
    assert_eq!(key(json!([all(), -1])), Ok(vec![4]));
    assert_eq!(key(json!([all(), slice(json!(-9), json!(9), json!(2))])), Ok(vec![3, 4]));
    assert_eq!(key(json!([all(), slice(null.clone(), null.clone(), json!(-2))])), Ok(vec![3, 4]));
    let rest = json!({"class_name": "__ellipsis__", "config": {}});
    assert_eq!(key(json!([rest, 0])), Ok(vec![5]));
    assert_eq!(key(json!([all(), null, rest, null])), Ok(vec![1, 5, 4, 1]));
    for odd in [
        json!([all(), 5]),
        json!([0]),
        json!([slice(json!(1), null.clone(), null.clone())]),
        json!([all(), slice(json!(3), json!(3), null.clone())]),
        json!([all(), 0, 0, 0]),
        json!([rest, all(), rest]),
    ] {
        let problem = key(odd).unwrap_err();
        assert!(problem.contains("GetItem takes"), "{problem}");
    }
    let problem = key(json!([all(), tensor()])).unwrap_err();
    assert!(problem.contains("not tensors or arrays as indices"), "{problem}");
}

#[test]
fn operands_have_to_fit() {
    let array = |value: Value| json!({"class_name": "__numpy__", "config": {"value": value, "dtype": "float32"}});
    assert_eq!(read("Add", json!({}), &[json!(2)]), Ok(vec![5, 4]));
    assert_eq!(read("Add", json!({}), &[array(json!([1.0, 2.0, 3.0, 4.0]))]), Ok(vec![5, 4]));
    assert_eq!(read("Add", json!({}), &[tensor()]), Ok(vec![5, 4]));
    assert!(read("Add", json!({}), &[array(json!([1.0, 2.0]))]).is_err());
    assert!(read("Add", json!({}), &[array(json!([[[1.0]], [[1.0]]]))]).is_err());
    assert!(read("Add", json!({}), &[json!("a text")]).is_err());
    assert!(read("Add", json!({}), &[]).is_err());
    assert!(read("Matmul", json!({}), &[tensor()]).is_err());
    let problem = read("Fft", json!({}), &[]).unwrap_err();
    assert!(problem.contains("operation y (Fft)") && problem.contains("GetItem"), "{problem}");
    let problem = read("Cast", json!({"dtype": "complex64"}), &[]).unwrap_err();
    assert!(problem.contains("dtype = \"complex64\" is not supported"), "{problem}");
}

#[test]
fn sizes_are_bounded_before_anything_is_allocated() {
    let huge = 2_000_000_000_u64;
    assert!(read("Tile", json!({"repeats": [1, huge, huge]}), &[]).is_err());
    assert!(read("Repeat", json!({"repeats": huge, "axis": 1}), &[]).is_err());
    assert!(read("Pad", json!({"pad_width": [[0, 0], [huge, 0], [huge, huge]]}), &[]).is_err());
    assert!(read("Split", json!({"indices_or_sections": huge, "axis": 1}), &[]).is_err());
    assert!(read("OneHot", json!({"num_classes": huge}), &[]).is_err());
}

#[test]
fn a_lambda_of_python_code_is_refused_with_what_to_write_instead() {
    let lambda = |function: Value| {
        let input = json!({"class_name": "InputLayer", "config": {"batch_shape": [null, 4]}});
        let config = json!({"name": "code", "function": function, "arguments": {}});
        let layers = [input, json!({"class_name": "Lambda", "config": config})];
        let model = json!({"class_name": "Sequential", "config": {"layers": layers}});
        Architecture::from_json(&model, None).map_err(|error| error.to_string())
    };
    let code = json!({"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "closure": null}});
    let problem = lambda(code).unwrap_err();
    assert!(
        problem.contains("layer code is a Lambda") && problem.contains("x[:, -1]"),
        "{problem}"
    );
    let named = lambda(json!({"class_name": "function", "config": "exp", "module": "builtins"}));
    let classes: Vec<&str> = named.unwrap().layers().map(|(_, class)| class).collect();
    assert_eq!(classes, ["Exp"]);
}
