//! What other layers than Keras 3's operations stand for: `TFOpLambda` and `SlicingOpLambda`, as
//! which Keras 2 wrote the functions of TensorFlow that a model calls between its layers, and the
//! `Lambda` of a function that has a name. They are described as Keras 3 describes an operation.

use super::read::name_of;
use crate::ConfigError;
use crate::layer::shown;
use crate::layers::OPERATIONS;
use crate::naming::snake_case;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Functions of TensorFlow by another name than that of the class in snake case.
const RENAMED: [(&str, &str); 40] = [
    ("sub", "Subtract"),
    ("mul", "Multiply"),
    ("truediv", "TrueDivide"),
    ("div", "TrueDivide"),
    ("floordiv", "FloorDivide"),
    ("pow", "Power"),
    ("neg", "Negative"),
    ("reduce_mean", "Mean"),
    ("reduce_sum", "Sum"),
    ("reduce_max", "Max"),
    ("reduce_min", "Min"),
    ("reduce_any", "Any"),
    ("reduce_all", "All"),
    ("reduce_std", "Std"),
    ("reduce_variance", "Var"),
    ("reduce_logsumexp", "Logsumexp"),
    ("concat", "Concatenate"),
    ("clip_by_value", "Clip"),
    ("swish", "Silu"),
    ("reverse", "Flip"),
    ("divide", "TrueDivide"),
    ("gt", "Greater"),
    ("lt", "Less"),
    ("ge", "GreaterEqual"),
    ("le", "LessEqual"),
    ("ne", "NotEqual"),
    ("eq", "Equal"),
    ("and", "LogicalAnd"),
    ("or", "LogicalOr"),
    ("invert", "LogicalNot"),
    ("getitem", "GetItem"),
    ("radd", "Add"),
    ("rmul", "Multiply"),
    ("abs", "Absolute"),
    ("where_v2", "Where"),
    ("tanh", "Tanh"),
    ("linalg.norm", "Norm"),
    ("norm", "Norm"),
    ("dot", "Dot"),
    ("batch_dot", "Matmul"),
];

/// Arguments of functions of TensorFlow, and their names in Keras 3.
const ARGUMENTS: [(&str, &str, &str); 9] = [
    ("Reshape", "shape", "newshape"),
    ("Transpose", "perm", "axes"),
    ("Clip", "clip_value_min", "x_min"),
    ("Clip", "clip_value_max", "x_max"),
    ("Split", "num_or_size_splits", "indices_or_sections"),
    ("Tile", "multiples", "repeats"),
    ("OneHot", "depth", "num_classes"),
    ("LeakyRelu", "alpha", "negative_slope"),
    ("Pad", "paddings", "pad_width"),
];

/// Arguments of a call that are operands, in their order.
const OPERANDS: [&str; 3] = ["x", "y", "b"];

/// The class of a function `tf.math.reduce_mean`.
fn class_of(function: &str) -> Option<&'static str> {
    let name = function.rsplit('.').next()?;
    let renamed = RENAMED.iter().find(|(known, _)| *known == name).map(|(_, class)| *class);
    renamed.or_else(|| {
        let named = OPERATIONS.iter().find(|(class, _)| snake_case(class) == name);
        named.map(|(class, _)| *class)
    })
}

/// A tensor `["dense", 0, 0, ..]`, or a constant.
fn operand(value: &Value) -> Value {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(constant), _, number, ..]) if constant == "_CONSTANT_VALUE" => {
            number.clone()
        }
        Some([Value::String(_), Value::Number(_), Value::Number(_), ..]) => {
            let history = [&value[0], &value[1], &value[2]];
            json!({"class_name": "__keras_tensor__", "config": {"keras_history": history}})
        }
        _ => value.clone(),
    }
}

/// `{"start": .., "stop": .., "step": ..}` and "Ellipsis" as Keras 3 writes them.
fn index(value: &Value) -> Value {
    match value {
        Value::Object(_) => json!({"class_name": "__slice__", "config": value}),
        Value::String(_) => json!({"class_name": "__ellipsis__", "config": {}}),
        _ => value.clone(),
    }
}

/// Returns the operation that a layer of another kind stands for; `None` for every other layer.
///
/// # Errors
/// Fails if its function, or how it is called, is not supported, and for a `Lambda` of Python code.
fn operation(name: &str, part: &Value) -> Result<Option<Value>, ConfigError> {
    match part["class_name"].as_str() {
        Some("TFOpLambda" | "SlicingOpLambda") => of_tensorflow(name, part).map(Some),
        Some("Lambda") => of_lambda(name, part).map(Some),
        _ => Ok(None),
    }
}

/// The layers of a list, with operations in the place of those that stand for some.
///
/// # Errors
/// Fails as [`operation`].
pub(super) fn with_operations(layers: &[Value]) -> Result<Vec<Cow<'_, Value>>, ConfigError> {
    let read = |layer| {
        let operation = operation(name_of(layer), layer)?;
        Ok(operation.map_or(Cow::Borrowed(layer), Cow::Owned))
    };
    layers.iter().map(read).collect()
}

