//! The models of the tutorial, one file each.

mod cnn_lstm;
mod lstm;
mod lstm_dropout;
mod simple_rnn;

use crate::Activation;
use crate::nn::{InputSpec, ModelError, Sequential};
use serde::{Deserialize, Serialize};

/// Words that the models know, the three special tokens included.
pub const VOCABULARY: usize = 5000;
/// Tokens of a review that the models see; longer ones lose their beginning.
pub const LENGTH: usize = 500;

/// A model to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Experiment {
    /// Embedding(5000, 32), SimpleRNN(128), Dense(1).
    SimpleRnn,
    /// Embedding(5000, 32), LSTM(128), Dense(1).
    Lstm,
    /// The same, LSTM with dropout and recurrent dropout of 0.4.
    LstmDropout,
    /// The same as lstm behind Conv1D(32, 3) and MaxPooling1D(2).
    CnnLstm,
}

/// Whose defaults a model follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Keras 3's: gates are sigmoids.
    #[default]
    #[value(name = "keras3")]
    Keras3,
    /// Keras 2.2's, of 2018, when the tutorial was written: gates are hard sigmoids.
    #[value(name = "2018")]
    Keras2018,
}

impl Preset {
    /// The activation of the gates of an LSTM.
    pub fn gate(self) -> Activation {
        match self {
            Self::Keras3 => Activation::Sigmoid,
            Self::Keras2018 => Activation::HardSigmoid2018,
        }
    }
}

impl Experiment {
    /// All of them, in the tutorial's order.
    pub const ALL: [Self; 4] = [Self::SimpleRnn, Self::Lstm, Self::LstmDropout, Self::CnnLstm];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SimpleRnn => "simple-rnn",
            Self::Lstm => "lstm",
            Self::LstmDropout => "lstm-dropout",
            Self::CnnLstm => "cnn-lstm",
        }
    }

    /// The model with its first weights.
    ///
    /// # Errors
    /// If the reviews are too short for it.
    pub fn model(self, preset: Preset, length: usize, seed: u64) -> Result<Sequential, ModelError> {
        let start = Sequential::new(InputSpec::Tokens(length), seed);
        match self {
            Self::SimpleRnn => simple_rnn::model(start),
            Self::Lstm => lstm::model(start, preset),
            Self::LstmDropout => lstm_dropout::model(start, preset),
            Self::CnnLstm => cnn_lstm::model(start, preset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Experiment, LENGTH, Preset};

    #[test]
    fn the_models_have_the_tutorials_parameters() -> Result<(), crate::nn::ModelError> {
        for (experiment, wanted) in
            Experiment::ALL.into_iter().zip([180_737, 242_561, 242_561, 245_665])
        {
            assert_eq!(
                experiment.model(Preset::default(), LENGTH, 1)?.count_params(),
                wanted,
                "{experiment:?}"
            );
        }
        Ok(())
    }
}
