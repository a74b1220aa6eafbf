//! Models, layers and optimizers in Keras's terms: the JSON of a model file, read and written.
//!
//! Each layer says its arguments once, in [`Layer::arguments`](crate::Layer::arguments), which
//! serves both directions. Keras 2's spelling and Keras 3's are read, Keras 3's is written.

mod compile;
mod layer;
mod masks;
mod metrics;
mod nested;
mod read;
mod registry;
mod write;

pub use compile::Compile;
pub use metrics::metrics_not_computed;

use crate::ConfigError;
use crate::architecture::Architecture;
use crate::layer::{Dialect, Reader};
use crate::naming::unique_name;
use masks::named_like_operations;
use serde_json::Value;
use std::borrow::Cow;

impl Architecture {
    /// Reads `{"class_name": "Sequential" or "Functional", "config": ..}`. `version` is that of the
    /// Keras that wrote it, such as "2.2.4", where the description does not say so itself; without
    /// both, Keras 3 is assumed.
    ///
    /// # Errors
    /// Fails if the description has another form, or a layer, an argument or a connection is not
    /// supported.
    pub fn from_json(value: &Value, version: Option<&str>) -> Result<Self, ConfigError> {
        let version = value.get("keras_version").and_then(Value::as_str).or(version);
        read::architecture(value, version.map_or(Dialect::default(), Dialect::of_version))
    }

    /// Returns Keras 3's description of the model as JSON, for the program that will read it.
    ///
    /// # Errors
    /// Fails if a layer has no name in Keras, or does what Keras cannot and the file is for Keras.
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
