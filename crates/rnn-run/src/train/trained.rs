use crate::checkpoint::{RunLock, Store};
use crate::config::Config;
use crate::host::Guard;
use crate::measure::RunResult;
use crate::run::RunFolder;
use anyhow::Result;

/// A run that has been trained and evaluated. Its folder stays locked until this is dropped.
pub struct Trained {
    /// The folder of the run, which now holds all of its files except pages, pictures and texts for
    /// people.
    pub folder: RunFolder,
    /// The settings of the run.
    pub config: Config,
    /// The history, the metrics and the measurements.
    pub result: RunResult,
    pub(super) store: Store,
    pub(super) _resumable: Option<Guard>,
    pub(super) _lock: RunLock,
}

impl Trained {
    /// Marks the run as finished, so that it does not count as one to be resumed, and releases the
    /// lock on its folder.
    ///
    /// # Errors
    /// Fails if the mark cannot be written; the lock is then released all the same.
    pub fn finish(self) -> Result<()> {
        self.store.finish()
    }
}
