use crate::config::Config;
use crate::host::{Guard, Host};
use crate::memory::Footprint;
use crate::run::RunFolder;
use anyhow::Result;
use rnn::nn::{Callback, CallbackState, Event, TrainError, Trainer};
use std::ops::ControlFlow;

/// Shows to people how far a training is.
pub trait Progress {
    /// Begins to show an attempt at a training, which ends when what this returns is dropped.
    ///
    /// # Errors
    /// If it cannot be shown.
    fn begin(&mut self, attempt: &Attempt<'_>) -> Result<Box<dyn Callback>>;
}

/// An attempt at a training: there is another one after a device has failed.
pub struct Attempt<'a> {
    /// What is trained.
    pub config: &'a Config,
    /// Examples to train on, and to validate.
    pub examples: [usize; 2],
    /// The memory of a step.
    pub memory: &'a Footprint,
    /// The folder of the run.
    pub folder: &'a RunFolder,
    /// The steps and epochs of a training that goes on.
    pub behind: Option<[usize; 2]>,
}

/// Shows nothing.
impl Progress for () {
    fn begin(&mut self, _: &Attempt<'_>) -> Result<Box<dyn Callback>> {
        Ok(Box::new(|_: &Event| ControlFlow::Continue(())))
    }
}

/// Ends a training after a step if the host's program is to end.
pub struct Interruptible<'a> {
    host: &'a dyn Host,
    shown: Box<dyn Callback>,
    /// From the first step on there is something to keep.
    held: Option<Guard>,
}

impl<'a> Interruptible<'a> {
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
