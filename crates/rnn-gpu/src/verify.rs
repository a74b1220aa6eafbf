//! Checking every op on the user's own devices.

use crate::device;
use anyhow::{Context, Result, bail};
use rnn_formats::write_atomically;
use rnn_ops::Tier;
use rnn_verify::{Check, Outcome};
use std::io::Write as _;
use std::path::PathBuf;

/// What to check and what to say of it.
#[derive(clap::Args)]
pub struct VerifyArgs {
    /// Leave out the large cases
    #[arg(long)]
    smoke: bool,
    /// Check this device only: cpu, gpu, gpu:N or part of a name [default: all]
    #[arg(long)]
    device: Option<String>,
    /// Print a line for every check, not only for those that fail
    #[arg(short, long)]
    verbose: bool,
    /// Print the report as JSON, or write it to FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs every case on every device, every gradient, every shader and the planted mistakes, and
/// prints a table.
///
/// # Errors
/// If a check fails, or the report cannot be written.
pub fn verify(args: &VerifyArgs) -> Result<()> {
    let devices = match &args.device {
        Some(choice) => vec![device::open(choice)?.0],
        None => device::open_all()?,
    };
    let cases: Vec<_> =
        rnn_ops::suite().into_iter().filter(|c| !args.smoke || c.tier == Tier::Smoke).collect();
    let report = rnn_verify::verify(&cases, &devices, &mut |check: &Check| {
        if args.verbose || matches!(check.outcome, Outcome::Failed { .. }) {
            eprintln!("{check}");
        }
    });
    let json = || serde_json::to_string_pretty(&report).context("cannot write the report as JSON");
    match &args.json {
        Some(path) if path.as_os_str() == "-" => println!("{}", json()?),
        Some(path) => {
            print!("{report}");
            let text = json()?;
            write_atomically(path, |file| file.write_all(text.as_bytes()))?;
        }
        None => print!("{report}"),
    }
    let [_, failed, _] = report.counts();
    if failed > 0 {
        bail!("{failed} checks failed: please report them with the output of `rnn-gpu devices`");
    }
    Ok(())
}
