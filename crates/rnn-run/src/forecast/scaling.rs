use super::Forecast;
use super::windows::{Cuts, Part};
use rnn_data::series::SeriesTable;
use serde::{Deserialize, Serialize};

/// The scale of each column, which is fitted on the training part alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Mean of each column: the targets, then the features.
    pub mean: Vec<f64>,
    /// Standard deviation of each column; 1 for constant ones.
    pub deviation: Vec<f64>,
    /// Root mean square of the errors of the seasonal naive guess of each target, over a horizon; 1
    /// if there are none.
    pub residual: Vec<f64>,
    /// Mean of |y_t - y_(t - season)| of each target, by which MASE divides (Hyndman and Koehler,
    /// "Another look at measures of forecast accuracy", 2006).
    pub seasonal: Vec<f64>,
}

/// Running sums of values and their squares.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Welford's update, which does not cancel.
    fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.count += 1.0;
        let distance = value - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        positive((self.squares / self.count).sqrt())
    }
}

/// The number if it can divide, else 1.
fn positive(value: f64) -> f64 {
    if value.is_finite() && value > 0.0 { value } else { 1.0 }
}

impl Scaling {
    /// Fits the scale of a table's columns on its training part.
    pub fn fit(forecast: &Forecast, table: &SeriesTable) -> Self {
        let width = forecast.columns.values().count();
        let (targets, season) = (forecast.columns.targets.len(), forecast.season);
        let mut columns: Vec<Moments> = (0..width).map(|_| Moments::default()).collect();
        let mut seasonal: Vec<Moments> = (0..targets).map(|_| Moments::default()).collect();
        let mut residual: Vec<Moments> = (0..targets).map(|_| Moments::default()).collect();
        let cuts = Cuts::of(forecast, table);
        for series in &table.series {
            let rows = cuts.rows(series, Part::Training).end;
            let at = |row: usize, column: usize| series.values[row * width + column];
            for row in 0..rows {
                columns.iter_mut().enumerate().for_each(|(i, of)| of.add(at(row, i)));
                for target in 0..targets {
                    if row >= season {
                        let error = at(row, target) - at(row - season, target);
                        seasonal[target].add(error.abs());
                    }
                    // The guess for each step of the horizon is as many seasons old.
                    for h in 0..forecast.horizon {
                        let back = (h / season + 1) * season;
                        if row >= back {
                            let error = at(row, target) - at(row - back, target);
                            residual[target].add(error * error);
                        }
                    }
                }
            }
        }
        Self {
            mean: columns.iter().map(|of| of.mean).collect(),
            deviation: columns.iter().map(Moments::deviation).collect(),
            residual: residual.iter().map(|of| positive(of.mean.sqrt())).collect(),
            seasonal: seasonal.iter().map(|of| of.mean).collect(),
        }
    }
}
