//! What a run came to.

use super::{ClassificationReport, Histogram};
use crate::memory::Footprint;
use crate::splits::Split;
use rnn::nn::{History, Metrics, json_float};
use serde::{Deserialize, Serialize};

/// The outcome of a run, apart from its model: history, results and measurements.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The metrics of each epoch.
    pub history: History,
    /// The metrics at the end.
    pub results: Results,
    /// Further measurements for the page of the run.
    pub measured: Measured,
}

/// The metrics of a run at its end, which `results.json` in its folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Number of trainable parameters.
    pub parameters: usize,
    /// The part of the data that the model was evaluated on; `judged_by` in older files.
    #[serde(default, alias = "judged_by")]
    pub evaluated_on: Split,
    /// Loss and metrics on that part.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Mean wall time of the training part of an epoch, in seconds.
    #[serde(with = "json_float")]
    pub seconds_per_epoch: f64,
}

/// Further measurements of a run, for its page, which `report.json` in its folder holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The rows of the model's summary, the names of the columns first.
    pub layers: Vec<Vec<String>>,
    /// Numbers of examples to train on, to validate and to test.
    pub examples: [usize; 3],
    /// Scores by class, if there are few enough classes.
    pub classes: Option<Classes>,
    /// The memory of a training step; `None` if it is not known, as of runs of earlier versions.
    pub memory: Option<Footprint>,
    /// The time of a training step by op, the most expensive first; empty if the device has no
    /// clock.
    pub ops: Vec<OpTime>,
}

/// The scores of a classifier, by class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Classes {
    /// Scores on the data that the run was evaluated on.
    pub report: ClassificationReport,
    /// For two classes, the predicted probabilities on the training data and on the data that the
    /// run was evaluated on; `None` for more classes.
    pub probabilities: Option<[Histogram; 2]>,
}

/// The time and work of all nodes of one op in a training step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpTime {
    /// Name of the op.
    pub op: String,
    /// Number of its nodes that ran in the step.
    pub calls: u64,
    /// Time of all of them, in seconds.
    pub seconds: f64,
    /// Floating-point operations of all of them; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes read and written by all of them, each tensor once a call.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_with_the_former_name_of_the_split_are_read() {
        let results = Results {
            parameters: 3,
            evaluated_on: Split::Validation,
            metrics: Metrics::default(),
            seconds_per_epoch: 0.5,
        };
        let written = serde_json::to_string(&results).expect("JSON");
        let former = written.replace("evaluated_on", "judged_by");
        assert_ne!(former, written);
        for text in [written, former] {
            assert_eq!(serde_json::from_str::<Results>(&text).expect("results"), results);
        }
    }
}
