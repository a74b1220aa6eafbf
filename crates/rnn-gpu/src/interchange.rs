//! `rnn-gpu import` and `rnn-gpu export`.

use crate::checkpoint::RunLock;
use crate::model_file;
use crate::outputs::Outputs;
use crate::run::contents::Holds;
use crate::run::{RunFolder, SavedModel};
use anyhow::{Result, bail, ensure};
use rnn_formats::keras::Format;
use rnn_formats::write_atomically;
use std::io::Write as _;
use std::path::Path;

/// Turns a model of Keras's into a run folder. Where `overwrite` says so, it takes the place of one
/// that was imported; a run that was trained stays in any case.
///
/// # Errors
/// If the file cannot be read, holds what is not supported, or the folder holds something or cannot
/// be written.
pub fn import(path: &Path, out: &Path, overwrite: bool) -> Result<()> {
    ensure!(
        !matches!(Holds::of(out)?, Holds::Run | Holds::Unfinished),
        "{} holds a run that was trained: choose another folder with --out",
        out.display()
    );
    let SavedModel { file, .. } = SavedModel::open(path)?;
    let model = file.trained_model(None)?;
    print!("{}", file.architecture.summary()?);
    let folder = RunFolder::begin(out, overwrite)?;
    let _lock = RunLock::acquire(out)?;
    let kept = file.optimizer_state(&model)?;
    let of = (&model, kept.as_ref());
    model_file::save(folder.path(), &file.architecture, file.compile.as_ref(), of)?;
    println!("wrote {}", out.display());
    Ok(())
}

/// Writes a model for others, in the form that the name of `to` asks for.
///
/// # Errors
/// If the model cannot be read, the form cannot hold it, or the file cannot be written.
pub fn export(model: &Path, to: &Path) -> Result<()> {
    let SavedModel { file, .. } = SavedModel::open(model)?;
    Outputs::of(&[model]).take(to)?;
    match (Format::of_path(to), to.extension().and_then(|extension| extension.to_str())) {
        (Some(format), _) => model_file::save_keras(&file, format, to)?,
        (None, Some("safetensors")) => model_file::save_weights(to, &file.trained_model(None)?)?,
        (None, Some("onnx")) => {
            // Its extents are fixed.
            let bytes = rnn_onnx::export(&file.closed_model()?)?;
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
