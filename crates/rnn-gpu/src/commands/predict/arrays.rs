use crate::process::{host, warn_of};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use rnn::Device;
use rnn_run::predict::{ArrayFiles, predict_arrays};
use rnn_run::run::ModelPath;
use std::path::{Path, PathBuf};

/// The arguments of `rnn-gpu predict` for arrays.
#[derive(Clone, Debug, clap::Args)]
pub struct ArrayInput {
    /// The data to predict from: .npy; .npz or a folder of .npy (an array x, or one for each input
    /// by its name); .csv. Of a forecast, a .csv whose last rows it goes on from
    #[arg(long, alias = "data", value_name = "FILE", requires = "output", conflicts_with = "text")]
    input: Option<PathBuf>,
    /// Where predictions go; of several outputs each gets a file, y-NAME.npy, and of several of one
    /// layer those after the first are numbered, y-NAME_1.npy. Of a forecast a .csv
    #[arg(long, value_name = "y.npy", requires = "input")]
    output: Option<PathBuf>,
    /// Read examples from the file as they are needed, whatever memory there is
    #[arg(long, requires = "input")]
    stream: bool,
    /// Examples that are processed together [default: 32; of a stateful model what its file fixes]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
}

/// Predicts for every example of the arrays in `input` with the model at `model`, and writes the
/// outputs to `output`. Displays a progress bar and the written files on standard error.
///
/// # Errors
/// Fails as [`predict_arrays`].
pub fn predict(
    model: &ModelPath,
    args: &ArrayInput,
    (input, output): (&Path, &Path),
    device: &dyn Device,
) -> Result<()> {
    let batch_size = args.batch_size.map(|n| n as usize);
    let files = ArrayFiles { input, output, stream: args.stream, batch_size };
    let bar = ProgressBar::new(0);
    let template = "{wide_bar} {pos}/{len}, {eta} left";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut show = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let predicted = predict_arrays(model, files, device, (&host(), &mut show))?;
    bar.finish_and_clear();
    for (path, shape) in &predicted.files {
        eprintln!("wrote {} {shape:?}", path.display());
    }
    warn_of(&predicted.rows);
    Ok(())
}

impl ArrayInput {
    /// Returns the paths of `--input` and `--output`; `None` unless both are given.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        Some((self.input.as_deref()?, self.output.as_deref()?))
    }
}
