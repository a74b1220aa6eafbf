use super::VOCABULARY;
use rnn::Activation;
use rnn::nn::{Dense, Embedding, Model, ModelError, SimpleRnn};

pub fn model(start: Model) -> Result<Model, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(SimpleRnn::new(128))?
        .add(Dense::new(1, Activation::Sigmoid))
}
