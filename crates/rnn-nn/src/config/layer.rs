//! One layer of a description.

use super::cudnn::without_cudnn;
use super::operation;
use super::registry::blank;
use crate::ConfigError;
use crate::architecture::LayerNode;
use crate::layer::{
    Arguments, Dialect, INPUT_ARGUMENTS, Reader, class_and_arguments, module_of, object, written,
};
use serde_json::{Value, json};
use std::sync::Arc;

impl LayerNode {
    /// Reads a layer from Keras's description `value`, `{"class_name": .., "config": {..}}`; `name`
    /// is its name in the model, and `dialect` decides the defaults of what is left out.
    ///
    /// # Errors
    /// Fails if the class, or one of the arguments, is not supported, or a necessary argument is
    /// missing.
    pub fn read(name: String, value: &Value, dialect: Dialect) -> Result<Self, ConfigError> {
        if operation::is_operation(value) {
            return operation::read(name, value, dialect);
        }
        let described = without_cudnn(value);
        let (class, config) = class_and_arguments(&described)?;
        let owner = format!("layer {name} ({class})");
        let mut layer = blank(&owner, class, config)?;
        let mut arguments = Arguments::given(owner, config, dialect);
        arguments.ignored(&INPUT_ARGUMENTS);
        let (trainable, unread) = arguments.with_common(|a| layer.arguments(a))?;
        let layer = Arc::from(layer);
        Ok(Self { path: vec![name.clone()], name, layer, trainable, unread })
    }

    /// Returns Keras 3's description of the layer, `{"class_name": .., "config": {..}}`, for the
    /// program that will read it.
    ///
    /// # Errors
    /// Fails if an argument has a value that the reader cannot represent.
    pub fn write(&self, reader: Reader) -> Result<Value, ConfigError> {
        if let Some(module) = self.layer.operation() {
            return operation::write(self, module, reader);
        }
        let class = self.layer.class();
        let owner = format!("layer {} ({class})", self.name);
        let mut config = written(owner, &*self.layer, reader)?;
        config.insert("name".into(), json!(self.name));
        // Not every layer of Keras takes it.
        if !self.trainable {
            config.insert("trainable".into(), json!(false));
        }
        Ok(object(module_of(class), class, config.into()))
    }
}
