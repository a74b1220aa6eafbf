//! What calls of attention layers say by name, beside the tensors in front.

use crate::ConfigError;
use serde_json::Value;
use std::borrow::Cow;

/// What an attention may be given by name, in the order of its inputs.
pub(super) const TENSORS: [&str; 3] = ["query", "value", "key"];

/// The switches of an attention's calls.
pub(super) const SWITCHES: [&str; 2] = ["use_causal_mask", "return_attention_scores"];

/// The description of a layer with the switches of its calls among its arguments.
pub(super) fn with_switches<'a>(
    name: &str,
    layer: &'a Value,
    nodes: &[Value],
) -> Result<Cow<'a, Value>, ConfigError> {
    let on = |node: &Value, switch: &str| {
        let lists = node.as_array().into_iter().flatten().filter_map(|input| input.get(3));
        lists.chain(node.get("kwargs")).any(|keywords| keywords[switch] == true)
    };
    let mut layer = Cow::Borrowed(layer);
    for switch in SWITCHES {
        let calls = nodes.iter().filter(|node| on(node, switch)).count();
        if calls == 0 {
            continue;
        }
        if calls < nodes.len() {
            return Err(ConfigError::structure(format!(
                "layer {name} is called with {switch}, and without it, which is not supported: use \
                 two layers"
            )));
        }
        if let Some(config) = layer.to_mut().get_mut("config").and_then(Value::as_object_mut) {
            config.insert(switch.to_owned(), Value::Bool(true));
        }
    }
    Ok(layer)
}

/// The input that the mask of this name, such as `key_mask`, belongs to.
pub(super) fn masked_tensor(name: &str) -> Option<usize> {
    let of = name.strip_suffix("_mask")?;
    TENSORS.iter().position(|tensor| *tensor == of)
}
