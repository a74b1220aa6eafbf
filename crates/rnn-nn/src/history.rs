use crate::json_float;
use rnn_core::{HostTensor, TensorError};
use rnn_ops::MetricSums;
use serde::{Deserialize, Serialize};

/// The metrics of a set of examples, computed from sums since the last reset.
///
/// If the loss judges each step of a sequence by itself, all figures but `loss` are over steps, and
/// masked steps do not count. The weights of examples count in `loss` alone, as with Keras's
/// `metrics`. `loss` is the mean of the losses of the batches, weighted by their numbers of
/// examples, as in Keras's `evaluate`. Unlike Keras, precision, recall and AUC leave out masked
/// steps too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The mean loss, including the penalties of regularizers.
    #[serde(with = "json_float")]
    pub loss: f64,
    /// The fraction of examples or steps that are classified correctly; 0 if the loss has no
    /// classes.
    #[serde(with = "json_float")]
    pub accuracy: f64,
    /// The fraction of the predictions of a class that are correct. For a binary loss the class is
    /// the positive one; for a categorical loss this is the mean over all classes. 0 without
    /// classes.
    #[serde(default, with = "json_float")]
    pub precision: f64,
    /// The fraction of the examples of a class that are predicted to be of the class, for the same
    /// classes as `precision`.
    #[serde(default, with = "json_float")]
    pub recall: f64,
    /// The harmonic mean 2 p r / (p + r) of the precision p and the recall r of the positive class;
    /// for a categorical loss the mean of this number over all classes. 0 without classes.
    #[serde(default, with = "json_float")]
    pub f1: f64,
    /// The area under the ROC curve at Keras's 200 thresholds, for a binary loss; 0 for every
    /// other.
    #[serde(default, with = "json_float")]
    pub auc: f64,
    /// The number of examples.
    pub count: usize,
}

/// The name of one of the [`Metrics`], for callbacks that watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// [`Metrics::loss`], which is better if it is smaller; all others are better if they are
    /// larger.
    Loss,
    /// [`Metrics::accuracy`].
    Accuracy,
    /// [`Metrics::precision`].
    Precision,
    /// [`Metrics::recall`].
    Recall,
    /// [`Metrics::f1`].
    F1,
    /// [`Metrics::auc`].
    Auc,
}

impl Metrics {
    /// Returns the metric of this name. Metrics that the loss of the model does not allow are 0.
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
    /// The metrics of the training examples, computed in each step before its update of the
    /// weights.
    pub train: Metrics,
    /// The metrics of the validation examples at the end of the epoch; `None` without validation.
    pub validation: Option<Metrics>,
    /// The wall time of the training steps in seconds, without validation.
    #[serde(with = "json_float")]
    pub seconds: f64,
}

impl EpochLog {
    /// The column names of [`EpochLog::csv`], separated by commas, as a line with its line feed.
    pub const CSV_NAMES: &str = "epoch,loss,accuracy,precision,recall,f1,auc,val_loss,val_accuracy,\
        val_precision,val_recall,val_f1,val_auc,seconds\n";

    /// Returns the epoch as a line of comma-separated values, with its line feed, in the order of
    /// [`EpochLog::CSV_NAMES`]. Without validation its columns are empty.
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

/// A moment of a training at which callbacks are called.
/// [`Callback::on_event`](crate::Callback::on_event) may end the training there, by
/// `ControlFlow::Break`.
#[derive(Clone, Debug)]
pub enum Event {
    /// The epoch of this number, from 1 on, begins.
    Epoch(usize),
    /// The step of this number in the epoch, from 1 on, was queued. The metrics are those of the
    /// epoch up to an earlier step, the last whose sums have arrived from the device; before that
    /// all are 0.
    Step(usize, Metrics),
    /// This number of batches of the validation at the end of an epoch were queued. `Break` drops
    /// the validation, and the state is that of the training after the epoch's last step. With
    /// several ranks or a stateful model `Break` has no effect here.
    Validation(usize),
    /// An epoch is over, validation included, with these results.
    EpochEnd(EpochLog),
}
