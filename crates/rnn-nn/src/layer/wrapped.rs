//! The arguments that all layers have, and those of a layer within a layer.

use super::{Argument, Arguments, Dialect, Layer, Reader, object, shown};
use crate::architecture::Unread;
use crate::layers::is_model;
use crate::{ConfigError, ModelError};
use serde_json::{Map, Value, json};

/// The precision of a layer in Keras; weights and sums are float32 here.
struct Policy;

impl Argument for Policy {
    fn supported() -> String {
        "float32, mixed_float16, mixed_bfloat16".into()
    }

    /// `"float32"` in Keras 2, a `DTypePolicy` in Keras 3.
    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let name = value.get("config").map_or(Some(value), |config| config.get("name"))?;
        let known = ["float32", "mixed_float16", "mixed_bfloat16"];
        (name.is_null() || known.contains(&name.as_str()?)).then_some(Self)
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!("float32"))
    }
}

/// The arguments by which the first layer of a model describes the input, as in Keras 2.
pub(crate) const INPUT_ARGUMENTS: [&str; 3] = ["batch_input_shape", "batch_shape", "input_shape"];

pub(crate) fn class_and_arguments(
    value: &Value,
) -> Result<(&str, &Map<String, Value>), ConfigError> {
    let class = value.get("class_name").and_then(Value::as_str);
    let config = value.get("config").and_then(Value::as_object);
    class.zip(config).ok_or_else(|| {
        ConfigError::structure(format!(
            "{} is not a layer: it has no class_name and config",
            shown(value)
        ))
    })
}

pub(crate) fn written(
    owner: String,
    layer: &(dyn Layer + 'static),
    reader: Reader,
) -> Result<Map<String, Value>, ConfigError> {
    let mut arguments = Arguments::written(owner, reader);
    // Arguments are read into the places from which they are written.
    dyn_clone::clone_box(layer).arguments(&mut arguments)?;
    arguments.optional("dtype", &mut Policy)?;
    arguments.finish()
}

/// Checks that a description can have the arguments of a layer: a width of 0, for example, is
/// refused. A layer that does not visit its arguments is accepted.
///
/// # Errors
/// Fails if an argument is none that a description can have.
pub(crate) fn check(owner: String, layer: &(dyn Layer + 'static)) -> Result<(), ModelError> {
    checked(owner, layer).map_err(|error| ModelError::Argument(Box::new(error)))
}

fn checked(owner: String, layer: &(dyn Layer + 'static)) -> Result<(), ConfigError> {
    match dyn_clone::clone_box(layer).arguments(&mut Arguments::checked(owner)) {
        Err(ConfigError::Foreign { .. }) => Ok(()),
        checked => checked,
    }
}

/// The module of a class that stands in the place of a layer.
pub(crate) fn module_of(class: &str) -> &'static str {
    match class {
        "Functional" => "keras.src.models.functional",
        "Sequential" => "keras",
        _ => "keras.layers",
    }
}

impl Arguments<'_> {
    /// Visits the arguments that every layer has and those of its own. Returns true, if the layer
    /// is trained, and what was left out.
    pub(crate) fn with_common(
        mut self,
        own: impl FnOnce(&mut Self) -> Result<(), ConfigError>,
    ) -> Result<(bool, Vec<Unread>), ConfigError> {
        let mut trainable = true;
        self.ignored(&["name"]);
        self.optional("trainable", &mut trainable)?;
        self.trainable = trainable;
        self.optional("dtype", &mut Policy)?;
        own(&mut self)?;
        let unread = std::mem::take(&mut self.unread);
        self.finish()?;
        Ok((trainable, unread))
    }

    /// Visits the argument `name`, which is a layer within this one. Returns false, and leaves
    /// `layer` as it is, if the description that is read lacks the argument or gives null;
    /// otherwise true.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Argument`] if the given layer is of another class than `layer` or
    /// alone has `trainable` false, and with the error of its arguments.
    pub fn layer(
        &mut self,
        name: &str,
        layer: &mut (dyn Layer + 'static),
    ) -> Result<bool, ConfigError> {
        let owner = format!("{}, {name} ({})", self.owner(), layer.class());
        if self.checks() {
            return checked(owner, layer).map(|()| true);
        }
        if let Some(reader) = self.reader() {
            let config = written(owner, layer, reader)?;
            self.put(name, object(module_of(layer.class()), layer.class(), config.into()));
            return Ok(true);
        }
        let Some(value) = self.take(name).filter(|value| !value.is_null()) else {
            return Ok(false);
        };
        self.read_layer(name, value, layer)?;
        Ok(true)
    }

    fn read_layer(
        &mut self,
        name: &str,
        value: &Value,
        layer: &mut (dyn Layer + 'static),
    ) -> Result<(), ConfigError> {
        let owner = format!("{}, {name} ({})", self.owner(), layer.class());
        let (class, config) = class_and_arguments(value)?;
        let same = class == layer.class() || class == "Model" && layer.class() == "Functional";
        if !same {
            return Err(self.refuse(name, &json!(class), layer.class().into()));
        }
        let inner = Arguments::given(owner, config, self.dialect());
        let (trainable, unread) = inner.with_common(|a| layer.arguments(a))?;
        self.unread.extend(unread);
        // A model says the same of each of its layers.
        if self.trainable && !trainable && !is_model(class) {
            let whole = "trainable of the whole layer".into();
            return Err(self.refuse(name, &json!({"trainable": false}), whole));
        }
        Ok(())
    }

    /// Visits the argument `name`, a list of one or more layers within this one, whose classes
    /// `supported` lists for messages. `new` makes a layer of a class, whose arguments are then read;
    /// `of` gives the layer that is visited.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Argument`] if there is no layer, a class is not supported or one
    /// layer alone has `trainable` false, and with the error of the arguments of a layer.
    pub(crate) fn layers<T>(
        &mut self,
        name: &str,
        layers: &mut Vec<T>,
        supported: &str,
        new: impl Fn(&str) -> Option<T>,
        of: impl Fn(&mut T) -> &mut (dyn Layer + 'static),
    ) -> Result<(), ConfigError> {
        if let Some(list) = self.take(name) {
            layers.clear();
            for value in list.as_array().into_iter().flatten() {
                let (class, _) = class_and_arguments(value)?;
                let unknown = || self.refuse(name, &json!(class), supported.into());
                let mut layer = new(class).ok_or_else(unknown)?;
                self.read_layer(name, value, of(&mut layer))?;
                layers.push(layer);
            }
        }
        if layers.is_empty() {
            return Err(self.refuse(name, &json!([]), supported.into()));
        }
        let Some(reader) = self.reader() else { return Ok(()) };
        let mut all = Vec::new();
        for layer in layers.iter_mut().map(of) {
            let owner = format!("{}, {name} ({})", self.owner(), layer.class());
            if self.checks() {
                checked(owner, layer)?;
                continue;
            }
            let config = written(owner, layer, reader)?;
            all.push(object("keras.layers", layer.class(), config.into()));
        }
        self.put(name, all.into());
        Ok(())
    }
}
