use crate::layers::{Layer, LayerError};
use crate::{Model, ModelError, Symbol};
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

    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Tokens(steps) => vec![*steps],
            Self::Floats(shape) => shape.clone(),
        }
    }

    /// The type of a batch.
    pub(crate) fn ty(&self, batch: usize) -> TensorType {
        let shape = [vec![batch], self.shape()].concat();
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
        layer: &impl Layer,
        inputs: &[Symbol],
    ) -> Result<(), ModelError> {
        let tokens = |symbol: &Symbol| {
            let input = self.inputs.iter().find(|input| input.symbol == *symbol);
            input.is_some_and(|input| matches!(input.spec, InputSpec::Tokens(_)))
        };
        if layer.vocabulary().is_some() && !inputs.iter().all(tokens) {
            let (expected, found) = ("an input of tokens [T]", self.shapes_of(inputs)?);
            return Err(LayerError::of(layer.class(), expected, &found).into());
        }
        Ok(())
    }
}
