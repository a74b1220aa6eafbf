use super::errors::{ErrorSums, Errors};
use super::{Forecast, Windows};
use anyhow::Result;
use rnn::nn::{Dataset, Trainer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A forecast that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// That of the model.
    Model,
    /// The last value.
    Naive,
    /// The value one season earlier.
    SeasonalNaive,
}

impl Guess {
    /// All of them, in the order of the fields of a report.
    pub const ALL: [Self; 3] = [Self::Model, Self::Naive, Self::SeasonalNaive];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Naive => "naive",
            Self::SeasonalNaive => "seasonal naive",
        }
    }
}

/// The errors of forecasts from each row of a part of the time, beside those of naive guesses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForecastReport {
    /// The number of forecasts.
    pub forecasts: usize,
    /// Rows of a season; 1 for none, where both naive guesses are one.
    pub season: usize,
    /// The name of the interval, such as `80%`; `None` if there is one quantile.
    pub interval: Option<f64>,
    /// What is measured of each target.
    pub targets: Vec<TargetReport>,
}

/// The errors of the forecasts of a target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetReport {
    /// The target.
    pub name: String,
    /// The errors over the horizon, in the order of [`Guess::ALL`].
    pub errors: [Errors; 3],
    /// The errors at each step of the horizon.
    pub by_step: Vec<[Errors; 3]>,
    /// The share of the truths that lie in the interval; `None` if there is one quantile.
    pub coverage: Option<f64>,
    /// The last of the forecasts.
    pub example: Example,
}

/// A forecast with what was before it and what came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Example {
    /// The name of its series.
    pub series: String,
    /// The first date that is forecast.
    pub from: String,
    /// The rows before, the last of them last.
    pub history: Vec<f64>,
    /// The rows that came.
    pub truth: Vec<f64>,
    /// The seasonal naive guess.
    pub guess: Vec<f64>,
    /// The forecast: the median.
    pub forecast: Vec<f64>,
    /// The lowest and the highest quantile.
    pub interval: [Vec<f64>; 2],
}

/// The forecasts of a window in the target's units, `[horizon, targets]` for each quantile, which
/// ascend.
pub(super) fn quantiles(windows: &Windows, index: usize, outputs: &[&[f32]]) -> Vec<Vec<f64>> {
    let mut all: Vec<Vec<f64>> =
        outputs.iter().map(|output| windows.unscaled(index, output)).collect();
    // Quantiles are learned one by one, and may cross.
    for i in 0..all.first().map_or(0, Vec::len) {
        let mut column: Vec<f64> = all.iter().map(|quantile| quantile[i]).collect();
        column.sort_by(f64::total_cmp);
        all.iter_mut().zip(column).for_each(|(quantile, value)| quantile[i] = value);
    }
    all
}

/// Batches of which forecasts are kept at once.
const BATCHES: usize = 64;

/// Calls `see` with the number of each window of `set`, which are the first of `windows`, and its
/// forecasts by quantile.
pub(super) fn each(
    trainer: &mut Trainer,
    (set, windows): (&Dataset, &Windows),
    batch_size: usize,
    see: &mut dyn FnMut(usize, Vec<Vec<f64>>),
) -> Result<()> {
    let part = BATCHES * batch_size;
    for first in (0..set.len()).step_by(part) {
        let part = set.range(first..set.len().min(first + part));
        let outputs = trainer.predict(&part, batch_size)?;
        let outputs = outputs.iter().map(|o| o.as_f32()).collect::<Result<Vec<_>, _>>()?;
        let width = outputs.first().map_or(0, |o| o.len()) / part.len().max(1);
        for i in 0..part.len() {
            let rows: Vec<&[f32]> = outputs.iter().map(|o| &o[i * width..][..width]).collect();
            see(first + i, quantiles(windows, first + i, &rows));
        }
    }
    Ok(())
}

