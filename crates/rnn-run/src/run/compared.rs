//! Finished runs among others.

use crate::config::Config;
use crate::measure::Results;
use rnn::nn::{Figure, History, MetricSums, Metrics};

/// A finished run among others.
pub struct Compared {
    /// The model; that and the folder where there are two of one.
    pub name: String,
    /// What was trained.
    pub config: Config,
    /// How it went.
    pub history: History,
    /// What it came to.
    pub results: Results,
}

impl Compared {
    /// A figure of the results; none, if it is not one of the model's.
    pub fn figure(&self, of: Figure) -> Option<f64> {
        let there = match of {
            Figure::Loss => true,
            Figure::Auc => self.config.metric_sums() == MetricSums::Binary,
            _ => self.config.classes(),
        };
        there.then(|| self.results.test.figure(of))
    }

    /// Of each epoch what the validation came to, or the training where nothing was validated. Where
    /// there are no classes the accuracy is none, and has no curve.
    pub fn validation_metrics(&self) -> Vec<Metrics> {
        let classes = self.config.classes();
        let shown = |metrics: Metrics| match classes {
            true => metrics,
            false => Metrics { accuracy: f64::NAN, ..metrics },
        };
        self.history.epochs.iter().map(|e| shown(e.validation.unwrap_or(e.train))).collect()
    }
}

/// A setting that is not the same in all runs.
pub struct Differing {
    /// What it is called.
    pub name: String,
    /// Its value in each run.
    pub values: Vec<String>,
}
