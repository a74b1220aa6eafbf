//! Forecasts of time series: windows of a table's rows, of which a model predicts the rows that
//! follow.
//!
//! A model sees a window of rows and corrects the seasonal naive guess, the values one season
//! earlier: its outputs are the differences from that guess, in units of the guess's own errors in
//! the training part. It has an output for each quantile.

mod errors;
mod model;
mod predict;
mod report;
mod scaling;
mod season;
mod windows;

pub use errors::Errors;
pub use predict::{evaluate, is_forecast, predict};
pub(crate) use report::report;
pub use report::{Example, ForecastReport, Guess, TargetReport};
pub use scaling::Scaling;
pub use windows::{Part, Windows};

use crate::config::{Config, CustomTask, Stopping, Task};
use crate::host::Host;
use crate::splits::Splits;
use anyhow::{Result, ensure};
use rnn::nn::Precision;
use rnn_data::series::{Calendar, Gaps, Missing, SeriesColumns, SeriesTable, Step};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

/// What is forecast from which columns, and how; part of a run's `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forecast {
    /// The columns of the table.
    pub columns: SeriesColumns,
    /// What is done about dates that a series lacks.
    pub gaps: Gaps,
    /// What is done about missing values.
    pub missing: Missing,
    /// Features that are computed from the dates.
    pub calendar: Vec<Calendar>,
    /// Rows that the model sees.
    pub window: usize,
    /// Rows that it forecasts.
    pub horizon: usize,
    /// Rows of a season; 1 for none.
    pub season: usize,
    /// The quantiles of the forecast, ascending, with 0.5, the forecast itself.
    pub quantiles: Vec<f32>,
    /// Share of the time that is held out for validation, before that for the test.
    pub validation: f64,
    /// Share of the time, its end, that is held out for the test.
    pub test: f64,
    /// The distance of two rows.
    pub step: Step,
    /// Fitted on the training part.
    pub scaling: Scaling,
}

impl Forecast {
    /// Returns the number of values of a row that the model sees.
    pub fn inputs(&self) -> usize {
        self.columns.values().count() + 2 * self.calendar.len()
    }

    /// Returns the number of values of a forecast, for each quantile.
    pub fn outputs(&self) -> usize {
        self.horizon * self.columns.targets.len()
    }

    /// Returns the place of the median among the quantiles, which is the forecast itself.
    pub fn median(&self) -> usize {
        self.quantiles.iter().position(|q| *q == 0.5).unwrap_or(0)
    }

    /// Reads a table as the run reads its own.
    pub(crate) fn read(&self, path: &Path) -> Result<Arc<SeriesTable>> {
        let policies = (self.gaps, self.missing);
        Ok(Arc::new(SeriesTable::read(path, &self.columns, policies, Some(self.step))?))
    }

    /// Checks numbers that come from a file.
    pub(crate) fn check(&self) -> Result<()> {
        let [window, horizon, season] = [self.window, self.horizon, self.season];
        ensure!((1..=MAX_ROWS).contains(&window), "window = {window}");
        ensure!((1..=MAX_ROWS).contains(&horizon), "horizon = {horizon}");
        ensure!((1..=MAX_ROWS).contains(&season), "season = {season}");
        check_quantiles(&self.quantiles)?;
        let widths = [self.scaling.mean.len(), self.scaling.deviation.len()];
        let targets = [self.scaling.residual.len(), self.scaling.seasonal.len()];
        let fit = widths == [self.columns.values().count(); 2]
            && targets == [self.columns.targets.len(); 2]
            && !self.columns.targets.is_empty();
        ensure!(fit, "the scaling does not fit the columns");
        Ok(())
    }
}

/// The most rows of a window or a horizon.
pub const MAX_ROWS: usize = 10_000;
/// The most quantiles.
const MAX_QUANTILES: usize = 99;
/// The fewest rows of a default window.
const SHORTEST_WINDOW: usize = 24;

fn check_quantiles(quantiles: &[f32]) -> Result<()> {
    let ascend = quantiles.windows(2).all(|pair| pair[0] < pair[1]);
    let within = quantiles.iter().all(|q| *q > 0.0 && *q < 1.0);
    ensure!(
        ascend && within && quantiles.contains(&0.5) && quantiles.len() <= MAX_QUANTILES,
        "quantiles ascend between 0 and 1, and one is 0.5, the forecast itself"
    );
    Ok(())
}

/// The settings of a new run that forecasts.
#[derive(Clone, Debug)]
pub struct ForecastArgs {
    /// The table.
    pub data: PathBuf,
    /// Its columns.
    pub columns: SeriesColumns,
    /// What is done about dates that a series lacks.
    pub gaps: Gaps,
    /// What is done about missing values.
    pub missing: Missing,
    /// Features that are computed from the dates; these need a column of dates.
    pub calendar: Vec<Calendar>,
    /// Rows that the model sees; `None` for two seasons or two horizons, but at least 24.
    pub window: Option<usize>,
    /// Rows that it forecasts.
    pub horizon: usize,
    /// Rows of a season; `None` for what is usual for the distance of two rows, or
    /// what is found in the training part.
    pub season: Option<usize>,
    /// The quantiles of the forecast.
    pub quantiles: Vec<f32>,
    /// Share of the time that validates.
    pub validation: f64,
    /// Share of the time, its end, that tests.
    pub test: f64,
    /// The description of a model whose output the forecast is computed from; `None` for one of its
    /// own.
    pub model: Option<PathBuf>,
    /// The most passes over the training data; it ends earlier if the validation loss does not fall.
    pub epochs: usize,
    /// Windows in a step.
    pub batch_size: usize,
    /// Seed of first weights and of the order of windows.
    pub seed: u64,
    /// Precision of the training.
    pub precision: Precision,
    /// The most windows that each set has; `None` for no limit.
    pub limit: Option<usize>,
    /// Number of processes that train together.
    pub ranks: usize,
    /// Name of the device, which the configuration records.
    pub device: String,
}

