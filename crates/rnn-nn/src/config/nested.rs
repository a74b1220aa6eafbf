//! Models within models: their layers become layers of the model around them.

use super::{limits, read};
use crate::ConfigError;
use crate::architecture::{Architecture, Call, LayerNode, TensorRef};
use crate::layer::Dialect;
use serde_json::Value;

/// A model that stands in the place of a layer.
pub(super) struct Nested {
    name: String,
    architecture: Architecture,
    /// The place of its first layer among all.
    first: usize,
}

impl Nested {
    /// Reads a nested model and appends its layers to `layers`; `None` if `value` is the
    /// description of a layer instead.
    ///
    /// # Errors
    /// Fails if the nested model has a layer, an argument or a connection that is not supported.
    pub fn read(
        name: &str,
        value: &Value,
        dialect: Dialect,
        layers: &mut Vec<LayerNode>,
    ) -> Result<Option<Self>, ConfigError> {
        let class = value.get("class_name").and_then(Value::as_str);
        if !matches!(class, Some("Sequential" | "Functional" | "Model")) {
            return Ok(None);
        }
        let frozen = value.get("config").is_some_and(|config| config["trainable"] == false);
        let mut architecture = read::model(value, dialect)?;
        limits::names(&architecture, name)?;
        let first = layers.len();
        for mut layer in architecture.layers.drain(..) {
            layer.name = format!("{name}_{}", layer.name);
            layer.path.insert(0, name.to_owned());
            layer.trainable &= !frozen;
            layers.push(layer);
        }
        Ok(Some(Self { name: name.to_owned(), architecture, first }))
    }

    /// Calls the nested model on tensors, one for each of its inputs: appends its calls to `calls`
    /// and returns its outputs.
    ///
    /// # Errors
    /// Fails if the number of tensors is not that of its inputs, or the whole model has too many
    /// calls.
    pub fn call(
        &self,
        inputs: &[TensorRef],
        calls: &mut Vec<Call>,
    ) -> Result<Vec<TensorRef>, ConfigError> {
        let wanted = self.architecture.inputs.len();
        if inputs.len() != wanted {
            return Err(ConfigError::structure(format!(
                "the model {} within the model takes {wanted} tensors, it is given {}",
                self.name,
                inputs.len()
            )));
        }
        // A model that is applied often within one that is applied often is many.
        let before = calls.len();
        limits::calls(before + self.architecture.calls.len())?;
        let outside = |source: &TensorRef| match *source {
            TensorRef::Input(input) => inputs[input],
            TensorRef::Output { call, index } => TensorRef::Output { call: before + call, index },
        };
        calls.extend(self.architecture.calls.iter().map(|call| Call {
            layer: self.first + call.layer,
            inputs: call.inputs.iter().map(outside).collect(),
        }));
        Ok(self.architecture.outputs.iter().map(outside).collect())
    }
}
