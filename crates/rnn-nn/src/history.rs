use crate::json_float;
use rnn_core::{HostTensor, TensorError};
use rnn_ops::MetricSums;
use serde::{Deserialize, Serialize};

/// Means over the examples since the last reset, and over their steps where each is judged by itself.
/// Steps that a mask leaves out count in none of them; weights of examples count in the loss alone,
/// as with Keras's `metrics`. The loss is that of batches, each counting as many times as it has
/// examples, as in Keras's progress and `evaluate`. Unlike Keras, whose Precision, Recall and AUC do
/// not look at masks, all figures leave out the same steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The mean loss, including the terms of regularizers.
    #[serde(with = "json_float")]
    pub loss: f64,
    /// The fraction of examples that are classified correctly; 0 without classes.
    #[serde(with = "json_float")]
    pub accuracy: f64,
    /// The fraction of correct ones among the predictions of a class, averaged over the classes; of
    /// two classes it is that of the positive one.
    #[serde(default, with = "json_float")]
    pub precision: f64,
    /// The fraction of the examples of a class that are predicted as such, averaged over the
    /// classes as `precision` is.
    #[serde(default, with = "json_float")]
    pub recall: f64,
    /// The harmonic mean of precision and recall, over classes as `precision`.
    #[serde(default, with = "json_float")]
    pub f1: f64,
    /// The area under the ROC curve of 200 thresholds; 0 unless there are two classes.
    #[serde(default, with = "json_float")]
    pub auc: f64,
    /// The number of examples.
    pub count: usize,
}

/// The name of one of the [`Metrics`], for callbacks that watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The loss, which is better if smaller; the others if larger.
    Loss,
    /// The fraction right.
    Accuracy,
    /// The fraction right of what was taken for a class.
    Precision,
    /// The fraction found of what belongs to a class.
    Recall,
    /// The harmonic mean of precision and recall.
    F1,
    /// The area under the ROC curve.
    Auc,
}

impl Metrics {
    /// Returns one of the metrics by its name; it is 0 where the loss of the model does not allow
    /// it.
    pub fn figure(&self, figure: Figure) -> f64 {
        match figure {
            Figure::Loss => self.loss,
            Figure::Accuracy => self.accuracy,
            Figure::Precision => self.precision,
            Figure::Recall => self.recall,
            Figure::F1 => self.f1,
            Figure::Auc => self.auc,
        }
    }

    fn csv(&self) -> String {
        let Self { loss, accuracy, precision, recall, f1, auc, count: _ } = self;
        format!("{loss},{accuracy},{precision},{recall},{f1},{auc}")
    }

    /// Computes the metrics from the sums of an [`UpdateMetricSums`](rnn_ops::UpdateMetricSums).
    pub(crate) fn from_sums(
        sums: &HostTensor,
        metric_sums: MetricSums,
    ) -> Result<Self, TensorError> {
        let sums: Vec<f64> = sums.as_f32()?.iter().copied().map(f64::from).collect();
        let (leading, counters) = sums.split_at(MetricSums::LEADING);
        let [loss, right, count, rows] = [0, 1, 2, 3].map(|i| leading[i]);
        let (classes, buckets) = match metric_sums {
            MetricSums::Binary => counters.split_at(3),
            _ => counters.split_at(counters.len()),
        };
        let mean = |of: fn(&[f64]) -> f64| {
            let scores = classes.chunks_exact(3).map(of);
            scores.sum::<f64>() / (classes.len() / 3).max(1) as f64
        };
        Ok(Self {
            loss: ratio(loss, count),
            accuracy: ratio(right, rows),
            precision: mean(|c| ratio(c[0], c[1])),
            recall: mean(|c| ratio(c[0], c[2])),
            f1: mean(|c| ratio(2.0 * c[0], c[1] + c[2])),
            auc: area_under_roc(buckets),
            count: count as usize,
        })
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// By the trapezoidal rule, from negative and positive examples by bucket of their probability,
/// the lowest first.
fn area_under_roc(buckets: &[f64]) -> f64 {
    let (mut negatives, mut positives, mut area) = (0.0, 0.0, 0.0);
    for bucket in buckets.chunks_exact(2).rev() {
        area += bucket[0] * (positives + bucket[1] / 2.0);
        negatives += bucket[0];
        positives += bucket[1];
    }
    ratio(area, negatives * positives)
}

/// The results of one epoch: its metrics and its time in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochLog {
    /// The number of the epoch, from 1 on.
    pub epoch: usize,
    /// Over the training examples, while the weights changed.
    pub train: Metrics,
    /// Over the validation examples, at the end of the epoch; `None` if there are none.
    pub validation: Option<Metrics>,
    /// The wall time of training in seconds, without validation.
    #[serde(with = "json_float")]
    pub seconds: f64,
}

impl EpochLog {
    /// The column names of [`EpochLog::csv`] as a line, comma-separated, with its end.
    pub const CSV_NAMES: &str = "epoch,loss,accuracy,precision,recall,f1,auc,val_loss,val_accuracy,\
        val_precision,val_recall,val_f1,val_auc,seconds\n";

    /// Returns the epoch as a line of comma-separated values in the order of
    /// [`EpochLog::CSV_NAMES`]. Without validation its columns are empty. The line ends in a line
    /// feed.
    pub fn csv(&self) -> String {
        let validation = self.validation.map_or(",,,,,".into(), |v| v.csv());
        format!("{},{},{validation},{}\n", self.epoch, self.train.csv(), self.seconds)
    }
}

/// The metrics and times of all epochs of a training.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// The epochs in order.
    pub epochs: Vec<EpochLog>,
}

/// The length of a training in epochs and the size of its batches in examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitOptions {
    /// The number of passes over the training examples.
    pub epochs: usize,
    /// The number of examples in a step, over all ranks; 0 acts as 1.
    pub batch_size: usize,
}

/// A moment of a training at which callbacks are called, with what is known then.
#[derive(Clone, Debug)]
pub enum Event {
    /// An epoch begins: its number, from 1 on.
    Epoch(usize),
    /// A step was queued: its number in the epoch, from 1 on; the metrics are of the most recent
    /// step whose figures have arrived.
    Step(usize, Metrics),
    /// So many batches of the validation behind an epoch's steps were queued. A callback that breaks
    /// off here leaves the training as it was before that validation.
    Validation(usize),
    /// An epoch is over.
    EpochEnd(EpochLog),
}
