use crate::config::Config;
use crate::host::{Guard, Host};
use crate::memory::Footprint;
use crate::run::RunFolder;
use anyhow::Result;
use rnn::nn::{Callback, CallbackState, Event, TrainError, Trainer};
use std::ops::ControlFlow;

/// A display of the progress of a training. `()` displays nothing.
pub trait Progress {
    /// Begins to display an attempt at a training and returns the callback that displays its
    /// events. Dropping the callback ends the display.
    ///
    /// # Errors
    /// Fails if the display cannot be opened.
    fn begin(&mut self, attempt: &Attempt<'_>) -> Result<Box<dyn Callback>>;
}

/// An attempt at a training, as a display gets it. If a device fails and is opened again, another
/// attempt follows.
pub struct Attempt<'a> {
    /// The settings of the run.
    pub config: &'a Config,
    /// Numbers of examples to train on, and to validate.
    pub examples: [usize; 2],
    /// The planned memory of a training step.
    pub memory: &'a Footprint,
    /// The folder of the run.
    pub folder: &'a RunFolder,
    /// The numbers of steps and of epochs already done, in this order, if a training is resumed;
    /// `None` for a new one.
    pub done: Option<[usize; 2]>,
}

/// Shows nothing.
impl Progress for () {
    fn begin(&mut self, _: &Attempt<'_>) -> Result<Box<dyn Callback>> {
        Ok(Box::new(|_: &Event| ControlFlow::Continue(())))
    }
}

/// A callback that passes events on to a display and ends the training if the host requests a stop.
pub struct Interruptible<'a> {
    host: &'a dyn Host,
    shown: Box<dyn Callback>,
    /// From the first step on there is something to keep.
    held: Option<Guard>,
}

impl<'a> Interruptible<'a> {
    /// Creates a callback that passes each event on to `shown`. It ends the training after an event
    /// if [`Host::stop_requested`] of `host` is true, or if `shown` does. From the first step on it
    /// holds the host ([`Host::hold`]).
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
