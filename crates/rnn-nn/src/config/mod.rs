//! Models, layers and optimizers in Keras's terms: the JSON of a model file, read and written.
//!
//! Each layer says its arguments once, in [`Layer::arguments`](crate::Layer::arguments), which
//! serves both directions. Keras 2's spelling and Keras 3's are read, Keras 3's is written.

mod compile;
mod cudnn;
mod foreign;
mod functional;
mod keywords;
mod layer;
mod limits;
mod masks;
mod metrics;
mod nested;
mod operation;
mod read;
mod registry;
mod schedule;
mod tokens;
mod write;

pub use compile::Compile;
pub use metrics::metrics_not_computed;

use crate::ConfigError;
use crate::architecture::Architecture;
use crate::layer::{Dialect, Reader};
use crate::naming::unique_name;
use masks::named_like_operations;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Reads the model within a layer, of Keras's class `class`, from the `config` of its description.
/// Models within it stay layers of their own.
pub(crate) fn inner_from_json(
    class: &str,
    config: &Value,
    dialect: Dialect,
) -> Result<Architecture, ConfigError> {
    let value = json!({"class_name": class, "config": config});
    let mut architecture = read::described(&value, dialect, read::Models::Layers)?;
    tokens::find(&mut architecture)?;
    Ok(architecture)
}

/// The inverse of [`inner_from_json`].
pub(crate) fn inner_to_json(
    class: &str,
    name: &str,
    of: &Architecture,
    reader: Reader,
) -> Result<Map<String, Value>, ConfigError> {
    write::inner(class, name, of, reader)
}

impl Architecture {
    /// Reads a model from Keras's JSON, `{"class_name": "Sequential" or "Functional", "config":
    /// ..}`. The version of Keras is that of its `keras_version`, else `version`, such as "2.2.4",
    /// else Keras 3.
    ///
    /// # Errors
    /// Fails if the description has another form, or if a layer, an argument or a connection is not
    /// supported; [`ConfigError`] has a variant for each.
    pub fn from_json(value: &Value, version: Option<&str>) -> Result<Self, ConfigError> {
        let version = value.get("keras_version").and_then(Value::as_str).or(version);
        read::architecture(value, version.map_or(Dialect::default(), Dialect::of_version))
    }

    /// Returns the model as Keras 3's JSON, for `reader`, the program that will read it. For Keras,
    /// a layer is renamed if its name would clash with one that Keras makes while it reads.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Foreign`] if a layer does not implement
    /// [`Layer::arguments`](crate::Layer::arguments), or `reader` is Keras and has no counterpart
    /// of an argument.
    ///
    /// # Panics
    /// May panic if an output is not a tensor of the model.
    pub fn to_json(&self, reader: Reader) -> Result<Value, ConfigError> {
        let mut written = Cow::Borrowed(self);
        if reader == Reader::Keras {
            for layer in named_like_operations(self) {
                let name = unique_name("MaskedConcatenate", |name| {
                    written.layers.iter().any(|layer| layer.name == name)
                });
                written.to_mut().layers[layer].name = name;
            }
        }
        write::architecture(&written, reader)
    }
}
