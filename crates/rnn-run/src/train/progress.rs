use crate::config::Config;
use crate::host::{Guard, Host};
use crate::memory::Footprint;
use crate::run::RunFolder;
use anyhow::Result;
use rnn::nn::{Callback, CallbackState, Event, TrainError, Trainer};
use std::ops::ControlFlow;

/// A display of the progress of trainings; `()` shows nothing.
pub trait Progress {
    /// Begins to show an attempt at a training, which ends when what this returns is dropped.
    ///
    /// # Errors
    /// Fails if it cannot be shown.
    fn begin(&mut self, attempt: &Attempt<'_>) -> Result<Box<dyn Callback>>;
}

/// What a display is told of an attempt at a training. After a device has failed there is another
/// attempt.
pub struct Attempt<'a> {
    /// The settings of the run.
    pub config: &'a Config,
    /// Numbers of examples to train on, and to validate.
    pub examples: [usize; 2],
    /// The memory of a training step.
    pub memory: &'a Footprint,
    /// The folder of the run.
    pub folder: &'a RunFolder,
    /// The steps and epochs already done, in this order, if a training is resumed; `None` for a new
    /// one.
    pub done: Option<[usize; 2]>,
}

/// Shows nothing.
impl Progress for () {
    fn begin(&mut self, _: &Attempt<'_>) -> Result<Box<dyn Callback>> {
        Ok(Box::new(|_: &Event| ControlFlow::Continue(())))
    }
}

/// A callback that shows the training and ends it after a step if the host asks for that.
pub struct Interruptible<'a> {
    host: &'a dyn Host,
    shown: Box<dyn Callback>,
    /// From the first step on there is something to keep.
    held: Option<Guard>,
}

impl<'a> Interruptible<'a> {
    /// Creates a callback that passes events on to `shown`, which shows the training, and ends it
    /// when `host` was asked to stop.
    pub fn new(shown: Box<dyn Callback>, host: &'a dyn Host) -> Self {
        Self { host, shown, held: None }
    }
}

impl Callback for Interruptible<'_> {
    fn on_event(
        &mut self,
        event: &Event,
        trainer: &mut Trainer,
    ) -> Result<ControlFlow<()>, TrainError> {
        if matches!(event, Event::Step(..)) {
            self.held.get_or_insert_with(|| self.host.hold());
        }
        let flow = self.shown.on_event(event, trainer)?;
        Ok(if self.host.stop_requested() { ControlFlow::Break(()) } else { flow })
    }

    fn state(&self) -> CallbackState {
        self.shown.state()
    }

    fn restore(&mut self, state: &CallbackState) {
        self.shown.restore(state);
    }
}
