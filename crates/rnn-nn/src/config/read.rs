//! Sequential and functional models, as Keras 2 and Keras 3 write them.

use super::functional::functional;
use super::nested::Nested;
use super::{foreign, limits, tokens};
use crate::ConfigError;
use crate::architecture::{Architecture, Call, Input, LayerNode, TensorRef};
use crate::layer::{Dialect, INPUT_ARGUMENTS};
use crate::naming::unique_name;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;

pub(super) fn architecture(value: &Value, dialect: Dialect) -> Result<Architecture, ConfigError> {
    let mut architecture = model(value, dialect)?;
    tokens::find(&mut architecture)?;
    Ok(architecture)
}

/// What becomes of models within a model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Models {
    /// Their layers become layers of the model around them.
    Opened,
    /// They are layers.
    Layers,
}

/// A model, or one within another.
pub(super) fn model(value: &Value, dialect: Dialect) -> Result<Architecture, ConfigError> {
    described(value, dialect, Models::Opened)
}

pub(super) fn described(
    value: &Value,
    dialect: Dialect,
    models: Models,
) -> Result<Architecture, ConfigError> {
    let class = value.get("class_name").and_then(Value::as_str);
    let config = value.get("config").unwrap_or(&Value::Null);
    let architecture = match class {
        Some("Sequential") => sequential(value, config, (dialect, models)),
        Some("Functional" | "Model") => functional(config, (dialect, models)),
        Some(class) => Err(ConfigError::Class {
            owner: "the model".into(),
            class: class.into(),
            supported: "Sequential, Functional".into(),
        }),
        None => Err(ConfigError::structure("not a model's description: it has no class_name")),
    }?;
    limits::names(&architecture, "")?;
    Ok(architecture)
}

pub(super) fn field<'a>(
    value: &'a Value,
    name: &str,
    owner: &str,
) -> Result<&'a [Value], ConfigError> {
    let list = value.get(name).and_then(Value::as_array);
    let missing = || ConfigError::structure(format!("{owner} has no list {name}"));
    list.map(Vec::as_slice).ok_or_else(missing)
}

/// The shape that an InputLayer, or the first layer of a stack, describes.
fn batch_shape(config: &Value) -> Option<Vec<Option<usize>>> {
    let given = |name: &&str| config.get(name).and_then(Value::as_array);
    let name = INPUT_ARGUMENTS.iter().find(|name| given(name).is_some())?;
    let extents = extents(config.get(name)?)?;
    let batch: Option<Option<usize>> = (*name == "input_shape").then_some(None);
    Some(batch.into_iter().chain(extents).collect())
}

/// The extents of a shape, of which null leaves one open.
fn extents(shape: &Value) -> Option<Vec<Option<usize>>> {
    let extent = |n: &Value| match n {
        Value::Null => Some(None),
        n => n.as_u64().filter(|&n| 0 < n && n < 1 << 31).map(|n| Some(n as usize)),
    };
    shape.as_array()?.iter().map(extent).collect()
}

pub(super) fn input(name: &str, config: &Value) -> Result<Input, ConfigError> {
    let missing = || ConfigError::structure(format!("input {name} has no batch_shape"));
    let batch_shape = batch_shape(config).filter(|shape| !shape.is_empty()).ok_or_else(missing)?;
    Ok(Input { name: name.to_owned(), batch_shape, tokens: false })
}

pub(super) fn name_of(layer: &Value) -> &str {
    let config = layer.get("config").and_then(|config| config.get("name"));
    layer.get("name").or(config).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn is_input(layer: &Value) -> bool {
    layer.get("class_name").and_then(Value::as_str) == Some("InputLayer")
}

fn sequential(
    model: &Value,
    config: &Value,
    (dialect, models): (Dialect, Models),
) -> Result<Architecture, ConfigError> {
    // Keras before 2.2.3 has no object around the list of layers.
    let layers = match config.as_array() {
        Some(list) => list,
        None => field(config, "layers", "the model")?,
    };
    let (first, rest) =
        layers.split_first().ok_or_else(|| ConfigError::structure("the model has no layers"))?;
    let own = first.get("config").unwrap_or(&Value::Null);
    let (input, layers) = if is_input(first) {
        (input(name_of(first), own)?, rest)
    } else {
        let later =
            || model.get("build_config").and_then(|config| config.get("input_shape")?.into());
        let built = || config.get("build_input_shape").or_else(later).and_then(extents);
        let shape = batch_shape(own).or_else(built);
        // A model within a layer is fed what the layer around it is.
        let within = || (models == Models::Layers).then(|| vec![None; 2]);
        let shape = shape.filter(|shape| shape.len() > 1).or_else(within);
        let unknown = || {
            ConfigError::structure(
                "the model does not say what it is fed: give its first layer an input shape",
            )
        };
        let batch_shape = shape.ok_or_else(unknown)?;
        (Input { name: "input_layer".into(), batch_shape, tokens: false }, layers)
    };
    limits::calls(layers.len())?;
    let layers = foreign::with_operations(layers)?;
    let described = named(&layers);
    let mut layers = Vec::new();
    let mut last = TensorRef::Input(0);
    let mut calls = Vec::new();
    for (name, value) in described {
        if models == Models::Opened
            && let Some(nested) = Nested::read(&name, value, dialect, &mut layers)?
        {
            let outputs = nested.call(&[last], &mut calls)?;
            let several = || ConfigError::structure(format!("{name} has several outputs"));
            last = <[TensorRef; 1]>::try_from(outputs).map_err(|_| several())?[0];
            continue;
        }
        calls.push(Call { layer: layers.len(), inputs: vec![last] });
        layers.push(LayerNode::read(name, value, dialect)?);
        last = TensorRef::Output { call: calls.len() - 1, index: 0 };
    }
    Ok(Architecture { inputs: vec![input], layers, calls, outputs: vec![last] })
}

/// The layers of a list by name; those that have none get Keras's.
fn named<'a>(layers: &'a [Cow<'_, Value>]) -> Vec<(String, &'a Value)> {
    let mut taken: HashSet<String> = layers.iter().map(|layer| name_of(layer).into()).collect();
    let mut named: Vec<(String, &Value)> = Vec::new();
    for layer in layers {
        let class = layer.get("class_name").and_then(Value::as_str).unwrap_or("layer");
        let name = match name_of(layer) {
            "" => unique_name(class, |name| taken.contains(name)),
            name => name.to_owned(),
        };
        taken.insert(name.clone());
        named.push((name, layer));
    }
    named
}