/// Measures the forecasts from all windows of `set`, the first of `windows`.
pub(crate) fn report(
    trainer: &mut Trainer,
    forecast: &Forecast,
    (set, windows): (&Dataset, &Windows),
    batch_size: usize,
) -> Result<ForecastReport> {
    let (horizon, targets) = (forecast.horizon, forecast.columns.targets.len());
    let median = forecast.median();
    let mut sums = vec![vec![[ErrorSums::default(); 3]; horizon]; targets];
    let mut covered = vec![0usize; targets];
    let mut last = Vec::new();
    each(trainer, (set, windows), batch_size, &mut |index, all| {
        let (series, origin) = windows.origin(index);
        for (i, value) in all[median].iter().enumerate() {
            let (step, target) = (i / targets, i % targets);
            let truth = windows.value(series, origin + step, target);
            let naive = windows.value(series, origin - 1, target);
            let guess = windows.seasonal_naive(series, origin, step, target);
            for (sums, forecast) in sums[target][step].iter_mut().zip([*value, naive, guess]) {
                sums.add(forecast, truth);
            }
            let within = all[0][i] <= truth && truth <= all[all.len() - 1][i];
            covered[target] += usize::from(within);
        }
        last = all;
    })?;
    let shown = set.len().saturating_sub(1);
    let of_target = |(target, by_step): (usize, &Vec<[ErrorSums; 3]>)| {
        let seasonal = forecast.scaling.seasonal[target];
        let mut whole = [ErrorSums::default(); 3];
        for step in by_step {
            whole.iter_mut().zip(step).for_each(|(whole, step)| whole.merge(step));
        }
        let all = (set.len() * horizon) as f64;
        TargetReport {
            name: forecast.columns.targets[target].clone(),
            errors: whole.map(|sums| sums.errors(seasonal)),
            by_step: by_step.iter().map(|step| step.map(|sums| sums.errors(seasonal))).collect(),
            coverage: (forecast.quantiles.len() > 1).then(|| covered[target] as f64 / all),
            example: example(forecast, windows, (shown, target), &last),
        }
    };
    let interval = match &forecast.quantiles[..] {
        [low, .., high] => Some(f64::from(high - low)),
        _ => None,
    };
    Ok(ForecastReport {
        forecasts: set.len(),
        season: forecast.season,
        interval,
        targets: sums.iter().enumerate().map(of_target).collect(),
    })
}

/// Seasons and horizons of history before a forecast that is shown.
const SHOWN: usize = 3;

fn example(
    forecast: &Forecast,
    windows: &Windows,
    (index, target): (usize, usize),
    all: &[Vec<f64>],
) -> Example {
    let (series, origin) = windows.origin(index);
    let targets = forecast.columns.targets.len();
    let before = forecast.window.min(SHOWN * forecast.horizon.max(forecast.season));
    let value = |row| windows.value(series, row, target);
    let of = |quantile: &[f64]| quantile.iter().skip(target).step_by(targets).copied().collect();
    let steps = 0..forecast.horizon;
    Example {
        series: series.name.clone(),
        from: forecast.step.shown(series.times[origin]),
        history: (origin - before..origin).map(value).collect(),
        truth: (origin..origin + forecast.horizon).map(value).collect(),
        guess: steps.map(|s| windows.seasonal_naive(series, origin, s, target)).collect(),
        forecast: all.get(forecast.median()).map(|q| of(q)).unwrap_or_default(),
        interval: [all.first(), all.last()].map(|q| q.map(|q| of(q)).unwrap_or_default()),
    }
}

impl TargetReport {
    /// Says whether the model is better than both naive guesses, by their mean absolute errors.
    pub fn verdict(&self) -> String {
        let [model, naive, seasonal] = self.errors.map(|errors| errors.mae);
        let (guess, best) = match seasonal <= naive {
            true => (Guess::SeasonalNaive, seasonal),
            false => (Guess::Naive, naive),
        };
        if best == 0.0 {
            return format!("the {} guess makes no error; no model is needed", guess.name());
        }
        let share = 100.0 * (model - best).abs() / best;
        let name = guess.name();
        match model < best {
            true => {
                format!("the model is better than the {name} guess: its MAE is {share:.1}% smaller")
            }
            false => format!(
                "the model is NOT better than the {name} guess: its MAE is {share:.1}% larger"
            ),
        }
    }
}

impl fmt::Display for ForecastReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for target in &self.targets {
            let name = rnn::short(&target.name, 40);
            writeln!(f, "{name}, {} forecasts of {} rows", self.forecasts, target.by_step.len())?;
            let heads = ["MAE", "RMSE", "MAPE", "sMAPE", "MASE"];
            write!(f, "{:<16}", "")?;
            heads.iter().try_for_each(|head| write!(f, "{head:>11}"))?;
            for (guess, e) in Guess::ALL.iter().zip(&target.errors) {
                let percent = |p: f64| format!("{p:.2}%");
                let mape = e.mape.map_or("-".into(), percent);
                let mase = e.mase.map_or("-".into(), |mase| format!("{mase:.3}"));
                let smape = percent(e.smape);
                let [mae, rmse] = [e.mae, e.rmse].map(figure);
                write!(
                    f,
                    "\n{:<16}{mae:>11}{rmse:>11}{mape:>11}{smape:>11}{mase:>11}",
                    guess.name()
                )?;
            }
            if let (Some(share), Some(interval)) = (target.coverage, self.interval) {
                write!(
                    f,
                    "\n{:.1}% of the values lie in the interval of {:.0}%",
                    100.0 * share,
                    100.0 * interval
                )?;
            }
            writeln!(f, "\n{}", target.verdict())?;
        }
        Ok(())
    }
}

/// A number with four digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        size if (1000.0..1e7).contains(&size) => format!("{value:.0}"),
        size if (1.0..1000.0).contains(&size) => format!("{value:.*}", 3 - size.log10() as usize),
        size if size >= 1e-3 || size == 0.0 => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
}
