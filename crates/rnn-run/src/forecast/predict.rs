use super::report::{each, report};
use super::{Forecast, ForecastReport, Part, Windows};
use crate::host::Host;
use crate::outputs::Outputs;
use crate::run::RunFolder;
use anyhow::{Context, Result, ensure};
use rnn::nn::Trainer;
use rnn_formats::write_atomically;
use rnn_graph::Device;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Opens a finished run that forecasts.
fn open(run: &Path, device: &dyn Device) -> Result<(Arc<Forecast>, Trainer, usize)> {
    let (folder, config) = RunFolder::open(run)?;
    let forecast = config
        .forecast()
        .cloned()
        .with_context(|| format!("{} is no run that forecasts", run.display()))?;
    let mut model = config.model()?;
    folder.load_weights(&mut model)?;
    Ok((Arc::new(forecast), config.trainer(model, device)?, config.batch_size))
}

/// Returns true if a folder holds a finished run that forecasts.
pub fn is_forecast(run: &Path) -> bool {
    RunFolder::open(run).is_ok_and(|(_, config)| config.forecast().is_some())
}

/// Measures the forecasts of the finished run `run` from every row of the table `data` that has a
/// window before it and a horizon after it: a backtest whose origin rolls.
///
/// # Errors
/// Fails if the run or the table cannot be read, the table has no such row, or the device fails.
pub fn evaluate(run: &Path, data: &Path, device: &dyn Device) -> Result<ForecastReport> {
    let (forecast, mut trainer, batch_size) = open(run, device)?;
    let windows = Windows::new(&forecast, &forecast.read(data)?, Part::All);
    ensure!(
        !windows.is_empty(),
        "{} has no {} rows in a row without missing values, a window and a horizon",
        data.display(),
        forecast.window + forecast.horizon
    );
    report(&mut trainer, &forecast, (&windows.inputs()?, &windows), batch_size)
}

/// Forecasts the rows after the last one of each series of the table `data` with the finished run
/// `run`, and writes them to the `.csv` file `output`: the column of groups, the date, and each target
/// with its quantiles. Returns the number of rows.
///
/// # Errors
/// Fails if the run or the table cannot be read, a series has no window of rows at its end, the device
/// fails, or the file cannot be written.
pub fn predict(
    run: &Path,
    (data, output): (&Path, &Path),
    device: &dyn Device,
    host: &dyn Host,
) -> Result<usize> {
    let (forecast, mut trainer, batch_size) = open(run, device)?;
    let output = Outputs::of(&[data, run]).take(output)?;
    let table = forecast.read(data)?;
    let windows = Windows::new(&forecast, &table, Part::Future);
    let short = table.series.len() - windows.len();
    ensure!(
        !windows.is_empty(),
        "{} has too few rows: a forecast takes the last {} rows, without missing values",
        data.display(),
        forecast.window
    );
    if short > 0 {
        host.warn(format_args!(
            "{short} of {} series have no window of {} rows at their end, and no forecast",
            table.series.len(),
            forecast.window
        ));
    }
    let mut csv = csv::Writer::from_writer(Vec::new());
    let columns = &forecast.columns;
    let mut heads: Vec<String> = columns.group.iter().cloned().collect();
    heads.push(columns.time.clone().unwrap_or_else(|| "row".into()));
    for target in &columns.targets {
        let name = |q: &f32| match *q {
            0.5 => target.clone(),
            q => format!("{target}_{q}"),
        };
        heads.extend(forecast.quantiles.iter().map(name));
    }
    csv.write_record(&heads)?;
    let mut rows = Vec::new();
    each(&mut trainer, (&windows.inputs()?, &windows), batch_size, &mut |index, all| {
        let (series, origin) = windows.origin(index);
        for step in 0..forecast.horizon {
            let mut cells: Vec<String> =
                columns.group.iter().map(|_| series.name.clone()).collect();
            let at = forecast.step.after(series.times[origin - 1], step + 1);
            let at = at.unwrap_or(series.times[origin - 1]);
            cells.push(match columns.time {
                Some(_) => forecast.step.shown(at),
                None => at.to_string(),
            });
            for target in 0..columns.targets.len() {
                let place = step * columns.targets.len() + target;
                // As precise as the model.
                cells.extend(all.iter().map(|quantile| (quantile[place] as f32).to_string()));
            }
            rows.push(cells);
        }
    })?;
    rows.iter().try_for_each(|cells| csv.write_record(cells))?;
    let text = csv.into_inner().map_err(|error| error.into_error())?;
    write_atomically(&output, |file| file.write_all(&text))?;
    Ok(rows.len())
}
