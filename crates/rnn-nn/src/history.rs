use rnn_core::{HostTensor, TensorError};
use serde::{Deserialize, Serialize};

/// Means over the examples since the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The loss, with what regularizers add.
    pub loss: f64,
    /// The fraction that is classified right; 0 where there are no classes.
    pub accuracy: f64,
    /// Examples seen.
    pub count: usize,
}

impl Metrics {
    pub(crate) fn from_sums(sums: &HostTensor) -> Result<Self, TensorError> {
        let sums = sums.as_f32()?;
        let [loss, correct, count] = [0, 1, 2].map(|i| f64::from(sums[i]));
        let n = count.max(1.0);
        Ok(Self { loss: loss / n, accuracy: correct / n, count: count as usize })
    }
}

/// What one epoch came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochLog {
    /// From 1 on.
    pub epoch: usize,
    /// Over the training examples, while the weights changed.
    pub train: Metrics,
    /// Over the validation examples, at the end of the epoch.
    pub validation: Option<Metrics>,
    /// Wall time of training, without validation.
    pub seconds: f64,
}

/// All epochs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// In order.
    pub epochs: Vec<EpochLog>,
}

/// How long to train, and in what portions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitOptions {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples in a step.
    pub batch_size: usize,
}

/// What `fit` reports while it works.
#[derive(Clone, Debug)]
pub enum Event {
    /// An epoch begins.
    Epoch(usize),
    /// A step was queued; the metrics are of the most recent step whose figures have arrived.
    Step(usize, Metrics),
    /// An epoch is over.
    EpochEnd(EpochLog),
}
