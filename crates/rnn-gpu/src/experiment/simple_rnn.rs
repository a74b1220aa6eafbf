use super::VOCABULARY;
use crate::Activation;
use crate::nn::{Dense, Embedding, Model, ModelError, SimpleRnn};

pub fn model(start: Model) -> Result<Model, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(SimpleRnn::new(128))?
        .add(Dense::new(1, Activation::Sigmoid))
}
