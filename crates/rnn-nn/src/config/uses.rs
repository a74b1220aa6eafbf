use crate::architecture::{Architecture, Call, TensorRef};
use crate::layer::Reader;
use crate::{ConfigError, Model};
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
    pub inputs: Vec<TensorRef>,
    /// What it puts out.
    pub outputs: Vec<TensorRef>,
}

impl Model {
    /// The uses of layers, each after those that made its inputs.
    ///
    /// # Errors
    /// If a layer does not say its arguments.
    pub fn uses(&self) -> Result<Vec<LayerUse>, ConfigError> {
        let Architecture { layers, calls, .. } = self.architecture();
        let one = |(index, call): (usize, &Call)| {
            let node = &layers[call.layer];
            let arguments = match node.write(Reader::Ours)?["config"].take() {
                Value::Object(arguments) => arguments,
                _ => Map::new(),
            };
            Ok(LayerUse {
                name: node.name.clone(),
                class: node.layer.class(),
                arguments,
                inputs: call.inputs.clone(),
                outputs: self.outputs_of(index),
            })
        };
        calls.iter().enumerate().map(one).collect()
    }
}
