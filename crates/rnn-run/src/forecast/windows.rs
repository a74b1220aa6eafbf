use super::Forecast;
use anyhow::Result;
use rnn::nn::Dataset;
use rnn_core::{Examples, HostTensor, Shape};
use rnn_data::series::{Series, SeriesTable};
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

/// A part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The beginning.
    Training,
    /// What follows it.
    Validation,
    /// The end.
    Test,
    /// The whole time.
    All,
    /// The rows after the last one.
    Future,
}

/// The times at which validation and test begin, for all series.
pub(super) struct Cuts {
    validation: f64,
    test: f64,
}

impl Cuts {
    pub fn of(forecast: &Forecast, table: &SeriesTable) -> Self {
        let ends =
            table.series.iter().flat_map(|s| s.times.first().into_iter().chain(s.times.last()));
        let (first, last) =
            ends.fold((i64::MAX, i64::MIN), |(a, b), &time| (a.min(time), b.max(time)));
        let at = |share: f64| first as f64 + (1.0 - share) * (last as f64 - first as f64);
        Self { validation: at(forecast.validation + forecast.test), test: at(forecast.test) }
    }

    /// The rows of a series that lie in a part.
    pub fn rows(&self, series: &Series, part: Part) -> Range<usize> {
        let count = series.times.len();
        let before = |cut: f64| series.times.partition_point(|time| (*time as f64) < cut);
        let [validation, test] = [self.validation, self.test].map(before);
        match part {
            Part::Training => 0..validation,
            Part::Validation => validation..test,
            Part::Test => test..count,
            Part::All => 0..count,
            Part::Future => count..count,
        }
    }
}

/// The windows of a part of a table, each with the rows after it. A window is computed when a batch
/// needs it; it may begin before its part, but the rows after it are all of the part. Clones share
/// the table.
#[derive(Clone, Debug)]
pub struct Windows {
    forecast: Arc<Forecast>,
    table: Arc<SeriesTable>,
    /// The series and the row after the window, for each window.
    origins: Arc<[(u32, u32)]>,
}

impl Windows {
    /// Returns the windows of a part, in the order of the series and of time. Windows with missing
    /// values, in themselves or in the rows after them, are left out.
    pub fn new(forecast: &Arc<Forecast>, table: &Arc<SeriesTable>, part: Part) -> Self {
        let Forecast { window, horizon, .. } = **forecast;
        let cuts = Cuts::of(forecast, table);
        let width = forecast.columns.values().count();
        let after = if part == Part::Future { 0 } else { horizon };
        let mut origins = Vec::new();
        for (number, series) in (0..).zip(&table.series) {
            let lacks =
                |row: &usize| series.values[row * width..][..width].iter().any(|v| v.is_nan());
            let rows = cuts.rows(series, part);
            let first = rows.start.max(window);
            let mut checked = first.saturating_sub(window);
            // The row after the last one with a missing value.
            let mut whole = checked;
            for origin in first..(rows.end + 1).saturating_sub(after) {
                let end = origin + after;
                whole = (checked..end).rev().find(lacks).map_or(whole, |row| row + 1);
                checked = end;
                if origin - window >= whole {
                    origins.push((number, origin as u32));
                }
            }
        }
        Self { forecast: forecast.clone(), table: table.clone(), origins: origins.into() }
    }

    /// Returns the number of windows.
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    /// Returns true if there are no windows.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Returns the windows as a data set with labels for each quantile.
    ///
    /// # Errors
    /// Fails if there are more than 2^32 - 1 windows.
    pub fn dataset(&self) -> Result<Dataset> {
        let labels = self.array(Side::After);
        let labels = vec![labels; self.forecast.quantiles.len()];
        Ok(Dataset::of([self.array(Side::Before)], labels)?)
    }

    /// Returns the windows as a data set without labels.
    ///
    /// # Errors
    /// Fails as [`Windows::dataset`].
    pub fn inputs(&self) -> Result<Dataset> {
        Ok(Dataset::of([self.array(Side::Before)], [])?)
    }

    fn array(&self, side: Side) -> Arc<dyn Examples> {
        let Forecast { window, .. } = *self.forecast;
        let shape = match side {
            Side::Before => [self.len(), window, self.forecast.inputs()].into(),
            Side::After => [self.len(), self.forecast.outputs()].into(),
        };
        Arc::new(WindowArray { windows: self.clone(), side, shape })
    }

    /// Returns the series of window `index`, and the row after the window.
    ///
    /// # Panics
    /// Panics if there is no such window.
    pub fn origin(&self, index: usize) -> (&Series, usize) {
        let (series, origin) = self.origins[index];
        (&self.table.series[series as usize], origin as usize)
    }

    /// Returns the value of target number `target` in a row of a series.
    pub fn value(&self, series: &Series, row: usize, target: usize) -> f64 {
        series.values[row * self.forecast.columns.values().count() + target]
    }

    /// Returns the guess for the row `step` rows after `origin`, the first row after a window: the
    /// value one season earlier, or as many seasons as it takes to be known; if the window has no
    /// season, the last value.
    pub fn seasonal_naive(
        &self,
        series: &Series,
        origin: usize,
        step: usize,
        target: usize,
    ) -> f64 {
        let season = self.forecast.season;
        match season <= self.forecast.window {
            true => self.value(series, origin + step % season - season, target),
            false => self.value(series, origin - 1, target),
        }
    }

