use super::{ConfigError, Reader};
use crate::{InputSpec, Model, Symbol};
use serde_json::{Map, Value};

/// One use of a layer in a model, for those who put models into other terms.
#[derive(Clone, Debug)]
pub struct LayerUse {
    /// The layer's name.
    pub name: String,
    /// Keras's class.
    pub class: &'static str,
    /// All its arguments, by Keras's names.
    pub arguments: Map<String, Value>,
    /// What it is applied to.
    pub inputs: Vec<Symbol>,
    /// What it puts out.
    pub outputs: Vec<Symbol>,
}

impl Model {
    /// The uses of layers, each after those that made its inputs.
    ///
    /// # Errors
    /// If a layer does not say its arguments.
    pub fn uses(&self) -> Result<Vec<LayerUse>, ConfigError> {
        let layers = self.architecture().layers;
        let one = |call: &crate::model::Call| {
            let described = &layers[call.layer];
            let arguments = match described.write(Reader::Ours)?["config"].take() {
                Value::Object(arguments) => arguments,
                _ => Map::new(),
            };
            Ok(LayerUse {
                name: described.name.clone(),
                class: described.layer.class(),
                arguments,
                inputs: call.inputs.clone(),
                outputs: call.outputs.clone(),
            })
        };
        self.calls.iter().map(one).collect()
    }

    /// What the model is fed: names, kinds and tensors.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &InputSpec, Symbol)> {
        self.inputs.iter().map(|input| (input.name.as_str(), &input.spec, input.symbol))
    }
}
