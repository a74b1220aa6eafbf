//! The condition for the early end of a training.

use rnn::nn::{EarlyStopping, Figure, Monitor};
use serde::{Deserialize, Serialize};

/// The condition on which a training ends early, with the arguments of Keras's `EarlyStopping`
/// (keras/src/callbacks/early_stopping.py). [`Default`] monitors the loss with a patience of 3
/// epochs and restores the best weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stopping {
    monitor: Watched,
    patience: usize,
    min_delta: f64,
    restore_best_weights: bool,
}

impl Default for Stopping {
    fn default() -> Self {
        let monitor = Watched::Loss;
        Self { monitor, patience: 3, min_delta: 0.0, restore_best_weights: true }
    }
}

/// The metric that is watched, on the validation examples if there are some.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Watched {
    Loss,
    Accuracy,
    Precision,
    Recall,
    F1,
    Auc,
}

impl Stopping {
    /// Returns the condition that the loss has not fallen for `patience` epochs, which restores the best
    /// weights.
    pub fn after(patience: usize) -> Self {
        Self { patience, ..Self::default() }
    }

    /// Returns the callback that ends a training on this condition.
    pub fn callback(&self) -> EarlyStopping {
        let figure = match self.monitor {
            Watched::Loss => Figure::Loss,
            Watched::Accuracy => Figure::Accuracy,
            Watched::Precision => Figure::Precision,
            Watched::Recall => Figure::Recall,
            Watched::F1 => Figure::F1,
            Watched::Auc => Figure::Auc,
        };
        let stopping = EarlyStopping::new(Monitor::from(figure), self.patience);
        let stopping = stopping.min_delta(self.min_delta);
        if self.restore_best_weights { stopping.restore_best_weights() } else { stopping }
    }
}
