//! The command `rnn-gpu evaluate`.

use super::architecture::ArchitectureArg;
use super::columns::ColumnArgs;
use super::submission::SubmissionArgs;
use crate::process::{Process, host, open_device, warn_of};
use anyhow::Result;
use rnn_run::evaluate::{Evaluated, evaluate};
use rnn_run::fit;
use rnn_run::forecast;
use rnn_run::measure::describe;
use rnn_run::splits::Split;
use std::path::PathBuf;

/// The arguments of `rnn-gpu evaluate`.
#[derive(clap::Args)]
pub struct EvaluateArgs {
    /// The folder that `train` wrote, .keras, .h5 or .onnx
    run: PathBuf,
    #[command(flatten)]
    architecture: ArchitectureArg,
    /// Other data than the run's own: an .npz or a folder of .npy, of x_test and y_test, or x
    /// and y; or a .csv. Forecasts are made from each of its rows
    #[arg(long)]
    data: Option<PathBuf>,
    /// Read examples from there as they are needed, whatever memory there is
    #[arg(long, requires = "data")]
    stream: bool,
    #[command(flatten)]
    columns: ColumnArgs,
    /// The loss, where the model does not say it: a fit.toml
    #[arg(long, requires = "data")]
    fit: Option<PathBuf>,
    /// auto, cpu, gpu, gpu:N or part of a name
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    submission: SubmissionArgs,
}

/// Evaluates a trained model on test data and prints the metrics. A run that is evaluated on its
/// own data gets them written into its folder, if that can be written.
///
/// # Errors
/// Fails if the device cannot be opened or fails, the model or the data cannot be read or do not
/// fit together, or a file cannot be written.
pub fn run(args: EvaluateArgs) -> Result<()> {
    args.submission.apply();
    let (device, why) = open_device(&args.device)?;
    println!("device: {}: {why}", device.info());
    let Some(data) = args.data else {
        let evaluated = evaluate(&args.run, &*device, &Process)?;
        let Evaluated { folder, config, result, rows, lock } = &evaluated;
        println!("precision: {}, as it was trained", config.precision);
        warn_of(rows);
        println!("{}", rnn_report::text(config, result));
        if lock.is_some() {
            rnn_report::draw(folder, config, result)?;
            rnn_report::write(folder, config, result)?;
        }
        return Ok(());
    };
    if forecast::is_forecast(&args.run) {
        println!("{}", forecast::evaluate(&args.run, &data, &*device)?);
        return Ok(());
    }
    let columns = args.columns.choice();
    let model = args.architecture.of(&args.run);
    let data = (&*data, args.stream, &columns);
    let results = fit::evaluate(&model, data, args.fit.as_deref(), &*device, &host())?;
    println!("{}", describe(Split::Test, &results.metrics, results.metric_sums));
    warn_of(&results.rows);
    Ok(())
}
