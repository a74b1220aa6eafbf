//! `model.toml`: a readable list of layers, which is turned into Keras's configuration.

use super::{ModelFileError, Result};
use rnn_formats::budget;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// The text of an example of a `model.toml`, with comments. The command `rnn-gpu new` writes it.
pub const MODEL: &str = include_str!("model.toml");
/// The text of an example of a `fit.toml`, with comments. The command `rnn-gpu new fit.toml` writes
/// it.
pub const FIT: &str = include_str!("fit.toml");

/// Reads a `model.toml` and returns its model as Keras describes a `Sequential` model, with a
/// `compile_config`, which is null if the file has no section `[compile]`. Whether the types of
/// layers exist is not checked.
///
/// # Errors
/// Fails with [`ModelFileError::Read`] if the file cannot be read, with [`ModelFileError::Toml`] if
/// it is not valid TOML, and with [`ModelFileError::Description`] if it has no layer, a layer
/// without a type, no valid `[input]`, or an unknown section.
pub fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path)
        .map_err(|source| ModelFileError::Read { path: path.to_owned(), source })?;
    budget::Text::Toml.check(text.as_bytes(), text.len() as u64)?;
    parse(&text)
}

fn parse(text: &str) -> Result<Value> {
    let mut file: Map<String, Value> = toml::from_str(text).map_err(ModelFileError::Toml)?;
    let input = file.remove("input").unwrap_or_default();
    let layers = match file.remove("layer") {
        Some(Value::Array(layers)) if !layers.is_empty() => layers,
        _ => {
            return unsupported(
                "it has no layers: each is a table [[layer]] with a type, as type = \"LSTM\"",
            );
        }
    };
    let compile = file.remove("compile");
    if let Some(name) = file.keys().next() {
        return unsupported(format!(
            "there is no section {name}: supported are [input], [[layer]] and [compile]"
        ));
    }
    let mut all = vec![json!({"class_name": "InputLayer", "config": input_layer(&input)?})];
    for (index, layer) in layers.into_iter().enumerate() {
        if layer.get("type").is_none() {
            return unsupported(format!("layer {} has no type", index + 1));
        }
        all.push(object(layer));
    }
    Ok(json!({
        "class_name": "Sequential",
        "config": {"layers": all},
        "compile_config": compile.map(object),
    }))
}

/// `tokens = 500`, or `shape = [28, 28]`; an extent of `"any"` is open.
fn input_layer(input: &Value) -> Result<Value> {
    let extent = |value: &Value| match value {
        Value::String(any) if any == "any" => Ok(Value::Null),
        Value::Number(_) => Ok(value.clone()),
        value => unsupported(format!("[input]: an extent is a number or \"any\", not {value}")),
    };
    let (dtype, extents) = match (input.get("tokens"), input.get("shape")) {
        (Some(tokens), None) => ("int32", vec![extent(tokens)?]),
        (None, Some(Value::Array(shape))) => {
            ("float32", shape.iter().map(extent).collect::<Result<_>>()?)
        }
        _ => {
            return unsupported(
                "[input] takes tokens = 500 for rows of token ids, or shape = [28, 28] for floats",
            );
        }
    };
    let batch_shape: Vec<Value> = [Value::Null].into_iter().chain(extents).collect();
    Ok(json!({"batch_shape": batch_shape, "dtype": dtype, "name": "input_layer"}))
}

fn unsupported<T>(message: impl Into<String>) -> Result<T> {
    Err(ModelFileError::Description(message.into()))
}

/// Replaces each table in `value` that has a `type`, at any depth, by a Keras object
/// `{"class_name": .., "config": ..}`: the `type` becomes the class and the other entries its
/// configuration.
pub fn object(value: Value) -> Value {
    match value {
        Value::Object(table) => {
            let mut table: Map<String, Value> =
                table.into_iter().map(|(name, value)| (name, object(value))).collect();
            match table.remove("type") {
                Some(class) => json!({"class_name": class, "config": table}),
                None => table.into(),
            }
        }
        Value::Array(list) => list.into_iter().map(object).collect(),
        value => value,
    }
}
