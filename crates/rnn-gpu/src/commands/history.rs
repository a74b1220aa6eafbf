//! The command `rnn-gpu history`.

use crate::process::Process;
use anyhow::{Result, bail};
use rnn_run::checkpoint::Store;
use rnn_run::run::RunFolder;
use rnn_run::run::contents::Holds;
use std::path::PathBuf;

/// The arguments of `rnn-gpu history`.
#[derive(clap::Args)]
pub struct HistoryArgs {
    /// The folder that `train` wrote; of an unfinished run, the epochs up to its newest checkpoint
    run: PathBuf,
}

/// Prints the metrics of each epoch of a run as JSON, in the format of `history.json`. Of an
/// unfinished run, those of its newest checkpoint are printed.
///
/// # Errors
/// Fails if the folder holds no run or an imported model, or if the history, or every checkpoint of
/// an unfinished run, cannot be read.
pub fn run(HistoryArgs { run }: &HistoryArgs) -> Result<()> {
    let history = match Holds::of(run) {
        Ok(Holds::Unfinished) => Store::of(run).newest(&Process)?.state.progress.history,
        Ok(Holds::Imported) => {
            bail!("{} was imported, not trained here, so there is no history", run.display())
        }
        _ => RunFolder::open(run)?.0.history()?,
    };
    println!("{}", serde_json::to_string_pretty(&history)?);
    Ok(())
}
