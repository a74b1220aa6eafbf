//! Layers by the names of their classes.

use crate::layers::{
    BIDIRECTIONAL, InnerModel, LAYERS, LayerTable, RNNS, TimeDistributed, is_model,
};
use crate::{ConfigError, Layer};
use serde_json::{Map, Value};

fn new(table: &LayerTable, class: &str) -> Option<Box<dyn Layer>> {
    table.iter().find(|(name, _)| *name == class).map(|(_, new)| new())
}

fn classes(table: &LayerTable) -> Vec<&'static str> {
    table.iter().map(|(name, _)| *name).collect()
}

/// Layers that make numbers or tokens of texts and categories.
const PREPARING: [&str; 7] = [
    "CategoryEncoding",
    "Discretization",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "StringLookup",
    "TextVectorization",
];

/// A layer of this class, whose arguments are still to be read; one that wraps another is made for
/// the one that `config` names.
pub(super) fn blank(
    owner: &str,
    class: &str,
    config: &Map<String, Value>,
) -> Result<Box<dyn Layer>, ConfigError> {
    let wrapped = config.get("layer").unwrap_or(&Value::Null);
    let inner = || wrapped.get("class_name").and_then(Value::as_str).unwrap_or("no layer");
    let cell = || config.get("cell")?.get("class_name")?.as_str();
    match class {
        "Bidirectional" => {
            let owner = format!("{owner}, layer");
            new(BIDIRECTIONAL, inner())
                .ok_or_else(|| unknown(owner, inner(), classes(BIDIRECTIONAL)))
        }
        "TimeDistributed" => {
            let config = wrapped.get("config").and_then(Value::as_object);
            let owner = format!("{owner}, layer");
            let layer = blank(&owner, inner(), config.unwrap_or(&Map::new()))?;
            Ok(Box::new(TimeDistributed(layer)))
        }
        class if is_model(class) => Ok(Box::new(InnerModel::blank(class))),
        "RNN" => {
            let (owner, cell) = (format!("{owner}, cell"), cell().unwrap_or("no cell"));
            new(RNNS, cell).ok_or_else(|| unknown(owner, cell, classes(RNNS)))
        }
        _ if PREPARING.contains(&class) => Err(ConfigError::structure(format!(
            "{owner} prepares data, which is not supported within a model: save the model behind it, \
             keras.Sequential(model.layers[1:]), and feed that what the layer makes of your data, \
             layer(data).numpy()"
        ))),
        _ => new(LAYERS, class).ok_or_else(|| {
            let mut classes = classes(LAYERS);
            classes.extend(["Bidirectional", "InputLayer", "RNN", "TimeDistributed"]);
            classes.sort_unstable();
            unknown(owner.to_owned(), class, classes)
        }),
    }
}

fn unknown(owner: String, class: &str, classes: Vec<&str>) -> ConfigError {
    ConfigError::Class { owner, class: class.to_owned(), supported: classes.join(", ") }
}

#[cfg(test)]
mod tests {
    use crate::layers::LAYERS;

    #[test]
    fn every_layer_stands_under_the_name_of_its_class() {
        for (name, new) in LAYERS {
            assert_eq!(new().class(), *name);
        }
    }
}
