use crate::checkpoint::{Checkpoint, CheckpointOptions, Every, Store};
use crate::config::Config;
use crate::host::Host;
use crate::run::contents;
use rnn::nn::{Checkpoints, History, StepInfo, TrainError, TrainerState};
use std::time::Instant;

/// The writer of a run's checkpoints. It decides during the training when one is due.
pub struct Keeper<'a> {
    host: &'a dyn Host,
    store: &'a Store,
    config: &'a Config,
    data: String,
    every: Every,
    keep: usize,
    /// True if the contents of the folder belong to this run alone.
    ours: bool,
    begun: bool,
    last: Instant,
    /// The steps done at the newest checkpoint.
    saved: Option<u64>,
}

impl<'a> Keeper<'a> {
    /// Creates the writer for a run on data with the fingerprint `data`. `goes_on` is true if the
    /// run is resumed, so that the folder already holds its checkpoints. It is false for a new run;
    /// the folder is then cleared before its first checkpoint.
    pub fn new(
        (store, config, data): (&'a Store, &'a Config, String),
        options: &CheckpointOptions,
        goes_on: bool,
        host: &'a dyn Host,
    ) -> Self {
        let CheckpointOptions { every, keep, .. } = *options;
        let last = Instant::now();
        Self {
            host,
            store,
            config,
            data,
            every,
            keep,
            ours: goes_on,
            begun: false,
            last,
            saved: None,
        }
    }

    /// Returns the number of steps done at the newest checkpoint that this keeper has written;
    /// `None` before the first.
    pub fn saved(&self) -> Option<u64> {
        self.saved
    }

    /// Removes an earlier run from the folder. Does nothing if the run is resumed or the folder has
    /// been cleared before.
    pub fn clear(&mut self) -> anyhow::Result<()> {
        if !self.ours {
            contents::clear(self.store.run())?;
            self.ours = true;
        }
        Ok(())
    }

    fn write(&mut self, best: bool, state: TrainerState) -> anyhow::Result<()> {
        self.clear()?;
        if !self.begun {
            self.store.begin()?;
            self.begun = true;
        }
        let (config, data) = (self.config.clone(), self.data.clone());
        self.store.save(Checkpoint { config, data, state }, best, self.keep)
    }
}

impl Checkpoints for Keeper<'_> {
    fn due(&mut self, info: StepInfo) -> bool {
        let between = match self.every {
            Every::Never => return false,
            Every::Epoch => false,
            Every::Steps(steps) => info.step.is_multiple_of(steps),
            Every::Time(time) => self.last.elapsed() >= time,
        };
        between || info.epoch_over || info.ending
    }

    /// A disk that is full ends a training only where it would end anyway: the checkpoints before
    /// are still there, and the next may find room.
    fn save(&mut self, info: StepInfo, state: TrainerState) -> Result<(), TrainError> {
        let best = info.epoch_over && last_is_best(&state.progress.history);
        match self.write(best, state) {
            Ok(()) => self.saved = Some(info.step),
            Err(error) if info.ending => return Err(TrainError::Callback(format!("{error:#}"))),
            Err(error) => {
                self.host.warn(format_args!("no checkpoint after step {}: {error:#}", info.step))
            }
        }
        self.last = Instant::now();
        Ok(())
    }
}

/// Returns true if the last epoch's validation loss is a number, and no epoch before had a smaller
/// one.
fn last_is_best(history: &History) -> bool {
    let loss = |epoch: &rnn::nn::EpochLog| epoch.validation.unwrap_or(epoch.train).loss;
    match history.epochs.split_last() {
        Some((last, before)) => {
            !loss(last).is_nan() && !before.iter().any(|epoch| loss(epoch) <= loss(last))
        }
        None => false,
    }
}
