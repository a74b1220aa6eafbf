use super::Model;
use crate::architecture::TensorRef;
use crate::{Layer, LayerError, ModelError};
use rnn_graph::TensorType;

/// What a model is fed, without the batch axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSpec {
    /// Token ids `[T]`.
    Tokens(usize),
    /// Floats: features `[F]`, a sequence `[T, F]`, a picture `[H, W, C]`, a film `[T, H, W, C]`.
    Floats(Vec<usize>),
}

impl InputSpec {
    /// Floats of these extents.
    pub fn floats(shape: impl Into<Vec<usize>>) -> Self {
        Self::Floats(shape.into())
    }

    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Self::Tokens(steps) => std::slice::from_ref(steps),
            Self::Floats(shape) => shape,
        }
    }

    /// The type of a batch.
    pub(crate) fn ty(&self, batch: usize) -> TensorType {
        let shape = [&[batch], self.shape()].concat();
        match self {
            Self::Tokens(_) => TensorType::u32(shape),
            Self::Floats(_) => TensorType::f32(shape),
        }
    }

    /// In a graph the first axis stands in front of the batch.
    pub(crate) fn leads(&self) -> bool {
        matches!(self, Self::Tokens(_)) || self.shape().len() > 1
    }
}

impl Model {
    /// A layer that looks tokens up takes an input of tokens.
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
            let (expected, found) = ("an input of tokens [T]", self.shapes_of(inputs)?);
            return Err(LayerError::of(layer.class(), expected, &found).into());
        }
        Ok(())
    }
}
