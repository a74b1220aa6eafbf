//! `rnn-gpu compare`.

use anyhow::Result;
use rnn_report::compare::compare;
use std::path::PathBuf;

/// The arguments of `rnn-gpu compare`.
#[derive(clap::Args)]
pub struct CompareArgs {
    /// The folders that `train` wrote
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The picture to write; the page is beside it, as .html
    #[arg(long, default_value = "runs/compare.png")]
    out: PathBuf,
}

/// Prints finished runs side by side, draws their curves and writes a page.
///
/// # Errors
/// Fails if a run is not finished, or the picture or page cannot be written.
pub fn run(CompareArgs { runs, out }: &CompareArgs) -> Result<()> {
    print!("{}", compare(runs, out)?);
    Ok(())
}
