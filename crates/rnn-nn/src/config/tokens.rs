//! Which inputs of a model hold tokens.

use crate::ConfigError;
use crate::architecture::{Architecture, Call, TensorRef};

/// Inputs that an Embedding looks up hold tokens, whatever their dtype.
///
/// # Errors
/// Fails if such an input goes into a layer that takes no tokens.
pub(super) fn find(architecture: &mut Architecture) -> Result<(), ConfigError> {
    for (index, input) in architecture.inputs.iter_mut().enumerate() {
        let source = TensorRef::Input(index);
        let users = || architecture.calls.iter().filter(|call| call.inputs.contains(&source));
        let layer = |call: &&Call| &architecture.layers[call.layer].layer;
        input.tokens = users().any(|call| layer(&call).vocabulary().is_some());
        if let Some(other) = users().find(|call| input.tokens && !layer(call).takes_tokens()) {
            return Err(ConfigError::structure(format!(
                "input {} goes into an Embedding and into {}; supported: inputs of tokens alone",
                input.name, architecture.layers[other.layer].name
            )));
        }
    }
    Ok(())
}
