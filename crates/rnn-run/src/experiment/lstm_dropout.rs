use super::{Preset, VOCABULARY};
use rnn::Activation;
use rnn::nn::{Dense, Embedding, Lstm, Model, ModelError};

/// Adds Embedding, LSTM with dropout, and Dense to an input of token ids `[B, T]`. The output is a
/// probability for each row.
///
/// # Errors
/// If the layers do not fit the input.
pub fn model(start: Model, preset: Preset) -> Result<Model, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(
            Lstm::new(128).recurrent_activation(preset.gate()).dropout(0.4).recurrent_dropout(0.4),
        )?
        .add(Dense::new(1, Activation::Sigmoid))
}
