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
