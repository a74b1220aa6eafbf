use crate::{
    Callback, Dataset, EpochLog, Event, FitOptions, FitProgress, History, Metrics, TrainError,
    Trainer, TrainerState,
};
use std::ops::ControlFlow;
use std::time::Instant;

/// A moment between two steps of a training, after the callbacks of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepInfo {
    /// The number of steps done since the training began, over all epochs.
    pub step: u64,
    /// True if an epoch has just ended, validation included; false within an epoch.
    pub epoch_over: bool,
    /// True if a callback ends the training here, false if it goes on.
    pub ending: bool,
}

/// A store for the states of a training, from which it can be resumed. `()` stores none.
pub trait Checkpoints {
    /// Returns true if the state at `moment` is to be stored. [`Self::save`] then follows, and
    /// waits for the device to read the state.
    fn due(&mut self, moment: StepInfo) -> bool;

    /// Stores `state`, that of the training at `moment`. All its numbers are finite.
    ///
    /// # Errors
    /// Any error ends the training, and [`Trainer::fit_with_checkpoints`] returns it.
    fn save(&mut self, moment: StepInfo, state: TrainerState) -> Result<(), TrainError>;
}

impl Checkpoints for () {
    fn due(&mut self, _: StepInfo) -> bool {
        false
    }

    fn save(&mut self, _: StepInfo, _: TrainerState) -> Result<(), TrainError> {
        Ok(())
    }
}

impl Trainer {
    /// Trains until `options.epochs` epochs are over, those before a restored state included, and
    /// returns the metrics of each. Every epoch takes the examples in an order of its own, which
    /// the trainer's seed decides. At its end the metrics of `validation` are computed, unless that
    /// is `None` or has no examples. Callbacks may end the training between two steps.
    ///
    /// A stateful model takes the examples in their own order ([`Trainer::shuffle`] overrides it).
    /// Its states go on from epoch to epoch and from validation, as in Keras 3, until
    /// [`Trainer::reset_states`]. With other ranks each batch is divided among all, and a callback
    /// that ends the training on one rank ends it on all. After [`Trainer::restore`] the training
    /// goes on where the state was taken, if it is given the same data, batch size and callbacks.
    ///
    /// # Errors
    /// Fails if the data do not fit the model and its losses, cannot be read or have no examples,
    /// if a restored state is of another number of callbacks, if a callback fails, if ranks differ
    /// in data or options, or if the device fails.
    pub fn fit(
        &mut self,
        train: &Dataset,
        validation: Option<&Dataset>,
        options: FitOptions,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History, TrainError> {
        self.fit_with_checkpoints((train, validation), options, callbacks, &mut ())
    }

    /// Trains as [`Trainer::fit`] on the first dataset and validates on the second. `checkpoints`
    /// decides after each step and epoch whether the state is stored.
    ///
    /// # Errors
    /// Fails as [`Trainer::fit`], with the error of [`Checkpoints::save`], and with
    /// [`TrainError::NotFinite`] if a state that is to be stored has a number that is not finite.
    pub fn fit_with_checkpoints(
        &mut self,
        (train, validation): (&Dataset, Option<&Dataset>),
        options: FitOptions,
        callbacks: &mut [&mut dyn Callback],
        checkpoints: &mut dyn Checkpoints,
    ) -> Result<History, TrainError> {
        let progress = self.progress.take().unwrap_or_default();
        let mut fit =
            Fit { trainer: self, callbacks, checkpoints, progress, since: Instant::now() };
        fit.restore_callbacks()?;
        let validation = validation.filter(|set| !set.is_empty());
        let (epochs, batch_size) = (options.epochs, options.batch_size.max(1));
        if fit.trainer.communicator().is_some() {
            let number = |set: &Dataset| -> Result<u64, TrainError> {
                let [a, b, c, d, e, f, g, h, ..] = set.digest()?;
                Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
            };
            let validation = validation.map_or(Ok(0), number)?;
            let given = [number(train)?, validation, epochs as u64, batch_size as u64];
            fit.trainer.check_ranks(&given)?;
        }
        while fit.progress.history.epochs.len() < epochs {
            if fit.epoch(train, validation, batch_size)?.is_break() {
                break;
            }
        }
        Ok(fit.progress.history)
    }
}

/// A training at work.
struct Fit<'a, 'c> {
    trainer: &'a mut Trainer,
    callbacks: &'a mut [&'c mut dyn Callback],
    checkpoints: &'a mut dyn Checkpoints,
    progress: FitProgress,
    /// When the part of the epoch began that `progress.seconds` does not count.
    since: Instant,
}

