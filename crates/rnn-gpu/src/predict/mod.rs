//! What a trained model says of new inputs.

mod classifier;
mod text;

pub use classifier::{Contribution, Prediction, TextClassifier};
pub use text::TextInput;

use crate::device;
use anyhow::Result;
use std::path::PathBuf;

/// The arguments of `rnn-gpu predict`.
#[derive(clap::Args)]
pub struct PredictArgs {
    /// The folder that `train` wrote
    run: PathBuf,
    #[command(flatten)]
    text: TextInput,
    /// auto, cpu, gpu, gpu:N or part of a name
    #[arg(long, default_value = "auto")]
    device: String,
}

/// Predicts and prints.
///
/// # Errors
/// If the run cannot be read, does not take such an input, or the device fails.
pub fn predict(args: &PredictArgs) -> Result<()> {
    let (device, why) = device::open(&args.device)?;
    // What is printed besides may be read by another program.
    eprintln!("device: {}: {why}", device.info());
    text::predict(&args.run, &args.text, &*device)
}
