use super::to_json;
use crate::nn::{Architecture, Compile, Dialect, Reader};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The architecture of a model with its optimizer and its losses. It is serialized as the contents
/// of `model.json` ([`to_json`]) and deserialized from them.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The inputs and layers of the model.
    pub architecture: Architecture,
    /// Its optimizer and its losses.
    pub compile: Compile,
}

impl Serialize for Compiled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = to_json(&self.architecture, Some(&self.compile), Reader::Ours);
        json.map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Compiled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let architecture = Architecture::from_json(&value, None).map_err(D::Error::custom)?;
        let outputs = architecture.output_names();
        let compile = value.get("compile_config").unwrap_or(&Value::Null);
        let compile = Compile::from_json(compile, &outputs, Dialect::Keras3);
        let compile = compile.map_err(D::Error::custom)?;
        Ok(Self { architecture, compile })
    }
}
