//! The command `rnn-gpu new`.

use anyhow::{Result, ensure};
use rnn::model_file::{FIT, MODEL};
use rnn_formats::write_atomically;
use rnn_run::outputs;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

/// The arguments of `rnn-gpu new`.
#[derive(clap::Args)]
pub struct NewArgs {
    /// The file; one that is named fit.toml says how a model is trained
    #[arg(default_value = "model.toml")]
    path: PathBuf,
}

/// Writes an example of a `fit.toml` if the file `path` has that name, else an example of a
/// `model.toml`.
///
/// # Errors
/// Fails if `path` does not end in `.toml`, already exists, or cannot be written.
pub fn run(NewArgs { path }: &NewArgs) -> Result<()> {
    ensure!(
        path.extension().is_some_and(|e| e == "toml"),
        "{}: it is a .toml file",
        path.display()
    );
    // A link that leads nowhere is there as well.
    ensure!(fs::symlink_metadata(path).is_err(), "{} is there already", path.display());
    let fit = path.file_stem().is_some_and(|stem| stem == "fit");
    let example = if fit { FIT } else { MODEL };
    outputs::check(path)?;
    write_atomically(path, |file| file.write_all(example.as_bytes()))?;
    let shown = path.display();
    match fit {
        true => println!("wrote {shown}; use it with: rnn-gpu train --model .. --fit {shown}"),
        false => println!("wrote {shown}; train it: rnn-gpu train --model {shown} --data d.npz"),
    }
    Ok(())
}
