use crate::{EpochLog, Event, Figure, Metrics, Model, TrainError, Trainer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;

/// A receiver of the events of a training, which it may end or change (keras/src/callbacks).
pub trait Callback {
    /// Handles one event. `Break` ends the training where the event stands ([`Event`]).
    ///
    /// # Errors
    /// Any error ends the training, and [`Trainer::fit`] returns it.
    fn on_event(
        &mut self,
        event: &Event,
        trainer: &mut Trainer,
    ) -> Result<ControlFlow<()>, TrainError>;

    /// Returns the values that the callback keeps between events, for a checkpoint; by default
    /// none.
    fn state(&self) -> CallbackState {
        CallbackState::default()
    }

    /// Restores the values that [`Callback::state`] returned; by default does nothing.
    fn restore(&mut self, _: &CallbackState) {}
}

/// The values that a callback keeps from one event to the next, as a checkpoint stores them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallbackState {
    /// The numbers that the callback keeps, by names that it chooses.
    #[serde(with = "crate::json_float::map")]
    pub numbers: BTreeMap<String, f64>,
    /// Weights in the order of [`Model::parameters`](crate::Model::parameters); `None` if the
    /// callback keeps none.
    #[serde(skip)]
    pub weights: Option<Vec<f32>>,
}

impl CallbackState {
    fn with(mut self, name: &str, number: impl Into<f64>) -> Self {
        self.numbers.insert(name.into(), number.into());
        self
    }

    /// A number that counts something; 0 where there is none.
    fn count(&self, name: &str) -> usize {
        self.numbers.get(name).map_or(0, |&number| number as usize)
    }
}

impl<F: FnMut(&Event) -> ControlFlow<()>> Callback for F {
    fn on_event(&mut self, event: &Event, _: &mut Trainer) -> Result<ControlFlow<()>, TrainError> {
        Ok(self(event))
    }
}

const ON: Result<ControlFlow<()>, TrainError> = Ok(ControlFlow::Continue(()));

/// The figure that a callback watches. A loss is better if it is smaller, every other figure if it
/// is larger. NaN and infinities never are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitor {
    /// The figure of the validation examples, or of the training examples if nothing is validated.
    Validation(Figure),
    /// The figure of the training examples.
    Training(Figure),
}

impl From<Figure> for Monitor {
    fn from(figure: Figure) -> Self {
        Self::Validation(figure)
    }
}

impl Monitor {
    /// The figure, with the sign that makes larger better.
    fn score(self, log: &EpochLog) -> f64 {
        let (metrics, figure) = match self {
            Self::Validation(figure) => (log.validation.unwrap_or(log.train), figure),
            Self::Training(figure) => (log.train, figure),
        };
        if figure == Figure::Loss { -metrics.loss } else { metrics.figure(figure) }
    }
}

/// The best figure so far, and for how many epochs none was better.
#[derive(Clone, Copy, Debug)]
struct Best {
    monitor: Monitor,
    min_delta: f64,
    score: Option<f64>,
    wait: usize,
}

impl Best {
    fn new(monitor: impl Into<Monitor>, min_delta: f64) -> Self {
        Self { monitor: monitor.into(), min_delta, score: None, wait: 0 }
    }

    /// Returns true if this epoch is the best so far.
    fn improves(&mut self, log: &EpochLog) -> bool {
        let score = self.monitor.score(log);
        // The first figure is the best so far; NaN and infinities never are.
        let better =
            score.is_finite() && self.score.is_none_or(|best| score > best + self.min_delta);
        self.wait += 1;
        if better {
            self.score = Some(score);
            self.wait = 0;
        }
        better
    }

    fn state(&self) -> CallbackState {
        let state = CallbackState::default().with("wait", self.wait as f64);
        match self.score {
            Some(score) => state.with("score", score),
            None => state,
        }
    }

    fn restore(&mut self, state: &CallbackState) {
        self.wait = state.count("wait");
        self.score = state.numbers.get("score").copied();
    }
}

/// Ends a training once a figure has stopped improving (keras/src/callbacks/early_stopping.py). It
/// also ends a training that is resumed from a state in which it had ended it.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    best: Best,
    patience: usize,
    restore: bool,
    weights: Option<Vec<f32>>,
    stopped: bool,
}

