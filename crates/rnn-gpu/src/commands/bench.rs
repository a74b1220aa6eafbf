//! The command `rnn-gpu bench`.

use super::submission::SubmissionArgs;
use crate::process::host;
use anyhow::Result;
use rnn_bench::{BenchOptions, Suite, bench};
use std::path::PathBuf;

/// The arguments of `rnn-gpu bench`.
#[derive(clap::Args)]
pub struct BenchArgs {
    /// The suite to measure
    #[arg(long, value_enum, default_value_t)]
    suite: Suite,
    /// Instead, the steps beside those of Keras, PyTorch and JAX on the same device, by the scripts
    /// in DIR; Python is RNN_GPU_PYTHON, else one in a virtual environment that is made for them
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "bench/peers")]
    #[arg(conflicts_with_all = ["suite", "json"])]
    peers: Option<PathBuf>,
    /// With --peers also those of burn, which cargo compiles, the first time for minutes
    #[arg(long, requires = "peers")]
    burn: bool,
    /// The folder for the tables and pictures of --peers and of the suite `scaling`
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    out: PathBuf,
    /// auto, cpu, gpu, gpu:N or part of a name
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    submission: SubmissionArgs,
    /// Measure only what has this in its name
    #[arg(long)]
    filter: Option<String>,
    /// Smaller cases, for machines without a GPU
    #[arg(long)]
    quick: bool,
    /// Also write the figures to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Checks and times ops or steps of models, as the arguments say, and prints a table.
///
/// # Errors
/// Fails as [`rnn_bench::bench`].
pub fn run(args: &BenchArgs) -> Result<()> {
    args.submission.apply();
    bench(BenchOptions {
        suite: args.suite,
        peers: args.peers.as_deref(),
        burn: args.burn,
        out: &args.out,
        device: &args.device,
        wanted: args.filter.as_deref().unwrap_or_default(),
        quick: args.quick,
        json: args.json.as_deref(),
        host: &host(),
    })
}
