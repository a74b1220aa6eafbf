//! The command `rnn-gpu export`.

use super::architecture::ArchitectureArg;
use crate::process::host;
use anyhow::{Result, bail};
use rnn::model_file;
use rnn_formats::keras::Format;
use rnn_formats::write_atomically;
use rnn_run::outputs::Outputs;
use rnn_run::run::SavedModel;
use std::io::Write as _;
use std::path::PathBuf;

/// The arguments of `rnn-gpu export`.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// A run folder, .keras, .h5 or .onnx
    model: PathBuf,
    #[command(flatten)]
    architecture: ArchitectureArg,
    /// The file to write: .keras (with which Keras can go on training), .h5, .weights.h5, .onnx or
    /// .safetensors
    #[arg(long)]
    to: PathBuf,
}

/// Writes a model to the file `to`, in the format that its extension names.
///
/// # Errors
/// Fails if the model cannot be read or has no weights, the extension is unknown, the format cannot
/// hold the model, or `to` cannot be taken ([`Outputs::take`]) or written.
pub fn run(ExportArgs { model, architecture, to }: &ExportArgs) -> Result<()> {
    let SavedModel { file, .. } = SavedModel::open(&architecture.of(model), &host())?;
    Outputs::of(&[model]).take(to)?;
    match (Format::of_path(to), to.extension().and_then(|extension| extension.to_str())) {
        (Some(format), _) => model_file::save_keras(&file, format, to)?,
        (None, Some("safetensors")) => model_file::save_weights(to, &file.trained_model(None)?)?,
        (None, Some("onnx")) => {
            // Its extents are fixed.
            let bytes = file.closed_model()?.to_onnx()?;
            write_atomically(to, |file| file.write_all(&bytes))?;
        }
        _ => bail!(
            "--to {}: supported are .keras, .h5, .weights.h5, .onnx and .safetensors",
            to.display()
        ),
    }
    println!("wrote {}", to.display());
    Ok(())
}
