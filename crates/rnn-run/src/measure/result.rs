//! The results of a run.

use super::{ClassificationReport, Histogram};
use crate::forecast::ForecastReport;
use crate::memory::Footprint;
use crate::splits::Split;
use rnn::nn::{History, Metrics, json_float};
use serde::{Deserialize, Serialize};

/// The results of a run, apart from its model.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The metrics of each epoch.
    pub history: History,
    /// The metrics at the end.
    pub results: Results,
    /// Further measurements for the page of the run.
    pub measured: Measured,
}

/// The metrics of a run after its last epoch, which `results.json` in its folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Number of parameters of the model: the elements of all weights, including those that are not
    /// trained.
    pub parameters: usize,
    /// The part of the data that the model was evaluated on. Older files name it `judged_by`, or
    /// not at all, which stands for the test data.
    #[serde(default, alias = "judged_by")]
    pub evaluated_on: Split,
    /// Loss and metrics on that part of the data.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Mean wall time of the training part of an epoch, in seconds; 0 without epochs.
    #[serde(with = "json_float")]
    pub seconds_per_epoch: f64,
}

/// Further measurements of a run, for its page, which `report.json` in its folder holds.
/// [`Default`] has none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The rows of the model's summary as the texts of their cells
    /// ([`rnn::nn::Model::summary_rows`]); the first row names the columns.
    pub layers: Vec<Vec<String>>,
    /// Numbers of examples to train on, to validate and to test, in this order.
    pub examples: [usize; 3],
    /// Scores by class; `None` if the model is no classifier or has more than 20 classes.
    pub classes: Option<Classes>,
    /// The errors of forecasts; `None` if the run does not forecast time series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastReport>,
    /// The memory of a training step; `None` if it is not known, as in runs of earlier versions.
    pub memory: Option<Footprint>,
    /// The time of a training step by op, the most expensive first; empty if the device cannot
    /// measure time.
    pub ops: Vec<OpTime>,
}

/// The scores of a classifier by class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Classes {
    /// Scores on the data that the run was evaluated on.
    pub report: ClassificationReport,
    /// For two classes, the predicted probabilities on the training data, then on the data that the
    /// run was evaluated on; `None` for more classes.
    pub probabilities: Option<[Histogram; 2]>,
}

/// The time and the work of all nodes of one op in a training step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpTime {
    /// Name of the op.
    pub op: String,
    /// Number of nodes of the op that ran in the step.
    pub calls: u64,
    /// Time of all calls together, in seconds.
    pub seconds: f64,
    /// Floating-point operations of all calls together; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes read and written by all calls together; in each call, each tensor counts once.
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
