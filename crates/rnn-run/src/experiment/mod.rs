//! The models of the tutorial, one file each.

mod cnn_lstm;
mod lstm;
mod lstm_dropout;
pub mod next_frame;
mod simple_rnn;

use rnn::Activation;
use rnn::nn::{InputSpec, MetricSums, Model, ModelError, Optimizer};
use serde::{Deserialize, Serialize};

/// Number of token ids of the models on reviews: 5,000, words and the three special tokens.
pub const VOCABULARY: usize = 5000;
/// Number of tokens of a review that the models take: 500. Longer reviews are cut at their
/// beginning.
pub const LENGTH: usize = 500;

/// A model of the tutorial, with its layers and their sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Experiment {
    /// Embedding(5000, 32), SimpleRNN(128), Dense(1).
    SimpleRnn,
    /// Embedding(5000, 32), LSTM(128), Dense(1).
    Lstm,
    /// The layers of lstm, LSTM with dropout and recurrent dropout of 0.4.
    LstmDropout,
    /// Conv1D(32, 3) and MaxPooling1D(2), followed by the layers of lstm.
    CnnLstm,
    /// 4 x (ConvLSTM2D(40, 3 x 3), BatchNormalization), Conv3D(1, 3 x 3 x 3), on videos.
    NextFrame,
}

/// The defaults of layers and optimizers that a model follows: those of a version of Keras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Keras 3's: gates are sigmoids.
    #[default]
    #[cfg_attr(feature = "clap", value(name = "keras3"))]
    Keras3,
    /// Keras 2.2's, of 2018, when the tutorial was written: gates are hard sigmoids.
    #[cfg_attr(feature = "clap", value(name = "2018"))]
    Keras2018,
    /// next-frame as in 2018 on small videos, for machines without a GPU.
    Quick,
}

impl Preset {
    /// Returns the activation of the gates of an LSTM: the sigmoid for [`Preset::Keras3`], the hard
    /// sigmoid of Keras 2.2 for the others.
    pub fn gate(self) -> Activation {
        match self {
            Self::Keras3 => Activation::Sigmoid,
            Self::Keras2018 | Self::Quick => Activation::HardSigmoid2018,
        }
    }
}

impl Experiment {
    /// The models on reviews, in the order of the tutorial.
    pub const REVIEWS: [Self; 4] = [Self::SimpleRnn, Self::Lstm, Self::LstmDropout, Self::CnnLstm];

    /// Returns the name of the experiment, as it is given to commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::SimpleRnn => "simple-rnn",
            Self::Lstm => "lstm",
            Self::LstmDropout => "lstm-dropout",
            Self::CnnLstm => "cnn-lstm",
            Self::NextFrame => "next-frame",
        }
    }

    /// Returns the type of one example in the tutorial, without the batch: 500 token ids of a
    /// review, or a video of 15 frames of 40 x 40 pixels, `[15, 40, 40, 1]`.
    pub fn input(self) -> InputSpec {
        match self {
            Self::NextFrame => InputSpec::floats([15, 40, 40, 1]),
            _ => InputSpec::tokens([LENGTH]),
        }
    }

    /// Builds the model for `input`, with the defaults of `preset` and initial weights drawn from
    /// `seed`.
    ///
    /// # Errors
    /// Fails if the examples are too short for the model, or of another kind than it takes.
    pub fn model(self, input: InputSpec, preset: Preset, seed: u64) -> Result<Model, ModelError> {
        let start = Model::sequential(input, seed);
        match self {
            Self::SimpleRnn => simple_rnn::model(start),
            Self::Lstm => lstm::model(start, preset),
            Self::LstmDropout => lstm_dropout::model(start, preset),
            Self::CnnLstm => cnn_lstm::model(start, preset),
            Self::NextFrame => next_frame::model(start, preset),
        }
    }

    /// Returns the optimizer of the tutorial with the preset's defaults: Adadelta for videos, Adam
    /// for reviews.
    pub fn optimizer(self, preset: Preset) -> Optimizer {
        match self {
            Self::NextFrame => next_frame::optimizer(preset),
            _ => Optimizer::adam(),
        }
    }

    /// Returns the sums from which metrics are computed: [`MetricSums::Regression`] for videos,
    /// which have no classes, [`MetricSums::Binary`] for reviews.
    pub fn metric_sums(self) -> MetricSums {
        match self {
            Self::NextFrame => MetricSums::Regression,
            _ => MetricSums::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Experiment, Preset};

    #[test]
    fn the_models_have_the_tutorials_parameters() -> Result<(), rnn::nn::ModelError> {
        let parameters = |experiment: Experiment| {
            let model = experiment.model(experiment.input(), Preset::default(), 1)?;
            Ok::<_, rnn::nn::ModelError>(model.count_params())
        };
        let wanted = [180_737, 242_561, 242_561, 245_665];
        for (experiment, wanted) in Experiment::REVIEWS.into_iter().zip(wanted) {
            assert_eq!(parameters(experiment)?, wanted, "{experiment:?}");
        }
        assert_eq!(parameters(Experiment::NextFrame)?, 407_001);
        Ok(())
    }
}
