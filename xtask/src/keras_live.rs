//! Random models beside Keras: `cargo xtask keras-live`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;

/// The arguments of `cargo xtask keras-live`: which random models are compared with Keras.
#[derive(Parser)]
pub struct Args {
    /// Seeds FIRST..LAST; each makes a model
    #[arg(long, default_value = "0..2000", value_parser = range)]
    seeds: (u64, u64),
    /// This seed alone
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Begin with no model after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Compute each so many-th model on the GPU device too
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    gpu_every: u64,
    /// Leave the files of all models here, and use those that are here
    #[arg(long)]
    folder: Option<PathBuf>,
}

impl Args {
    /// Returns the arguments of the part that `cargo xtask ci` runs: the first seeds, always the
    /// same, for a bounded time.
    pub fn ci() -> Self {
        let seconds = Some(120);
        Self { seeds: (0, 110), seed: None, seconds, gpu_every: 10, folder: None }
    }
}

fn range(text: &str) -> Result<(u64, u64)> {
    let ends = text.split_once("..").context("seeds are given as FIRST..LAST")?;
    Ok((ends.0.parse()?, ends.1.parse()?))
}

/// Runs the comparison of random models with Keras, in the project at `root`, and returns its exit
/// code.
///
/// # Errors
/// Fails if the path of the folder cannot be resolved, or cargo cannot be started.
pub fn run(root: &Path, args: &Args) -> Result<i32> {
    let (first, last) = args.seed.map_or(args.seeds, |seed| (seed, seed + 1));
    let folder = args.folder.as_deref().map(std::path::absolute).transpose()?;
    let given = [
        ("FIRST", Some(first.to_string().into())),
        ("LAST", Some(last.to_string().into())),
        ("SECONDS", args.seconds.map(|seconds| seconds.to_string().into())),
        ("GPU_EVERY", Some(args.gpu_every.to_string().into())),
        ("FOLDER", folder.map(PathBuf::into_os_string)),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let variables = given.map(|(name, value)| (format!("RNN_GPU_KERAS_LIVE_{name}"), value));
    // Of the whole workspace, whose dependencies `cargo xtask ci` has built with these features.
    let test = ["test", "--release", "--workspace", "--test", "keras_live", "--"];
    super::cargo_with(root, test.into_iter().chain(["--ignored", "--nocapture"]), variables)
}
