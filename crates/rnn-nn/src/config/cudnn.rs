//! Layers of old files that Keras 2 had for cuDNN beside its own, in place of which it reads its own
//! (keras/layers/cudnn_recurrent.py of 2.2.4).

use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The class that computes the same, and the arguments that it has from the old one's name.
fn replaced(class: &str) -> Option<(&'static str, Value)> {
    match class {
        "CuDNNLSTM" => {
            Some(("LSTM", json!({"activation": "tanh", "recurrent_activation": "sigmoid"})))
        }
        "CuDNNGRU" => {
            let gates = json!({"activation": "tanh", "recurrent_activation": "sigmoid"});
            Some(("GRU", with(gates.as_object()?, "reset_after", json!(true))))
        }
        _ => None,
    }
}

fn with(object: &Map<String, Value>, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object.insert(name.into(), value);
    object.into()
}

/// The description of a layer, in which such a layer, also within a wrapper, is the one that
/// computes the same.
pub(super) fn without_cudnn(value: &Value) -> Cow<'_, Value> {
    let (Some(object), Some(config)) = (value.as_object(), value["config"].as_object()) else {
        return Cow::Borrowed(value);
    };
    if let Some((class, more)) = value["class_name"].as_str().and_then(replaced) {
        let more = more.as_object().into_iter().flatten();
        let own = config.iter().chain(more).map(|(name, value)| (name.clone(), value.clone()));
        let object = with(object, "class_name", json!(class));
        let object = object.as_object().map(|object| with(object, "config", own.collect()));
        return object.map_or(Cow::Borrowed(value), Cow::Owned);
    }
    let mut result = Cow::Borrowed(value);
    for name in ["layer", "backward_layer"] {
        if let Some(Cow::Owned(inner)) = config.get(name).map(without_cudnn) {
            let config = result["config"].as_object().map(|config| with(config, name, inner));
            let object = config.map(|config| with(object, "config", config));
            result = object.map_or(result, Cow::Owned);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::without_cudnn;
    use serde_json::json;

    #[test]
    fn layers_for_cudnn_are_the_usual_ones() {
        let old = json!({"class_name": "CuDNNGRU", "config": {"units": 3, "name": "gru"}});
        let gru = json!({"class_name": "GRU", "config": {"units": 3, "name": "gru",
            "activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": true}});
        assert_eq!(*without_cudnn(&old), gru);
        let wrapped = |layer| json!({"class_name": "Bidirectional", "config": {"layer": layer}});
        assert_eq!(*without_cudnn(&wrapped(old)), wrapped(gru));
        let dense = json!({"class_name": "Dense", "config": {"units": 3}});
        assert_eq!(*without_cudnn(&dense), dense);
    }
}