impl EarlyStopping {
    /// Creates a callback that ends the training after `patience` epochs in a row without a better
    /// figure; 0 acts as 1. A [`Figure`] as `monitor` stands for [`Monitor::Validation`]. By
    /// default `min_delta` is 0 and the weights stay those of the last epoch.
    pub fn new(monitor: impl Into<Monitor>, patience: usize) -> Self {
        let best = Best::new(monitor, 0.0);
        Self { best, patience, restore: false, weights: None, stopped: false }
    }

    /// Sets the difference to the best figure beyond which a figure counts as better, at least 0;
    /// the default is 0, so that any improvement counts.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.best.min_delta = min_delta;
        self
    }

    /// Makes the callback set the model's weights to those of the best epoch when it stops the
    /// training. By default, and if the training ends otherwise, they stay those of the last epoch.
    pub fn restore_best_weights(mut self) -> Self {
        self.restore = true;
        self
    }

    /// Returns true if the callback has ended a training, false if it has not or the training ended
    /// otherwise.
    pub fn stopped(&self) -> bool {
        self.stopped
    }
}

impl Callback for EarlyStopping {
    fn on_event(
        &mut self,
        event: &Event,
        trainer: &mut Trainer,
    ) -> Result<ControlFlow<()>, TrainError> {
        if self.stopped {
            return Ok(ControlFlow::Break(()));
        }
        let Event::EpochEnd(log) = event else { return ON };
        if self.best.improves(log) {
            if self.restore {
                self.weights = Some(trainer.model()?.parameters().to_vec());
            }
            return ON;
        }
        if self.best.wait < self.patience {
            return ON;
        }
        if let Some(weights) = &self.weights {
            trainer.set_parameters(weights)?;
        }
        self.stopped = true;
        Ok(ControlFlow::Break(()))
    }

    fn state(&self) -> CallbackState {
        let state = self.best.state().with("stopped", u8::from(self.stopped));
        CallbackState { weights: self.weights.clone(), ..state }
    }

    fn restore(&mut self, state: &CallbackState) {
        self.best.restore(state);
        self.stopped = state.count("stopped") > 0;
        self.weights.clone_from(&state.weights);
    }
}

/// Lowers the learning rate once a figure has stopped improving
/// (keras/src/callbacks/reduce_lr_on_plateau.py).
#[derive(Clone, Debug)]
pub struct ReduceOnPlateau {
    best: Best,
    factor: f64,
    patience: usize,
    cooldown: usize,
    resting: usize,
    floor: f64,
}

impl ReduceOnPlateau {
    /// Creates a callback that multiplies the learning rate by `factor`, between 0 and 1, after
    /// `patience` epochs in a row without a figure better by 0.0001; a patience of 0 acts as 1. A
    /// [`Figure`] as `monitor` stands for [`Monitor::Validation`]. By default there is no cooldown
    /// and no floor.
    pub fn new(monitor: impl Into<Monitor>, factor: f64, patience: usize) -> Self {
        let best = Best::new(monitor, 1e-4);
        Self { best, factor, patience, cooldown: 0, resting: 0, floor: 0.0 }
    }

    /// Sets the difference to the best figure beyond which a figure counts as better, at least 0;
    /// the default is 0.0001.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.best.min_delta = min_delta;
        self
    }

    /// Sets the number of epochs after a reduction in which epochs without improvement are not
    /// counted; the default is 0.
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// Sets the smallest factor of the learning rate ([`Trainer::rate_factor`]), in 0..=1; the
    /// default is 0, which is no limit. Keras's `min_lr` is a rate instead.
    pub fn floor(mut self, fraction: f64) -> Self {
        self.floor = fraction;
        self
    }
}

impl Callback for ReduceOnPlateau {
    fn on_event(
        &mut self,
        event: &Event,
        trainer: &mut Trainer,
    ) -> Result<ControlFlow<()>, TrainError> {
        let Event::EpochEnd(log) = event else { return ON };
        if self.resting > 0 {
            self.resting -= 1;
            self.best.wait = 0;
        }
        let better = self.best.improves(log);
        if self.resting > 0 {
            self.best.wait = 0;
        } else if !better && self.best.wait >= self.patience {
            let factor = trainer.rate_factor() * self.factor;
            trainer.set_rate_factor(factor.max(self.floor));
            self.resting = self.cooldown;
            self.best.wait = 0;
        }
        ON
    }

