//! Evaluation of a finished run.

use crate::config::{Config, Task};
use crate::error::RunError;
use crate::finite::{self, FiniteRows};
use crate::host::Host;
use crate::measure::measure;
use crate::measure::{Measured, RunResult};
use crate::run::RunFolder;
use crate::splits;
use anyhow::{Result, bail};
use rnn::Device;
use std::path::Path;

/// A run that has been evaluated, with its results.
pub struct Evaluated {
    /// The folder of the run.
    pub folder: RunFolder,
    /// The configuration of the run.
    pub config: Config,
    /// The results, which have also been written into the folder.
    pub result: RunResult,
    /// The counts of rows that are not finite in the examples of the evaluation: among the inputs,
    /// then among the outputs.
    pub rows: [FiniteRows; 2],
}

/// Evaluates the finished run in the folder `path` on its own data, and writes its results anew.
/// History, memory and op times of the training stay. Remarks about the data go to [`Host::warn`]
/// of `host`.
///
/// # Errors
/// Fails if the folder holds no finished run, the run or its data cannot be read, the device fails,
/// or a file cannot be written. The data of a user's own must still exist ([`RunError::DataGone`])
/// and have the fingerprint of the training ([`RunError::EvaluatedOnOtherData`]).
pub fn evaluate(path: &Path, device: &dyn Device, host: &dyn Host) -> Result<Evaluated> {
    let (folder, mut config) = RunFolder::open(path)?;
    if matches!(config.task, Task::Custom(_)) {
        config.check_data()?;
    }
    let mut model = config.model()?;
    folder.load_weights(&mut model)?;
    let splits = splits::load(&config, &model, folder.vocabulary()?)?;
    splits.remarks.iter().for_each(|line| host.warn(format_args!("{line}")));
    if let Some(then) = &config.fingerprint
        && let Some(set) = splits.changed(then, &splits.fingerprint()?, host)?
    {
        bail!(RunError::EvaluatedOnOtherData { data: config.data(), set });
    }
    let mut trainer = config.trainer(model, device)?;
    let history = folder.history()?;
    let (results, measured) = measure(&mut trainer, &splits, &config, &history)?;
    let rows =
        finite::count(&mut trainer, splits.held_out().1, config.batch_size, results.metrics.loss)?;
    // What a step of the training cost stays what it was.
    let Measured { memory, ops, .. } = folder.measured()?;
    let result = RunResult { history, results, measured: Measured { memory, ops, ..measured } };
    folder.save_result(&result)?;
    Ok(Evaluated { folder, config, result, rows })
}
