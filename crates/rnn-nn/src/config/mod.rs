//! Models, layers and optimizers in Keras's terms: the JSON of a model file, read and written.
//!
//! Each layer says its arguments once, in [`Layer::arguments`](crate::Layer::arguments), which
//! serves both directions. What is read is Keras 2's spelling or Keras 3's, what is written
//! Keras 3's.

mod architecture;
mod arguments;
mod compile;
mod containers;

mod layer;
mod masks;
mod metrics;
mod nested;
mod read;
mod registry;
mod uses;
mod values;
mod weights;
mod write;

pub use architecture::{Architecture, Input};
pub use arguments::{Argument, Arguments, Numbers};
pub use compile::Compile;
pub(crate) use layer::check;
pub use metrics::metrics_not_computed;
pub use uses::LayerUse;

use crate::ModelError;
use serde_json::{Map, Value, json};

/// Whose defaults and meanings a description follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Keras 2.1.3 to 2.2.5, as below; moving averages are freed of their bias to zero.
    Keras2018,
    /// Any other Keras up to 2.15: `hard_sigmoid` is steeper, moving variances are corrected.
    Keras2,
    /// Keras 3.
    #[default]
    Keras3,
}

impl Dialect {
    /// That of a version such as `"2.2.4"` or `"3.15.1"`. TensorFlow's own Keras, `"2.2.4-tf"`,
    /// kept plain moving averages.
    pub fn of_version(version: &str) -> Self {
        let mut parts = version.split('.');
        let mut next = || parts.next().unwrap_or_default();
        match (next(), next(), next()) {
            ("2", "1", "3" | "4" | "5" | "6") | ("2", "2", "0" | "1" | "2" | "3" | "4" | "5") => {
                Self::Keras2018
            }
            ("0" | "1" | "2", ..) => Self::Keras2,
            _ => Self::Keras3,
        }
    }

    /// Whether defaults are those of Keras 2.
    pub fn before_keras_3(self) -> bool {
        self != Self::Keras3
    }
}

/// Who reads what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reader {
    /// This program, which knows more than Keras: the hard sigmoid and the moving variance of 2018.
    #[default]
    Ours,
    /// Keras 3.
    Keras,
}

/// Why a description is not one of a model that can be computed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An argument has a value that is not supported.
    #[error("{owner}: {argument} = {value} is not supported; supported: {supported}")]
    Argument {
        /// Whose argument.
        owner: String,
        /// Its name.
        argument: String,
        /// What was given.
        value: String,
        /// What may be given.
        supported: String,
    },
    /// An argument without a default is not there.
    #[error("{owner}: the argument {argument} is missing")]
    Missing {
        /// Whose argument.
        owner: String,
        /// Its name.
        argument: String,
    },
    /// A layer, optimizer or loss of a kind that does not exist here.
    #[error("{owner}: {class} is not supported; supported: {supported}")]
    Class {
        /// Where it stands.
        owner: String,
        /// Keras's class name.
        class: String,
        /// Those that exist.
        supported: String,
    },
    /// What cannot be said in Keras's terms.
    #[error("{owner} cannot be written for Keras: {what}")]
    Foreign {
        /// The layer.
        owner: String,
        /// What Keras does not have.
        what: String,
    },
    /// A description that hangs together wrongly.
    #[error("{0}")]
    Structure(String),
    /// A layer does not fit what stands before it.
    #[error("layer {name}")]
    Layer {
        /// Its name.
        name: String,
        /// Why.
        source: Box<ModelError>,
    },
}

impl ConfigError {
    fn structure(message: impl Into<String>) -> Self {
        Self::Structure(message.into())
    }
}

/// An object as Keras 3 serializes it.
fn object(module: &str, class: &str, config: Value) -> Value {
    json!({"module": module, "class_name": class, "config": config, "registered_name": null})
}

/// The class and arguments of an object that is given by its name alone, or as
/// `{"class_name", "config"}`.
fn class_and_config(value: &Value) -> Option<(&str, Map<String, Value>)> {
    if let Value::String(name) = value {
        return Some((name, Map::new()));
    }
    let class = value.get("class_name")?.as_str()?;
    match value.get("config") {
        // A function: {"class_name": "function", "config": "relu"}.
        Some(Value::String(name)) => Some((name, Map::new())),
        Some(Value::Object(config)) => Some((class, config.clone())),
        None | Some(Value::Null) => Some((class, Map::new())),
        Some(_) => None,
    }
}

/// `GlorotUniform`, `glorot_uniform` and `glorotuniform` name one thing.
fn same_name(a: &str, b: &str) -> bool {
    let letters = |s: &str| s.replace('_', "").to_ascii_lowercase();
    letters(a) == letters(b)
}

/// A value in a message, not longer than a line.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
