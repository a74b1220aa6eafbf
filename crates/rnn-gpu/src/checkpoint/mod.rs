//! Checkpoints of a run: when they are taken, where they lie, and how a run goes on from one.

mod every;
mod keeper;
mod lock;
mod store;

pub use every::Every;
pub use keeper::Keeper;
pub use lock::RunLock;
pub use store::{Checkpoint, Store};

use std::path::PathBuf;

/// What a run has decided when it began.
const SETTINGS: [&str; 18] = [
    "experiment",
    "model",
    "fit",
    "stream",
    "target",
    "features",
    "text_column",
    "label_column",
    "preset",
    "batch_size",
    "length",
    "movies",
    "size",
    "seed",
    "precision",
    "limit",
    "out",
    "overwrite",
];

/// What `train` is told about checkpoints.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Checkpoints")]
pub struct CheckpointArgs {
    /// Go on with the unfinished run in this folder, from its last checkpoint; of a finished one,
    /// for more --epochs. With --data, where the same data lies now
    #[arg(long, value_name = "RUN", conflicts_with_all = SETTINGS)]
    pub resume: Option<PathBuf>,
    /// When to take checkpoints besides those after each epoch: every so many steps, or after
    /// times like 90s, 5m or 2h; `never` for none at all
    #[arg(long, value_name = "STEPS|TIME", default_value = "epoch")]
    pub checkpoint_every: Every,
    /// Checkpoints to keep, besides the one with the smallest validation loss
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: u32,
    /// Replace the run that is in the folder, if there is one; other files in it stay
    #[arg(long)]
    pub overwrite: bool,
}

impl Default for CheckpointArgs {
    fn default() -> Self {
        Self { resume: None, checkpoint_every: Every::Epoch, keep: 3, overwrite: false }
    }
}
