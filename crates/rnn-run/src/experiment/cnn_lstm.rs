use super::{Preset, VOCABULARY};
use rnn::nn::{Conv1D, Dense, Embedding, Lstm, MaxPooling1D, Model, ModelError};
use rnn::{Activation, Padding};

/// Adds Embedding, Conv1D, MaxPooling1D, LSTM and Dense to an input of token ids `[B, T]`. The
/// output is a probability for each row.
///
/// # Errors
/// If the sequence is too short for the pooling.
pub fn model(start: Model, preset: Preset) -> Result<Model, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(Conv1D::new(32, 3).padding(Padding::Same).activation(Activation::Relu))?
        .add(MaxPooling1D(2))?
        .add(Lstm::new(128).recurrent_activation(preset.gate()))?
        .add(Dense::new(1, Activation::Sigmoid))
}
