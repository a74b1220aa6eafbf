//! Checkpoints of a run: when they are taken, where they lie, and how a run goes on from one.

mod every;
mod lock;
mod store;

pub use every::Every;
pub use lock::RunLock;
pub use store::{Checkpoint, Store};

/// Options of checkpoints: when they are taken, how many are kept, and whether they may replace an
/// earlier run. [`Default`] takes them after each epoch, keeps the newest 3, and replaces nothing.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointOptions {
    /// The times at which they are taken.
    pub every: Every,
    /// The number of newest checkpoints that are kept, besides the one with the smallest validation
    /// loss.
    pub keep: usize,
    /// True if a run or an imported model that is in the folder is to be replaced; false to fail
    /// instead.
    pub overwrite: bool,
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        Self { every: Every::Epoch, keep: 3, overwrite: false }
    }
}
