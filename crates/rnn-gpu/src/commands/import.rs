//! The command `rnn-gpu import`.

use super::architecture::ArchitectureArg;
use crate::process::host;
use anyhow::{Result, ensure};
use rnn_formats::check_names;
use rnn_run::checkpoint::RunLock;
use rnn_run::run::contents::Holds;
use rnn_run::run::{RunFolder, SavedModel};
use std::path::{Path, PathBuf};

/// The arguments of `rnn-gpu import`.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// A .keras, .h5 or .onnx file; with --weights, a model.toml
    file: PathBuf,
    /// The weights, for a FILE that describes the model (model.toml, .json): .safetensors of PyTorch
    /// or of `export`
    #[arg(long)]
    weights: Option<PathBuf>,
    #[command(flatten)]
    architecture: ArchitectureArg,
    /// The folder to write [default: runs/NAME]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace a model that was imported into the folder before
    #[arg(long)]
    overwrite: bool,
}

/// Converts a Keras or ONNX model into the folder of a model. With `--overwrite`, replaces a model that was
/// imported before. A run that was trained is never replaced.
///
/// # Errors
/// Fails if the file cannot be read or holds something that is not supported, or if the folder
/// holds something that may not be replaced, another process trains into it, or it cannot be
/// written.
pub fn run(args: &ImportArgs) -> Result<()> {
    let host = host();
    let named = || Path::new("runs").join(args.file.file_stem().unwrap_or_default());
    let out = &args.out.clone().unwrap_or_else(named);
    check_names(out)?;
    check_untrained(out)?;
    let model = args.architecture.of(&args.file);
    let SavedModel { mut file, .. } = SavedModel::open(&model, &host)?;
    if let Some(weights) = &args.weights {
        file = file.with_weights(weights)?;
    }
    let model = file.trained_model(None)?;
    print!("{}", file.architecture.summary()?);
    let folder = RunFolder::begin(out, args.overwrite)?;
    let _lock = RunLock::acquire(out, &*host)?;
    // Another process may have trained into it until it was locked.
    check_untrained(out)?;
    let kept = file.optimizer_state(&model)?;
    folder.import(&file.architecture, file.compile.as_ref(), (&model, kept.as_ref()))?;
    println!("wrote {}", out.display());
    Ok(())
}

fn check_untrained(folder: &Path) -> Result<()> {
    ensure!(
        !matches!(Holds::of(folder)?, Holds::Run | Holds::Unfinished),
        "{} holds a run that was trained: choose another folder with --out",
        folder.display()
    );
    Ok(())
}
