use super::VOCABULARY;
use crate::Activation;
use crate::nn::{Dense, Embedding, ModelError, Sequential, SimpleRnn};

pub fn model(start: Sequential) -> Result<Sequential, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(SimpleRnn::new(128))?
        .add(Dense::new(1, Activation::Sigmoid))
}
