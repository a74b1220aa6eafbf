//! The command `rnn-gpu compare`.

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

/// Prints a table of finished runs, draws their validation curves and writes a page that compares
/// them.
///
/// # Errors
/// Fails as [`rnn_report::compare::compare`].
pub fn run(CompareArgs { runs, out }: &CompareArgs) -> Result<()> {
    print!("{}", compare(runs, out)?);
    Ok(())
}