impl ForecastArgs {
    /// Returns the settings of a forecast of the table `data`, without columns and horizon: the
    /// quantiles 0.1, 0.5 and 0.9, a share of 0.15 each for validation and test, and at most 40 epochs
    /// in batches of 32.
    pub fn of(data: PathBuf) -> Self {
        Self {
            data,
            columns: SeriesColumns::default(),
            gaps: Gaps::default(),
            missing: Missing::default(),
            calendar: vec![],
            window: None,
            horizon: 1,
            season: None,
            quantiles: vec![0.1, 0.5, 0.9],
            validation: 0.15,
            test: 0.15,
            model: None,
            epochs: 40,
            batch_size: 32,
            seed: 1,
            precision: Precision::default(),
            limit: None,
            ranks: 1,
            device: String::new(),
        }
    }
}

/// Reads the table and returns the configuration of the run, with the scaling fitted on the training
/// part. `host` is told of what was found.
///
/// # Errors
/// Fails if the table cannot be read or used ([`rnn_data::series::SeriesError`]), a setting is out of
/// range, a part of the time is too short for a window and a horizon, or the model cannot be read or
/// does not take windows.
pub fn prepare(args: &ForecastArgs, host: &Arc<dyn Host>) -> Result<Config> {
    let ForecastArgs { columns, gaps, missing, horizon, .. } = args;
    ensure!(!columns.targets.is_empty(), "a forecast takes a target, the column that is forecast");
    let mut all: Vec<&String> =
        columns.values().chain(&columns.time).chain(&columns.group).collect();
    all.sort();
    if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
        anyhow::bail!("the column {} is named twice", pair[0]);
    }
    ensure!(
        args.calendar.is_empty() || columns.time.is_some(),
        "features of the calendar need a column of dates"
    );
    for share in [args.validation, args.test] {
        ensure!((0.01..=0.49).contains(&share), "{share} is no share to hold out: 0.01 to 0.49");
    }
    check_quantiles(&args.quantiles)?;
    let table = SeriesTable::read(&args.data, columns, (*gaps, *missing), None)?;
    let mut forecast = Forecast {
        columns: columns.clone(),
        gaps: *gaps,
        missing: *missing,
        calendar: args.calendar.clone(),
        window: 1,
        horizon: *horizon,
        season: 1,
        quantiles: args.quantiles.clone(),
        validation: args.validation,
        test: args.test,
        step: table.step,
        scaling: Scaling::default(),
    };
    let (season, why) = season::choose(args.season, &forecast, &table);
    let window = args.window.unwrap_or_else(|| (2 * season.max(*horizon)).max(SHORTEST_WINDOW));
    (forecast.season, forecast.window) = (season, window);
    forecast.scaling = Scaling::fit(&forecast, &table);
    forecast.check()?;
    let rows: usize = table.series.iter().map(|series| series.times.len()).sum();
    host.tell(format_args!(
        "{rows} rows at steps of {}, {} series; a season is {season} rows, {why}; {window} rows forecast \
         {horizon}",
        table.step,
        table.series.len()
    ));
    let (name, model) = model::build(&forecast, args.model.as_deref(), args.seed, host)?;
    let own = CustomTask {
        name,
        arrays: absolute(&args.data).unwrap_or_else(|_| args.data.clone()),
        columns: None,
        stream: false,
        validation: 0.0,
        class_weights: vec![],
        early_stopping: Some(Stopping::after(PATIENCE)),
        shuffle: true,
        samples: vec![vec![window, forecast.inputs()]],
        model,
        forecast: Some(forecast),
    };
    Ok(Config {
        task: Task::Custom(Box::new(own)),
        batch_size: args.batch_size,
        ranks: args.ranks,
        epochs: args.epochs,
        seed: args.seed,
        precision: args.precision,
        limit: args.limit,
        device: args.device.clone(),
        fingerprint: None,
    })
}

/// Epochs without a smaller validation loss after which a training ends.
const PATIENCE: usize = 5;

/// Reads the windows of a run, parted by time.
pub(crate) fn splits(forecast: &Forecast, data: &Path) -> Result<Splits> {
    let table = forecast.read(data)?;
    let forecast = Arc::new(forecast.clone());
    let part = |part| Windows::new(&forecast, &table, part);
    let windows = [part(Part::Training), part(Part::Validation), part(Part::Test)];
    for (windows, name) in windows.iter().zip(["training", "validation", "test"]) {
        ensure!(
            !windows.is_empty(),
            "the {name} part of the time has no window of {} rows and {} rows after it: give more \
             rows, a smaller window or horizon, or other shares",
            forecast.window,
            forecast.horizon
        );
    }
    Ok(Splits {
        vocabulary: None,
        train: windows[0].dataset()?,
        validation: windows[1].dataset()?,
        test: windows[2].dataset()?,
        unused: vec![],
        remarks: vec![],
        windows: Some(windows),
    })
}
