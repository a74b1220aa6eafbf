//! What a run came to.

use super::{ClassificationReport, Histogram};
use crate::memory::Footprint;
use crate::splits::Split;
use rnn::nn::{History, Metrics};
use serde::{Deserialize, Serialize};

/// All that is known of a run once it is over, but for its model.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// How the training went.
    pub history: History,
    /// What the model came to.
    pub results: Results,
    /// What else was measured.
    pub measured: Measured,
}

/// What a run came to: `results.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Trainable parameters.
    pub parameters: usize,
    /// What it is judged by.
    #[serde(default)]
    pub judged_by: Split,
    /// Of that data.
    #[serde(flatten)]
    pub test: Metrics,
    /// Mean wall time of the training part of an epoch.
    pub seconds_per_epoch: f64,
}
/// What the page shows of a run beside its other files: `report.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The rows of the model's summary, of which the first names the columns.
    pub layers: Vec<Vec<String>>,
    /// Examples to train on, to validate, to test.
    pub examples: [usize; 3],
    /// How the model tells classes apart, where there are not too many.
    pub classes: Option<Classes>,
    /// The memory of a training step.
    pub memory: Option<Footprint>,
    /// The time of a training step by op, the most expensive first; none where the device has no
    /// clock.
    pub ops: Vec<OpTime>,
}

/// How a model tells classes apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Classes {
    /// Of the test data.
    pub report: ClassificationReport,
    /// Of two classes, the probabilities of the training data and of the test data.
    pub probabilities: Option<[Histogram; 2]>,
}

/// What one op did in a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpTime {
    /// Its name.
    pub op: String,
    /// How often it ran.
    pub calls: u64,
    /// For how long altogether.
    pub seconds: f64,
    /// Floating-point operations altogether.
    pub flops: u64,
    /// Bytes read and written altogether, each tensor once a call.
    pub bytes: u64,
}
