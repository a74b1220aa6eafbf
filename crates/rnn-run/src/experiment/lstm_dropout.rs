use super::{Preset, VOCABULARY};
use rnn::Activation;
use rnn::nn::{Dense, Embedding, Lstm, Model, ModelError};

pub fn model(start: Model, preset: Preset) -> Result<Model, ModelError> {
    start
        .add(Embedding::new(VOCABULARY, 32))?
        .add(
            Lstm::new(128).recurrent_activation(preset.gate()).dropout(0.4).recurrent_dropout(0.4),
        )?
        .add(Dense::new(1, Activation::Sigmoid))
}
