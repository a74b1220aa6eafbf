//! Evaluating a run.

use crate::config::{Config, Task};
use crate::error::RunError;
use crate::finite::{self, FiniteRows};
use crate::host::Host;
use crate::measure::measure;
use crate::measure::{Measured, RunResult};
use crate::run::RunFolder;
use crate::splits;
use anyhow::{Result, ensure};
use rnn::Device;
use std::path::Path;

/// The results of a run that has been evaluated.
pub struct Evaluated {
    /// The folder of the run.
    pub folder: RunFolder,
    /// The configuration of the run.
    pub config: Config,
    /// The results, which have been written.
    pub result: RunResult,
    /// The counts of rows that are not finite among the inputs, then among the outputs, of the
    /// examples used.
    pub rows: [FiniteRows; 2],
}

/// Evaluates the finished run in the folder `path` on its own data and writes its results anew. The
/// host is told of remarks.
///
/// # Errors
/// Fails if the folder holds no finished run, the run or its data cannot be read, the data has
/// changed ([`RunError::EvaluatedOnOtherData`]), the device fails, or a file cannot be written.
pub fn evaluate(path: &Path, device: &dyn Device, host: &dyn Host) -> Result<Evaluated> {
    let (folder, mut config) = RunFolder::open(path)?;
    if matches!(config.task, Task::Custom(_)) {
        config.check_data()?;
    }
    let mut model = config.model()?;
    folder.load_weights(&mut model)?;
    let splits = splits::load(&config, &model, folder.vocabulary()?)?;
    splits.remarks.iter().for_each(|line| host.warn(format_args!("{line}")));
    if let (Task::Custom(_), Some(then)) = (&config.task, &config.fingerprint) {
        ensure!(
            *then == splits.fingerprint()?,
            RunError::EvaluatedOnOtherData { data: config.data() }
        );
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
