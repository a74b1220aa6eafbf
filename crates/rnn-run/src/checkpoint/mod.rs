//! Checkpoints of a run: when they are taken, where they lie, and how a run goes on from one.

mod every;
mod lock;
mod store;

pub use every::Every;
pub use lock::RunLock;
pub use store::{Checkpoint, Store};

/// What happens with checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointOptions {
    /// When they are taken besides those after each epoch.
    pub every: Every,
    /// How many are kept, besides the one with the smallest validation loss.
    pub keep: usize,
    /// Whether a run that is in the folder is replaced.
    pub overwrite: bool,
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        Self { every: Every::Epoch, keep: 3, overwrite: false }
    }
}