fn of_tensorflow(name: &str, part: &Value) -> Result<Value, ConfigError> {
    let function = part["config"]["function"].as_str().unwrap_or_default();
    let refuse = |what: String| {
        ConfigError::Structure(format!(
            "layer {name} calls tf.{function}{what}, which is not supported: compute it with keras.ops \
             in Keras 3, or with layers, and save the model again"
        ))
    };
    let class = class_of(function).ok_or_else(|| refuse(String::new()))?;
    let mut config = Map::new();
    let mut calls = Vec::new();
    for node in part["inbound_nodes"].as_array().into_iter().flatten() {
        let several = node.as_array().is_some_and(|list| list.iter().all(Value::is_array));
        let one = std::slice::from_ref(node);
        let given = node.as_array().filter(|_| several).map_or(one, Vec::as_slice);
        let mut operands: Vec<Value> = given.iter().map(operand).collect();
        let keywords = given.first().and_then(|first| first[3].as_object()).cloned();
        let mut keywords = keywords.unwrap_or_default();
        keywords.remove("name");
        if several {
            operands = vec![operands.into()];
        }
        for operand_name in OPERANDS {
            operands.extend(keywords.remove(operand_name).as_ref().map(operand));
        }
        if let Some(slices) = keywords.remove("slice_spec") {
            let one = std::slice::from_ref(&slices);
            let all = slices.as_array().map_or(one, Vec::as_slice);
            operands.push(all.iter().map(index).collect());
        }
        config = Map::new();
        for (argument, value) in keywords {
            if let (Some(dtype), "dtype") = (value.as_str(), argument.as_str()) {
                let plain = dtype.trim_start_matches("<dtype: '").trim_end_matches("'>");
                config.insert(argument, json!(plain));
                continue;
            }
            let new = ARGUMENTS.iter().find(|(of, old, _)| *of == class && *old == argument);
            let named = new.map_or(argument.as_str(), |(.., new)| new).to_owned();
            config.insert(named, value);
        }
        calls.push(json!({"args": operands, "kwargs": {}}));
    }
    let transposed = ["transpose_a", "transpose_b", "adjoint_a", "adjoint_b"]
        .map(|argument| config.remove(argument) == Some(json!(true)));
    let (mut class, [a, b]) =
        (class, [transposed[0] || transposed[2], transposed[1] || transposed[3]]);
    if class == "Matmul" && (a || b) {
        class = "Einsum";
        let terms = [if a { "...ji" } else { "...ij" }, if b { "...kj" } else { "...jk" }];
        config = Map::new();
        config.insert("subscripts".into(), json!(format!("{},{}->...ik", terms[0], terms[1])));
    }
    if class == "Transpose" {
        config.remove("conjugate");
    }
    if class == "Split" && config.get("indices_or_sections").is_some_and(Value::is_array) {
        return Err(refuse(format!(" into {}", shown(&config["indices_or_sections"]))));
    }
    Ok(json!({
        "module": "keras.src.ops",
        "class_name": class,
        "config": config,
        "name": name,
        "inbound_nodes": calls,
    }))
}

/// The Lambda of a function by its name, such as `keras.ops.exp`.
fn of_lambda(name: &str, part: &Value) -> Result<Value, ConfigError> {
    let config = &part["config"];
    let function = match (&config["function"], config["function_type"].as_str()) {
        (Value::String(name), Some("function")) => Some(name.as_str()),
        (function, _) if function["class_name"] == "function" => function["config"].as_str(),
        _ => None,
    };
    let class = function.and_then(class_of).ok_or_else(|| {
        ConfigError::Structure(format!(
            "layer {name} is a Lambda, which holds Python code: compute the same between the layers of \
             a functional model, as x[:, -1] or keras.ops.mean(x, axis=1), or with layers such as \
             Rescaling, Reshape and Permute, and save the model again"
        ))
    })?;
    let calls: Vec<Value> = match part["inbound_nodes"].as_array() {
        Some(nodes) => nodes
            .iter()
            .map(|node| match node["args"].is_array() {
                true => json!({"args": node["args"], "kwargs": {}}),
                false => {
                    let given = node.as_array().map(|list| list.iter().map(operand).collect());
                    let given: Vec<Value> = given.unwrap_or_default();
                    json!({"args": given, "kwargs": {}})
                }
            })
            .collect(),
        None => vec![json!({"args": [{"class_name": "__keras_tensor__"}], "kwargs": {}})],
    };
    let arguments = config["arguments"].as_object().cloned().unwrap_or_default();
    Ok(json!({
        "module": "keras.src.ops",
        "class_name": class,
        "config": arguments,
        "name": name,
        "inbound_nodes": calls,
    }))
}
