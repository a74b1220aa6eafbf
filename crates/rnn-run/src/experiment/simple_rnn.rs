use super::VOCABULARY;
use rnn::Activation;
use rnn::nn::{Dense, Embedding, Model, ModelError, SimpleRnn};

/// Adds Embedding, SimpleRNN and Dense to an input of token ids `[B, T]`. The output is a
/// probability for each row.
///
/// # Errors
/// If the layers do not fit the input.
pub fn model(start: Model) -> Result<Model, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(SimpleRnn::new(128))?
        .add(Dense::new(1, Activation::Sigmoid))
}
