//! The arguments of `rnn-gpu train forecast`.

use anyhow::{Context, Result};
use rnn::datasets::series::{Calendar, Gaps, Missing, SeriesColumns};

/// The arguments for forecasts of time series.
#[derive(clap::Args)]
pub struct ForecastArgs {
    /// The column of dates [default: none; rows follow each other at equal distances]
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// The column that tells the series of the table apart
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// Rows that the model sees [default: two seasons or two horizons, at least 24]
    #[arg(long, value_name = "ROWS", value_parser = rows())]
    window: Option<u32>,
    /// Rows that it forecasts
    #[arg(long, value_name = "ROWS", value_parser = rows())]
    horizon: Option<u32>,
    /// Rows of a season [default: by the distance of rows: a day of hours, a week of days, a year of
    /// weeks, months or quarters; of other steps what is found in the training part]
    #[arg(long, value_name = "ROWS", value_parser = rows())]
    season: Option<u32>,
    /// Quantiles that are forecast; 0.5 is the forecast itself [default: 0.1,0.5,0.9]
    #[arg(long, value_name = "Q", value_delimiter = ',')]
    quantiles: Vec<f32>,
    /// What is done about missing values: error, linear (interpolation), previous (value) or drop
    /// (the windows) [default: error]
    #[arg(long, value_name = "POLICY")]
    missing: Option<Missing>,
    /// What is done about missing dates: error, or fill (with rows of missing values) [default: error]
    #[arg(long, value_name = "POLICY")]
    gaps: Option<Gaps>,
    /// Features from the dates: hour, weekday, month, yearday, each as a sine and a cosine
    #[arg(long, value_name = "CYCLE", value_delimiter = ',')]
    calendar: Vec<Calendar>,
    /// Share of the time, before that of the test, that validates [default: 0.15]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Share of the time, its end, that tests [default: 0.15]
    #[arg(long, value_name = "SHARE")]
    test: Option<f64>,
}

fn rows() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=rnn_run::forecast::MAX_ROWS as i64)
}

impl ForecastArgs {
    /// Returns true if one of the arguments is given.
    pub fn is_given(&self) -> bool {
        let Self { time, group, window, horizon, season, missing, gaps, .. } = self;
        let lists = [self.quantiles.is_empty(), self.calendar.is_empty()];
        time.is_some()
            || group.is_some()
            || [window, horizon, season].into_iter().any(Option::is_some)
            || (missing.is_some() || gaps.is_some())
            || [self.validation, self.test].iter().any(Option::is_some)
            || lists.contains(&false)
    }

    /// Returns the settings of a run, of which `base` has those that every training has, with the
    /// columns `target` and `features`.
    ///
    /// # Errors
    /// Fails if no target or no horizon is given.
    pub fn with(
        self,
        [target, features]: [Vec<String>; 2],
        base: rnn_run::forecast::ForecastArgs,
    ) -> Result<rnn_run::forecast::ForecastArgs> {
        let number = |n: u32| n as usize;
        let columns =
            SeriesColumns { time: self.time, group: self.group, targets: target, features };
        anyhow::ensure!(
            !columns.targets.is_empty(),
            "a forecast takes --target COLUMN, the column of the table that is forecast"
        );
        let horizon = self.horizon.context("a forecast takes --horizon ROWS, how far it goes")?;
        Ok(rnn_run::forecast::ForecastArgs {
            columns,
            gaps: self.gaps.unwrap_or_default(),
            missing: self.missing.unwrap_or_default(),
            calendar: self.calendar,
            window: self.window.map(number),
            horizon: number(horizon),
            season: self.season.map(number),
            quantiles: match self.quantiles.is_empty() {
                true => base.quantiles.clone(),
                false => self.quantiles,
            },
            validation: self.validation.unwrap_or(base.validation),
            test: self.test.unwrap_or(base.test),
            ..base
        })
    }
}
