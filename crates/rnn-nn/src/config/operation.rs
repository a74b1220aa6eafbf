//! Operations of `keras.ops` in descriptions. Keras writes what one is called on, tensors as well as
//! numbers, with its call; the layer here has it as the argument `operands`.

use super::functional::{History, tensor};
use crate::ConfigError;
use crate::Layer;
use crate::architecture::LayerNode;
use crate::layer::{Arguments, Dialect, Reader, class_and_arguments, object};
use crate::layers::{LAYERS, OPERANDS, OPERATIONS, is_tensor};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Arguments that Keras gives to the call by name.
const CALL_ARGUMENTS: [&str; 1] = ["constant_values"];

fn class_of(part: &Value) -> &str {
    part["class_name"].as_str().unwrap_or_default()
}

fn blank(class: &str) -> Option<Box<dyn Layer>> {
    OPERATIONS.iter().find(|(name, _)| *name == class).map(|(_, new)| new())
}

/// Returns true if a part of a model is an operation of keras.ops, not a layer. Where a file does
/// not say so, as `.h5` does not, an operation is given tensors one by one that a layer of its name
/// is given as a list.
pub(super) fn is_operation(part: &Value) -> bool {
    let class = class_of(part);
    let first = &part["inbound_nodes"][0]["args"][0];
    match part["module"].as_str() {
        Some(module) => module.starts_with("keras.src.ops") || module.starts_with("keras.ops"),
        None if class == "Reshape" => !part["config"]["newshape"].is_null(),
        None if class == "Softmax" || class == "Concatenate" => false,
        None if LAYERS.iter().any(|(name, _)| *name == class) => {
            blank(class).is_some() && !first.is_null() && !first.is_array()
        }
        None => blank(class).is_some(),
    }
}

/// The tensors that a call is given, in order, wherever they stand.
fn tensors(value: &Value, found: &mut Vec<History>) {
    match (tensor(value), value) {
        (Some(one), _) => found.push(one),
        (None, Value::Array(list)) => list.iter().for_each(|value| tensors(value, found)),
        (None, Value::Object(named)) => named.values().for_each(|value| tensors(value, found)),
        _ => {}
    }
}

/// Returns true for a part that puts tensors together, of which the file does not say whether it is a
/// layer. Behind an operation it may join masks.
pub(super) fn may_join_masks(part: &Value) -> bool {
    class_of(part) == "Concatenate" && part["module"].is_null()
}

/// The tensors that a call of an operation is given, in order, among its other arguments.
pub(super) fn inputs(call: &Value) -> Vec<History> {
    let mut found = Vec::new();
    tensors(&call["args"], &mut found);
    tensors(&call["kwargs"], &mut found);
    found
}

/// The argument with tensors that say nothing but that they are some.
fn operand(value: &Value) -> Value {
    match (is_tensor(value), value) {
        (true, _) => json!({"class_name": "__keras_tensor__"}),
        (_, Value::Array(list)) => list.iter().map(operand).collect(),
        _ => value.clone(),
    }
}

/// True for a tensor, and for a list of tensors.
fn only_tensors(value: &Value) -> bool {
    let list = value.as_array().is_some_and(|list| list.iter().all(is_tensor));
    is_tensor(value) || list
}

/// Reads the operation `value` with what its call gives to it.
pub(super) fn read(
    name: String,
    value: &Value,
    dialect: Dialect,
) -> Result<LayerNode, ConfigError> {
    let (class, config) = class_and_arguments(value)?;
    let owner = format!("operation {name} ({class})");
    let unknown = || {
        let classes: Vec<&str> = OPERATIONS.iter().map(|(class, _)| *class).collect();
        ConfigError::Class {
            owner: owner.clone(),
            class: class.to_owned(),
            supported: classes.join(", "),
        }
    };
    let mut layer = blank(class).ok_or_else(unknown)?;
    let nodes = value["inbound_nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let call = |node: &Value| (node["args"].clone(), node["kwargs"].clone());
    if nodes.iter().any(|node| {
        let [a, b] = [&nodes[0], node].map(|node| operand(&node["args"]));
        a != b || nodes[0]["kwargs"] != node["kwargs"]
    }) {
        return Err(ConfigError::Structure(format!("{owner} is called in several ways")));
    }
    let (arguments, keywords) = nodes.first().map(call).unwrap_or_default();
    let mut operands = arguments.as_array().cloned().unwrap_or_default();
    let mut given: Map<String, Value> = config.clone();
    for (name, value) in keywords.as_object().into_iter().flatten() {
        match only_tensors(value) {
            true => operands.push(value.clone()),
            false => drop(given.insert(name.clone(), value.clone())),
        }
    }
    let plain = operands.iter().all(only_tensors);
    given.insert(OPERANDS.into(), operands.iter().map(operand).collect());
    let mut arguments = Arguments::given(owner, &given, dialect);
    arguments.ignored(&["name"]);
    layer.arguments(&mut arguments)?;
    if plain {
        arguments.ignored(&[OPERANDS]);
    }
    arguments.finish()?;
    let path = vec![name.clone()];
    Ok(LayerNode { path, name, layer: Arc::from(layer), trainable: true, unread: vec![] })
}

/// Describes an operation; what it is called on is among its arguments.
pub(super) fn write(node: &LayerNode, module: &str, reader: Reader) -> Result<Value, ConfigError> {
    let class = node.layer.class();
    let mut arguments = Arguments::written(format!("operation {} ({class})", node.name), reader);
    dyn_clone::clone_box(&*node.layer).arguments(&mut arguments)?;
    let mut config = arguments.finish()?;
    config.insert("name".into(), json!(node.name));
    Ok(object(module, class, config.into()))
}

/// Takes what the operation is called on out of its description.
pub(super) fn take_call(described: &mut Value) -> (Option<Value>, Map<String, Value>) {
    let Some(config) = described["config"].as_object_mut() else { return (None, Map::new()) };
    let named = CALL_ARGUMENTS.iter().filter_map(|&name| Some((name.into(), config.remove(name)?)));
    let named = named.collect();
    (config.remove(OPERANDS), named)
}

/// The arguments of a call on these tensors.
pub(super) fn call_of(operands: Option<&Value>, tensors: Vec<Value>, merges: bool) -> Value {
    let Some(operands) = operands.and_then(Value::as_array) else {
        return if merges { json!([tensors]) } else { tensors.into() };
    };
    let mut tensors = tensors.into_iter();
    let argument = |operand: &Value| match is_tensor(operand) {
        true => tensors.next().unwrap_or_default(),
        false => operand.clone(),
    };
    operands.iter().map(argument).collect()
}

/// The operations that values of the model depend on: those that its outputs and the inputs of its
/// layers are computed by. All others compute masks.
pub(super) fn of_values<'a>(
    parts: &[(&'a str, Vec<History>)],
    operations: &[&'a str],
    outputs: &[History],
) -> Vec<&'a str> {
    let sources: HashMap<&str, &Vec<History>> =
        parts.iter().map(|(name, sources)| (*name, sources)).collect();
    let layers = parts.iter().filter(|(name, _)| !operations.contains(name));
    let mut open: Vec<&str> =
        layers.flat_map(|(_, sources)| sources).chain(outputs).map(|(name, ..)| &**name).collect();
    let mut found: Vec<&'a str> = Vec::new();
    while let Some(name) = open.pop() {
        let Some(&known) = operations.iter().find(|known| **known == name) else { continue };
        if !found.contains(&known) {
            found.push(known);
            open.extend(sources.get(name).into_iter().copied().flatten().map(|(name, ..)| &**name));
        }
    }
    found
}
