//! The command `rnn-gpu predict`.

mod arrays;
mod text;

pub use arrays::ArrayInput;
pub use text::TextInput;

use super::architecture::ArchitectureArg;
use super::submission::SubmissionArgs;
use crate::process::{Process, open_device};
use anyhow::{Result, ensure};
use rnn_run::forecast;
use std::path::PathBuf;

/// The arguments of `rnn-gpu predict`.
#[derive(clap::Args)]
pub struct PredictArgs {
    /// The folder of a run; for arrays also .keras, .h5 or .onnx
    model: PathBuf,
    #[command(flatten)]
    architecture: ArchitectureArg,
    #[command(flatten)]
    text: TextInput,
    #[command(flatten)]
    arrays: ArrayInput,
    /// auto, cpu, gpu, gpu:N or part of a name
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    submission: SubmissionArgs,
}

/// Predicts for text and prints the predictions, or predicts for arrays and writes them to files.
///
/// # Errors
/// Fails if neither text nor arrays are given, the model cannot be read or does not take such
/// inputs, the device cannot be opened or fails, or the predictions cannot be written.
pub fn run(args: &PredictArgs) -> Result<()> {
    let files = args.arrays.files();
    ensure!(
        files.is_some() || args.text.text.is_some(),
        "give --text \"..\" to a model of text, or --input x.npy --output y.npy"
    );
    args.submission.apply();
    let (device, why) = open_device(&args.device)?;
    // What is printed besides may be read by another program.
    eprintln!("device: {}: {why}", device.info());
    match files {
        Some(files) if forecast::is_forecast(&args.model) => {
            let rows = forecast::predict(&args.model, files, &*device, &Process)?;
            eprintln!("wrote {}: {rows} rows", files.1.display());
            Ok(())
        }
        Some(files) => {
            let model = args.architecture.of(&args.model);
            arrays::predict(&model, &args.arrays, files, &*device)
        }
        None => text::predict(&args.model, &args.text, &*device),
    }
}
