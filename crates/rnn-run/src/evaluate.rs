//! Evaluation of a finished run.

use crate::checkpoint::RunLock;
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
    /// The results, which have been written if the run is locked.
    pub result: RunResult,
    /// The counts of rows that are not finite in the examples of the evaluation: among the inputs,
    /// then among the outputs.
    pub rows: [FiniteRows; 2],
    /// The lock of the run while pictures and pages are written into it; `None` if its folder is
    /// read-only.
    pub lock: Option<RunLock>,
}

/// Evaluates the finished run in the folder `path` on its own data and writes its results anew,
/// unless the folder is read-only. The host is told of remarks.
///
/// # Errors
/// Fails if the folder holds no finished run, another process writes into it
/// ([`RunError::Locked`]), the run or its data cannot be read, the data has changed
/// ([`RunError::EvaluatedOnOtherData`]), the device fails, or a file cannot be written.
pub fn evaluate(path: &Path, device: &dyn Device, host: &dyn Host) -> Result<Evaluated> {
    // Whether there is a run is said first; what it holds is read once nobody else writes there.
    RunFolder::open(path)?;
    let lock = RunLock::acquire_if_writable(path, host)?;
    if lock.is_none() {
        host.warn(format_args!(
            "{} is read-only: the results are printed, and its files stay as they are",
            path.display()
        ));
    }
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
    if lock.is_some() {
        folder.save_result(&result)?;
    }
    Ok(Evaluated { folder, config, result, rows, lock })
}
