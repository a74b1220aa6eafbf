//! `rnn-gpu summary`.

use crate::process::host;
use anyhow::Result;
use clap::ValueEnum as _;
use rnn_run::experiment::{Experiment, Preset};
use rnn_run::run::SavedModel;
use std::path::Path;

/// The arguments of `rnn-gpu summary`.
#[derive(clap::Args)]
pub struct SummaryArgs {
    /// An experiment, a run folder, .keras, .h5 or model.toml
    model: String,
}

/// Prints a model's layers, shapes and parameters.
///
/// # Errors
/// If the model cannot be read, or its layers do not fit.
pub fn run(SummaryArgs { model }: &SummaryArgs) -> Result<()> {
    let summary = match Experiment::from_str(model, true) {
        Ok(experiment) => experiment.model(experiment.input(), Preset::default(), 1)?.summary(),
        Err(_) => SavedModel::open(Path::new(model), &host())?.file.summary()?,
    };
    print!("{summary}");
    Ok(())
}
