//! `rnn-gpu import`, `rnn-gpu export` and `rnn-gpu new`.

use anyhow::{Result, bail, ensure};
use rnn::model_file;
use rnn_formats::keras::Format;
use rnn_formats::write_atomically;
use rnn_run::checkpoint::RunLock;
use rnn_run::outputs::Outputs;
use rnn_run::run::contents::Holds;
use rnn_run::run::{RunFolder, SavedModel};
use std::fs;
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

/// Writes the example of a `model.toml`, or of a `fit.toml`.
///
/// # Errors
/// If there is a file already, or it cannot be written.
pub fn new(path: &Path) -> Result<()> {
    ensure!(
        path.extension().is_some_and(|e| e == "toml"),
        "{}: it is a .toml file",
        path.display()
    );
    // A link that leads nowhere is there as well.
    ensure!(fs::symlink_metadata(path).is_err(), "{} is there already", path.display());
    let fit = path.file_stem().is_some_and(|stem| stem == "fit");
    let example = if fit { model_file::FIT } else { model_file::MODEL };
    write_atomically(path, |file| file.write_all(example.as_bytes()))?;
    let shown = path.display();
    match fit {
        true => println!("wrote {shown}; use it with: rnn-gpu train --model .. --fit {shown}"),
        false => println!("wrote {shown}; train it: rnn-gpu train --model {shown} --data d.npz"),
    }
    Ok(())
}
