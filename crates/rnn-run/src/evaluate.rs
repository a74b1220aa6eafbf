//! Evaluating a run.

use crate::config::{Config, Task};
use crate::finite;
use crate::measure::measure;
use crate::measure::{Measured, RunResult};
use crate::run::RunFolder;
use crate::splits;
use crate::train::fingerprint;
use anyhow::{Result, ensure};
use rnn::Device;
use std::path::Path;

/// Evaluates a finished run and writes its results anew.
///
/// # Errors
/// If the run cannot be read, the data neither or is other data, the device fails, or a file cannot
/// be written.
pub fn evaluate(path: &Path, device: &dyn Device) -> Result<(RunFolder, Config, RunResult)> {
    let (folder, mut config) = RunFolder::open(path)?;
    if matches!(config.task, Task::Custom(_)) {
        config.check_data()?;
    }
    let mut model = config.model()?;
    folder.load_weights(&mut model)?;
    let splits = splits::load(&config, &model, folder.vocabulary()?)?;
    if let (Task::Custom(_), Some(then)) = (&config.task, &config.fingerprint) {
        ensure!(
            *then == fingerprint(&splits)?,
            "{} is not the data that the run was trained on: to judge the run by it, give --data",
            config.data()
        );
    }
    println!("precision: {}, as it was trained", config.precision);
    let mut trainer = config.trainer(model, device)?;
    let history = folder.history()?;
    let (results, measured) = measure(&mut trainer, &splits, &config, &history)?;
    finite::warn_of(&mut trainer, splits.held_out().1, config.batch_size, results.test.loss)?;
    // What a step of the training cost stays what it was.
    let Measured { memory, ops, .. } = folder.measured()?;
    let result = RunResult { history, results, measured: Measured { memory, ops, ..measured } };
    folder.save_result(&result)?;
    Ok((folder, config, result))
}
