use super::Model;
use crate::architecture::TensorRef;
use crate::{Layer, LayerError, ModelError};
use rnn_graph::TensorType;

/// The type of an input of a model, without the batch axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSpec {
    /// Token ids, u32, of these extents: `[T]` tokens of a text, or `[T, N]` characters of its words.
    Tokens(Vec<usize>),
    /// Floats of these extents: features `[F]`, a sequence `[T, F]`, an image `[H, W, C]` or a
    /// video `[T, H, W, C]`.
    Floats(Vec<usize>),
}

impl InputSpec {
    /// Returns the specification of an input of floats of the extents `shape`, without the batch
    /// axis.
    pub fn floats(shape: impl Into<Vec<usize>>) -> Self {
        Self::Floats(shape.into())
    }

    /// Returns the specification of an input of token ids of the extents `shape`, without the batch
    /// axis.
    pub fn tokens(shape: impl Into<Vec<usize>>) -> Self {
        Self::Tokens(shape.into())
    }

    /// Returns the extents of an example, without the batch axis.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Tokens(shape) | Self::Floats(shape) => shape,
        }
    }

    /// The type of a batch of this many examples.
    pub(crate) fn ty(&self, batch: usize) -> TensorType {
        let shape = [&[batch], self.shape()].concat();
        match self {
            Self::Tokens(_) => TensorType::u32(shape),
            Self::Floats(_) => TensorType::f32(shape),
        }
    }

    /// Returns true if the first axis stands before the batch in a graph.
    pub(crate) fn leads(&self) -> bool {
        self.shape().len() > usize::from(matches!(self, Self::Floats(_)))
    }
}

impl Model {
    /// Checks that a layer that looks up tokens is called on an input of tokens.
    pub(crate) fn check_tokens(
        &self,
        layer: &dyn Layer,
        inputs: &[TensorRef],
    ) -> Result<(), ModelError> {
        let tokens = |tensor: &TensorRef| match *tensor {
            TensorRef::Input(input) => matches!(self.inputs.get(input), Some(InputSpec::Tokens(_))),
            TensorRef::Output { .. } => false,
        };
        if layer.vocabulary().is_some() && !inputs.iter().all(tokens) {
            let (expected, found) = ("an input of tokens", self.shapes_of(inputs)?);
            return Err(LayerError::of(layer.class(), expected, &found).into());
        }
        Ok(())
    }
}