impl Fit<'_, '_> {
    fn restore_callbacks(&mut self) -> Result<(), TrainError> {
        let states = std::mem::take(&mut self.progress.callbacks);
        let (expected, found) = (states.len(), self.callbacks.len());
        if expected != found && expected > 0 {
            let message = format!("the state is of {expected} callbacks, {found} were given");
            return Err(TrainError::Callback(message));
        }
        self.callbacks
            .iter_mut()
            .zip(&states)
            .for_each(|(callback, state)| callback.restore(state));
        Ok(())
    }

    fn epoch(
        &mut self,
        train: &Dataset,
        validation: Option<&Dataset>,
        batch_size: usize,
    ) -> Result<ControlFlow<()>, TrainError> {
        let epoch = self.progress.history.epochs.len() + 1;
        self.since = Instant::now();
        if self.tell(&Event::Epoch(epoch))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let done = self.progress.steps * batch_size;
        let rest = self.trainer.ordered(train, epoch as u64)?.range(done..train.len());
        let (part, size) = self.trainer.part(&rest, batch_size);
        let mut batches = part.batches(size);
        for _ in 0..rest.len().div_ceil(batch_size) {
            // Where a rank has no part in the last batch, there is none.
            let batch = batches.next().transpose()?.unwrap_or_default();
            self.trainer.train_batch(&batch)?;
            self.progress.steps += 1;
            let metrics = self.trainer.poll_metrics()?;
            if self.tell(&Event::Step(self.progress.steps, metrics))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let sums = self.trainer.take_sums()?;
        let metrics = self.trainer.metrics(sums.clone())?;
        if metrics.count == 0 {
            return Err(TrainError::Empty);
        }
        let seconds = self.seconds();
        let validation = match validation {
            Some(set) => match self.validate(set, batch_size)? {
                None => {
                    // The epoch's steps are done: what goes on from here validates first.
                    self.trainer.put_sums(sums)?;
                    self.keep(false, true)?;
                    return Ok(ControlFlow::Break(()));
                }
                measured => measured,
            },
            None => None,
        };
        let log = EpochLog { epoch, train: metrics, validation, seconds };
        self.progress.history.epochs.push(log.clone());
        (self.progress.steps, self.progress.seconds, self.since) = (0, 0.0, Instant::now());
        self.trainer.check_ranks(&[])?;
        self.tell(&Event::EpochEnd(log))
    }

    /// Seconds of training in this epoch.
    fn seconds(&self) -> f64 {
        self.progress.seconds + self.since.elapsed().as_secs_f64()
    }

    /// The metrics of the validation; `None`, if a callback broke it off. It is not broken off where
    /// that could not be undone: other ranks take part, or layers keep their states.
    fn validate(&mut self, set: &Dataset, batch: usize) -> Result<Option<Metrics>, TrainError> {
        let Self { trainer, callbacks, .. } = self;
        let ends = trainer.ranks.is_none() && !trainer.engine.keeps_states();
        trainer.evaluate_while(set, batch, &mut |trainer, done| {
            let flow = call(callbacks, &Event::Validation(done), trainer)?;
            Ok(!(ends && flow.is_break()))
        })
    }

    /// Tells all callbacks. Then the state is kept, if it is wanted; none is where an epoch begins,
    /// which is where the last one ended.
    fn tell(&mut self, event: &Event) -> Result<ControlFlow<()>, TrainError> {
        let mut flow = call(self.callbacks, event, self.trainer)?;
        if self.trainer.on_any_rank(flow.is_break()) {
            flow = ControlFlow::Break(());
        }
        if !matches!(event, Event::Epoch(_)) || flow.is_break() {
            self.keep(matches!(event, Event::EpochEnd(_)), flow.is_break())?;
        }
        Ok(flow)
    }

    /// Keeps the state, if it is wanted.
    fn keep(&mut self, epoch_over: bool, ending: bool) -> Result<(), TrainError> {
        let moment = StepInfo { step: self.trainer.step, epoch_over, ending };
        if self.checkpoints.due(moment) {
            let callbacks = self.callbacks.iter().map(|callback| callback.state()).collect();
            let seconds = if epoch_over { 0.0 } else { self.seconds() };
            let progress = FitProgress { callbacks, seconds, ..self.progress.clone() };
            let state = self.trainer.state_in(progress)?;
            if let Some(name) = state.not_finite() {
                let what = format!("{name} holds a number that is not finite");
                return Err(TrainError::NotFinite { what, step: moment.step });
            }
            self.checkpoints.save(moment, state)?;
        }
        Ok(())
    }
}

/// Tells all callbacks, also when one of them breaks off.
fn call(
    callbacks: &mut [&mut dyn Callback],
    event: &Event,
    trainer: &mut Trainer,
) -> Result<ControlFlow<()>, TrainError> {
    let mut flow = ControlFlow::Continue(());
    for callback in callbacks {
        if callback.on_event(event, trainer)?.is_break() {
            flow = ControlFlow::Break(());
        }
    }
    Ok(flow)
}
