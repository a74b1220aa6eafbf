//! Which inputs of a model hold tokens.

use crate::ConfigError;
use crate::architecture::{Architecture, Call, TensorRef};

/// Inputs that an Embedding looks up hold tokens, whatever their dtype.
pub(super) fn find_tokens(architecture: &mut Architecture) -> Result<(), ConfigError> {
    for (index, input) in architecture.inputs.iter_mut().enumerate() {
        let source = TensorRef::Input(index);
        let users = || architecture.calls.iter().filter(|call| call.inputs.contains(&source));
        let looks_up = |call: &&Call| architecture.layers[call.layer].layer.vocabulary().is_some();
        input.tokens = users().any(|call| looks_up(&call));
        if let Some(other) = users().find(|call| input.tokens && !looks_up(call)) {
            return Err(ConfigError::structure(format!(
                "input {} goes into an Embedding and into {}; supported: inputs of tokens alone",
                input.name, architecture.layers[other.layer].name
            )));
        }
    }
    Ok(())
}
