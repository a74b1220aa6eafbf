//! Masks that a description names. Those that flow with the steps of a sequence are the layers'.

use super::architecture::{Call, Source};
use super::layer::Described;
use super::read::{History, tensor};
use super::{ConfigError, Reader};
use serde_json::Value;

/// Keras 3 writes the mask that an Embedding makes as a node of its own, tokens != 0.
pub(super) fn mask_of_zeros(name: &str, nodes: &[Value]) -> Result<History, ConfigError> {
    let arguments = |node: &Value| match node.get("args")?.as_array()?.as_slice() {
        [tokens, zero] if zero.as_f64() == Some(0.0) => tensor(tokens),
        _ => None,
    };
    let tokens = match nodes {
        [node] => arguments(node),
        _ => None,
    };
    let odd = || {
        ConfigError::structure(format!(
            "{name} (NotEqual) is not supported, but as the mask that an Embedding makes"
        ))
    };
    tokens.ok_or_else(odd)
}

/// A mask that is said of a call must be the one that flows with its inputs anyway.
pub(super) fn check_mask(
    name: &str,
    tokens: Option<&Source>,
    layers: &[Described],
    calls: &[Call],
) -> Result<(), ConfigError> {
    let masks = |call: &Call| {
        let written = || layers[call.layer].write(Reader::Ours);
        tokens == call.inputs.first()
            && written().is_ok_and(|layer| layer["config"]["mask_zero"] == true)
    };
    match calls.iter().any(masks) {
        true => Ok(()),
        false => Err(ConfigError::Structure(format!(
            "layer {name} is given a mask; supported are those of Embedding and Masking"
        ))),
    }
}

/// Keras 2 masks a layer that is given states, Keras 3 does not, and nor do we.
pub(super) fn refuse_masks_beside_states(
    layers: &[Described],
    calls: &[Call],
) -> Result<(), ConfigError> {
    let masks = |layer: &Described| {
        let written = layer.write(Reader::Ours);
        layer.layer.class() == "Masking"
            || written.is_ok_and(|layer| layer["config"]["mask_zero"] == true)
    };
    let given = |call: &&Call| call.inputs.len() > 1 && !layers[call.layer].layer.merges();
    match calls.iter().find(given).filter(|_| layers.iter().any(masks)) {
        None => Ok(()),
        Some(call) => Err(ConfigError::Structure(format!(
            "layer {} is given states in a model with masks, which is not supported of Keras 2: \
             save it with Keras 3, which computes it without the mask",
            layers[call.layer].name
        ))),
    }
}
