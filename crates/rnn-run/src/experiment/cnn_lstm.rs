use super::{Preset, VOCABULARY};
use rnn::nn::{Conv1D, Dense, Embedding, Lstm, MaxPooling1D, Model, ModelError};
use rnn::{Activation, Padding};

/// Adds Embedding(5000, 32), Conv1D(32, 3) with ReLU and `same` padding, MaxPooling1D(2), LSTM(128)
/// and Dense(1) with a sigmoid to `start`, a model with an input of token ids `[B, T]`. The output
/// `[B, 1]` is the probability that a review is positive.
///
/// # Errors
/// Fails if the input is of another kind, or if T is less than 2, the size of a pooling window.
pub fn model(start: Model, preset: Preset) -> Result<Model, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(Conv1D::new(32, 3).padding(Padding::Same).activation(Activation::Relu))?
        .add(MaxPooling1D(2))?
        .add(Lstm::new(128).recurrent_activation(preset.gate()))?
        .add(Dense::new(1, Activation::Sigmoid))
}
