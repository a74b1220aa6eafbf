use crate::checkpoint::{RunLock, Store};
use crate::config::Config;
use crate::host::Guard;
use crate::measure::RunResult;
use crate::run::RunFolder;
use anyhow::Result;

/// A run that has been trained and evaluated. Its folder stays locked until it is dropped.
pub struct Trained {
    /// The folder, which holds everything but what is made for people.
    pub folder: RunFolder,
    /// The settings of the run.
    pub config: Config,
    /// History, metrics and measurements.
    pub result: RunResult,
    pub(super) store: Store,
    pub(super) _resumable: Option<Guard>,
    pub(super) _lock: RunLock,
}

impl Trained {
    /// Marks the run as finished, so that it is not resumed, and releases its lock.
    ///
    /// # Errors
    /// Fails if the mark cannot be written.
    pub fn finish(self) -> Result<()> {
        self.store.finish()
    }
}
