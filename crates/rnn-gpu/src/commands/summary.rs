//! The command `rnn-gpu summary`.

use super::architecture::ArchitectureArg;
use crate::process::host;
use anyhow::{Result, ensure};
use clap::ValueEnum as _;
use rnn_run::experiment::{Experiment, Preset};
use rnn_run::run::SavedModel;
use std::path::Path;

/// The arguments of `rnn-gpu summary`.
#[derive(clap::Args)]
pub struct SummaryArgs {
    /// An experiment, a run folder, .keras, .h5, .onnx or model.toml
    model: String,
    #[command(flatten)]
    architecture: ArchitectureArg,
}

/// Prints the layers of a model or an experiment, with their output shapes and numbers of
/// parameters.
///
/// # Errors
/// Fails if there is no such experiment, file or folder, or if the model cannot be read or its
/// layers or weights do not fit together.
pub fn run(SummaryArgs { model, architecture }: &SummaryArgs) -> Result<()> {
    let summary = match Experiment::from_str(model, true) {
        Ok(experiment) if !architecture.is_given() => {
            experiment.model(experiment.input(), Preset::default(), 1)?.summary()
        }
        _ => {
            ensure!(
                Path::new(model).exists(),
                "{model} is neither a file or folder nor one of the experiments {}",
                experiments().join(", ")
            );
            SavedModel::open(&architecture.of(model), &host())?.file.summary()?
        }
    };
    print!("{summary}");
    Ok(())
}

fn experiments() -> Vec<String> {
    let values = Experiment::value_variants().iter().filter_map(|one| one.to_possible_value());
    values.map(|value| value.get_name().to_owned()).collect()
}
