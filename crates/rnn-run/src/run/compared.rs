//! Comparison of finished runs.

use crate::config::Config;
use crate::measure::Results;
use rnn::nn::{Figure, History, MetricSums, Metrics};

/// A finished run that is compared with others.
pub struct Compared {
    /// Name of the run: that of its model, and what else tells it from the other runs.
    pub name: String,
    /// Its configuration.
    pub config: Config,
    /// The metrics of each epoch.
    pub history: History,
    /// The metrics at the end.
    pub results: Results,
}

impl Compared {
    /// Returns a metric of the results; `None` if it does not apply to the model. The loss applies
    /// to every model, the area under the ROC curve to classifiers of two classes, and every other
    /// metric to all classifiers.
    pub fn figure(&self, of: Figure) -> Option<f64> {
        let there = match of {
            Figure::Loss => true,
            Figure::Auc => self.config.metric_sums() == MetricSums::Binary,
            _ => self.config.classes(),
        };
        there.then(|| self.results.metrics.figure(of))
    }

    /// Returns the validation metrics of each epoch, or the training metrics of an epoch that was
    /// not validated. If the model is no classifier, the accuracy is NaN.
    pub fn validation_metrics(&self) -> Vec<Metrics> {
        let classes = self.config.classes();
        let shown = |metrics: Metrics| match classes {
            true => metrics,
            false => Metrics { accuracy: f64::NAN, ..metrics },
        };
        self.history.epochs.iter().map(|e| shown(e.validation.unwrap_or(e.train))).collect()
    }
}

/// A setting that differs between runs, with its value in each.
pub struct Differing {
    /// Name of the setting.
    pub name: String,
    /// Its value in each run, in the order of the runs.
    pub values: Vec<String>,
}
