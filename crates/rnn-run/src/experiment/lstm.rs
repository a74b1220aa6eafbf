use super::{Preset, VOCABULARY};
use rnn::Activation;
use rnn::nn::{Dense, Embedding, Lstm, Model, ModelError};

/// Adds Embedding(5000, 32), LSTM(128) and Dense(1) with a sigmoid to `start`, a model with an
/// input of token ids `[B, T]`. The output `[B, 1]` is the probability that a review is positive.
///
/// # Errors
/// Fails if the layers do not fit the input.
pub fn model(start: Model, preset: Preset) -> Result<Model, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(Lstm::new(128).recurrent_activation(preset.gate()))?
        .add(Dense::new(1, Activation::Sigmoid))
}
