use crate::checkpoint::{RunLock, Store};
use crate::config::Config;
use crate::host::Guard;
use crate::measure::RunResult;
use crate::run::RunFolder;
use anyhow::Result;

/// A run that has been trained and measured. Other processes are kept from its folder until it is
/// dropped.
pub struct Trained {
    /// The folder, which holds all but what is made for people.
    pub folder: RunFolder,
    /// What was trained.
    pub config: Config,
    /// What it came to.
    pub result: RunResult,
    pub(super) store: Store,
    pub(super) _resumable: Option<Guard>,
    pub(super) _lock: RunLock,
}

impl Trained {
    /// Marks the run as finished: nothing is left to be done that going on with it would do.
    ///
    /// # Errors
    /// If the mark cannot be written.
    pub fn finish(self) -> Result<()> {
        self.store.finish()
    }
}
