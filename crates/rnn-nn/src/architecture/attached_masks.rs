//! Masks that attentions take off tensors.
//!
//! Keras's MultiHeadAttention removes the masks of the tensors that it is called on (`call` in
//! keras/src/layers/attention/multi_head_attention.py). Calls behind it that look for a mask at their
//! inputs find none: those of other attentions, and the loss. A layer whose call has an argument for
//! the mask was given it when the model was made, and is not concerned.

use super::{Architecture, TensorRef};
use crate::layer::MaskFlow;
use std::collections::HashSet;

/// Layers that look for masks at their inputs.
const LOOK: [&str; 3] = ["AdditiveAttention", "Attention", "MultiHeadAttention"];

/// Layers that hand on the mask of their input as they find it there; all others that hand one on
/// are given it.
const HAND_ON: [&str; 23] = [
    "Activation",
    "ActivityRegularization",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Dense",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "LayerNormalization",
    "LeakyReLU",
    "MultiHeadAttention",
    "PReLU",
    "ReLU",
    "SpatialDropout1D",
    "Add",
    "Average",
    "Concatenate",
    "Maximum",
    "Minimum",
    "Subtract",
];

/// The tensors whose masks are not there where they are looked for.
pub(crate) struct MissingMasks {
    inputs: HashSet<(usize, TensorRef)>,
    outputs: HashSet<TensorRef>,
}

impl MissingMasks {
    /// True if a call looks for the mask of its input and finds none.
    pub fn at(&self, call: usize, input: TensorRef) -> bool {
        self.inputs.contains(&(call, input))
    }

    /// True if the loss finds no mask at an output of the model.
    pub fn at_output(&self, output: TensorRef) -> bool {
        self.outputs.contains(&output)
    }
}

impl Architecture {
    /// Returns the tensors whose masks attentions have taken off.
    pub(crate) fn missing_masks(&self) -> MissingMasks {
        let (mut inputs, mut missing) = (HashSet::new(), HashSet::new());
        if !self.layers.iter().any(|node| node.layer.class() == "MultiHeadAttention") {
            return MissingMasks { inputs, outputs: missing };
        }
        for call in self.calls_in_keras_order() {
            let of = &self.calls[call];
            let layer = &self.layers[of.layer].layer;
            let gone = |input: &TensorRef| missing.contains(input);
            let lost = match layer.mask_flow() {
                MaskFlow::Passes => of.inputs.first().is_some_and(gone),
                _ => of.inputs.iter().any(gone),
            };
            if LOOK.contains(&layer.class()) {
                inputs.extend(of.inputs.iter().filter(|input| gone(input)).map(|&i| (call, i)));
            }
            if lost && HAND_ON.contains(&layer.class()) {
                missing.insert(TensorRef::Output { call, index: 0 });
            }
            if layer.class() == "MultiHeadAttention" {
                missing.extend(&of.inputs);
            }
        }
        let outputs = missing.into_iter().filter(|tensor| self.outputs.contains(tensor)).collect();
        MissingMasks { inputs, outputs }
    }
}