    /// Returns the values of a forecast in the target's units. `outputs` are those of the model for
    /// the window, `[horizon, targets]`, for one quantile.
    pub fn unscaled(&self, index: usize, outputs: &[f32]) -> Vec<f64> {
        let (series, origin) = self.origin(index);
        let targets = self.forecast.columns.targets.len();
        let value = |(i, output): (usize, &f32)| {
            let (step, target) = (i / targets, i % targets);
            let guess = self.seasonal_naive(series, origin, step, target);
            guess + f64::from(*output) * self.forecast.scaling.residual[target]
        };
        outputs.iter().enumerate().map(value).collect()
    }

    /// The rows of a window: targets as their distance from the last one, other columns from their
    /// mean, and the phases of the calendar.
    fn before(&self, index: usize, out: &mut Vec<f32>) {
        let Forecast { window, columns, calendar, scaling, .. } = &*self.forecast;
        let (series, origin) = self.origin(index);
        let (width, targets) = (columns.values().count(), columns.targets.len());
        let last = &series.values[(origin - 1) * width..][..width];
        for row in origin - window..origin {
            for (i, value) in series.values[row * width..][..width].iter().enumerate() {
                let middle = if i < targets { last[i] } else { scaling.mean[i] };
                out.push(((value - middle) / scaling.deviation[i]) as f32);
            }
            let phases = calendar.iter().flat_map(|cycle| cycle.phase(series.times[row]));
            out.extend(phases.map(|phase| phase as f32));
        }
    }

    /// The rows after a window, as their distance from the seasonal naive guess.
    fn after(&self, index: usize, out: &mut Vec<f32>) {
        let Forecast { horizon, columns, scaling, .. } = &*self.forecast;
        let (series, origin) = self.origin(index);
        for step in 0..*horizon {
            for target in 0..columns.targets.len() {
                let guess = self.seasonal_naive(series, origin, step, target);
                let error = self.value(series, origin + step, target) - guess;
                out.push((error / scaling.residual[target]) as f32);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Before,
    After,
}

#[derive(Debug)]
struct WindowArray {
    windows: Windows,
    side: Side,
    shape: Shape,
}

impl Examples for WindowArray {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn read(&self, which: &[u32]) -> Result<HostTensor, Box<dyn Error + Send + Sync>> {
        let mut values =
            Vec::with_capacity(which.len() * self.shape.dims()[1..].iter().product::<usize>());
        for &index in which {
            let index = index as usize;
            if index >= self.windows.len() {
                return Err(format!("there is no window {index}").into());
            }
            match self.side {
                Side::Before => self.windows.before(index, &mut values),
                Side::After => self.windows.after(index, &mut values),
            }
        }
        let mut shape = self.shape.dims().to_vec();
        shape[0] = which.len();
        Ok(HostTensor::from_f32(shape, values)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, Windows};
    use crate::forecast::{Forecast, Scaling};
    use rnn_data::series::{Gaps, Missing, Series, SeriesColumns, SeriesTable, Step};
    use std::sync::Arc;

    /// Ten rows, of which the first six are the training part.
    fn table() -> SeriesTable {
        let load = [1.0, 3.0, 2.0, 6.0, 3.0, 9.0, 5.0, 8.0, 4.0, 7.0];
        let values = load.iter().flat_map(|load| [*load, 7.0]).collect();
        let series = vec![Series { name: "s".into(), times: (0..10).collect(), values }];
        SeriesTable { series, step: Step::Rows }
    }

    fn forecast(table: &SeriesTable) -> Forecast {
        let columns = SeriesColumns {
            targets: vec!["load".into()],
            features: vec!["constant".into()],
            ..SeriesColumns::default()
        };
        let mut forecast = Forecast {
            columns,
            gaps: Gaps::default(),
            missing: Missing::default(),
            calendar: vec![],
            window: 2,
            horizon: 3,
            season: 2,
            quantiles: vec![0.5],
            validation: 0.2,
            test: 0.2,
            step: table.step,
            scaling: Scaling::default(),
        };
        forecast.scaling = Scaling::fit(&forecast, table);
        forecast
    }

    #[test]
    fn scales_are_those_of_the_training_part() {
        let scaling = forecast(&table()).scaling;
        // Of 1, 3, 2, 6, 3, 9 the mean is 24 / 6, and the squares of the distances sum to 44.
        assert_eq!(scaling.mean, [4.0, 7.0]);
        assert!((scaling.deviation[0] - (44.0f64 / 6.0).sqrt()).abs() < 1e-12);
        assert_eq!(scaling.deviation[1], 1.0);
        // Differences two rows apart: 1, 3, 1, 3.
        assert_eq!(scaling.seasonal, [2.0]);
        // Steps 1 and 2 of the horizon are guessed by those, of which the squares sum to 20; step 3
        // from four rows before: 2 and 6, of which the squares sum to 40.
        assert!((scaling.residual[0] - (80.0f64 / 10.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_follows_a_window_is_scaled_and_scaled_back() {
        let table = table();
        let forecast = Arc::new(forecast(&table));
        let windows = Windows::new(&forecast, &Arc::new(table), Part::Training);
        // Rows 2 to 4 and rows 3 to 5.
        assert_eq!(windows.len(), 2);
        let (mut before, mut after) = (vec![], vec![]);
        windows.before(1, &mut before);
        windows.after(1, &mut after);
        // 3 and 2 as distances from 2, and a constant from its mean.
        let deviation = (44.0f64 / 6.0).sqrt();
        assert_eq!(before, [(1.0 / deviation) as f32, 0.0, 0.0, 0.0]);
        // 6, 3 and 9 less the guesses 3, 2 and 3.
        let scaled: Vec<f32> = [3.0, 1.0, 6.0].iter().map(|e| (e / 8f64.sqrt()) as f32).collect();
        assert_eq!(after, scaled);
        let back = windows.unscaled(1, &after);
        assert!(back.iter().zip([6.0, 3.0, 9.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{back:?}");
    }
}
