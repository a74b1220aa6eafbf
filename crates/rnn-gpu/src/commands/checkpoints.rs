//! The command `rnn-gpu checkpoints`.

use anyhow::{Result, bail};
use rnn_run::checkpoint::Store;
use rnn_run::run::contents::Holds;
use std::path::PathBuf;

/// The arguments of `rnn-gpu checkpoints`.
#[derive(clap::Args)]
pub struct CheckpointsArgs {
    /// The folder that `train` wrote or is writing
    run: PathBuf,
}

/// Prints the checkpoints of a run, finished or not, as JSON: a list of the fields of
/// [`rnn_run::checkpoint::StoredCheckpoint`]. Nothing is changed; a damaged file keeps its name.
///
/// # Errors
/// Fails if the folder holds no run or an imported model.
pub fn run(CheckpointsArgs { run }: &CheckpointsArgs) -> Result<()> {
    let checkpoints = match Holds::of(run) {
        Ok(Holds::Run | Holds::Unfinished) => Store::of(run).list()?,
        Ok(Holds::Imported) => {
            bail!("{} was imported, not trained here, so there are no checkpoints", run.display())
        }
        _ => bail!(
            "{} is not the folder of a run: it has neither config.json nor checkpoints",
            run.display()
        ),
    };
    println!("{}", serde_json::to_string_pretty(&checkpoints)?);
    Ok(())
}