    fn state(&self) -> CallbackState {
        self.best.state().with("resting", self.resting as f64)
    }

    fn restore(&mut self, state: &CallbackState) {
        self.best.restore(state);
        self.resting = state.count("resting");
    }
}

/// Saves the model after each epoch whose figure is the best so far
/// (keras/src/callbacks/model_checkpoint.py).
pub struct ModelCheckpoint<F> {
    best: Best,
    save: F,
}

impl<F: FnMut(&Model) -> Result<(), String>> ModelCheckpoint<F> {
    /// Creates a callback that calls `save` with the model after each epoch whose figure is the
    /// best so far, the first finite one included. A [`Figure`] as `monitor` stands for
    /// [`Monitor::Validation`]. If `save` returns an error message, the training ends with
    /// [`TrainError::Callback`].
    pub fn new(monitor: impl Into<Monitor>, save: F) -> Self {
        Self { best: Best::new(monitor, 0.0), save }
    }
}

impl<F: FnMut(&Model) -> Result<(), String>> Callback for ModelCheckpoint<F> {
    fn on_event(
        &mut self,
        event: &Event,
        trainer: &mut Trainer,
    ) -> Result<ControlFlow<()>, TrainError> {
        if let Event::EpochEnd(log) = event
            && self.best.improves(log)
        {
            (self.save)(trainer.model()?).map_err(TrainError::Callback)?;
        }
        ON
    }

    fn state(&self) -> CallbackState {
        self.best.state()
    }

    fn restore(&mut self, state: &CallbackState) {
        self.best.restore(state);
    }
}

/// Ends the training with [`TrainError::NotFinite`] when the loss of the training is NaN or
/// infinite, and with [`TrainError::ValidationNotFinite`] when that of the validation is.
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminateOnNan;

impl Callback for TerminateOnNan {
    fn on_event(
        &mut self,
        event: &Event,
        trainer: &mut Trainer,
    ) -> Result<ControlFlow<()>, TrainError> {
        let loss = match event {
            Event::Step(_, metrics) => metrics.loss,
            Event::EpochEnd(log) => log.train.loss,
            Event::Epoch(_) | Event::Validation(_) => return ON,
        };
        if !loss.is_finite() {
            let what = format!("the loss became {loss}");
            return Err(TrainError::NotFinite { what, step: trainer.steps_done() });
        }
        match event {
            &Event::EpochEnd(EpochLog {
                epoch, validation: Some(Metrics { loss, .. }), ..
            }) if !loss.is_finite() => Err(TrainError::ValidationNotFinite { loss, epoch }),
            _ => ON,
        }
    }
}

/// Writes a line of comma-separated values after each epoch, with the columns of
/// [`EpochLog::CSV_NAMES`](crate::EpochLog::CSV_NAMES), and flushes the writer. If it fails, the
/// training ends with [`TrainError::Callback`].
#[derive(Debug)]
pub struct CsvLog<W> {
    writer: W,
    begun: bool,
}

impl<W: Write> CsvLog<W> {
    /// Creates a log that writes to `writer` and begins with a line of column names, unless the
    /// training is resumed from a state in which the log has begun.
    pub fn new(writer: W) -> Self {
        Self { writer, begun: false }
    }

    /// Creates a log that writes to `writer` without a line of column names, because an earlier log
    /// has written it.
    pub fn append(writer: W) -> Self {
        Self { writer, begun: true }
    }
}

impl<W: Write> Callback for CsvLog<W> {
    fn on_event(&mut self, event: &Event, _: &mut Trainer) -> Result<ControlFlow<()>, TrainError> {
        let Event::EpochEnd(log) = event else { return ON };
        let head = if self.begun { "" } else { EpochLog::CSV_NAMES };
        let written = write!(self.writer, "{head}{}", log.csv()).and_then(|()| self.writer.flush());
        written.map_err(|e| TrainError::Callback(format!("cannot write the log: {e}")))?;
        self.begun = true;
        ON
    }

    fn state(&self) -> CallbackState {
        CallbackState::default().with("begun", u8::from(self.begun))
    }

    fn restore(&mut self, state: &CallbackState) {
        self.begun = state.count("begun") > 0;
    }
}
