//! The models of the tutorial.

use crate::nn::{Dense, Embedding, InputSpec, Lstm, ModelError, Sequential, SimpleRnn};
use rnn_ops::Activation;
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
}

impl Experiment {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SimpleRnn => "simple-rnn",
            Self::Lstm => "lstm",
        }
    }

    /// The model with its first weights.
    ///
    /// # Errors
    /// Never: the layers fit each other.
    pub fn model(self, length: usize, seed: u64) -> Result<Sequential, ModelError> {
        let start = Sequential::new(InputSpec::Tokens(length), seed);
        let start = start.add(Embedding::new(VOCABULARY, 32))?;
        let recurrent = match self {
            Self::SimpleRnn => start.add(SimpleRnn::new(128))?,
            Self::Lstm => start.add(Lstm::new(128))?,
        };
        recurrent.add(Dense::new(1, Activation::Sigmoid))
    }
}
