//! Checkpoints of a run: when they are taken, where they are stored, and how a run is resumed from
//! one.

mod every;
mod lock;
mod store;
mod stored;

pub use every::Every;
pub use lock::RunLock;
pub use store::{Checkpoint, Store};
pub use stored::StoredCheckpoint;

/// Options of checkpoints. [`Default`] takes them after each epoch, keeps the newest 3, and
/// replaces no earlier run.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointOptions {
    /// The times at which checkpoints are taken.
    pub every: Every,
    /// The number of newest checkpoints that are kept. The checkpoint of the epoch with the
    /// smallest validation loss (training loss, if there is no validation data) is kept besides.
    pub keep: usize,
    /// True if a run or an imported model in the folder is replaced; false if the training then
    /// fails.
    pub overwrite: bool,
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        Self { every: Every::Epoch, keep: 3, overwrite: false }
    }
}
