use rnn::nn::json_float;
use serde::{Deserialize, Serialize};

/// The errors of forecasts, in the target's units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Mean absolute error.
    #[serde(with = "json_float")]
    pub mae: f64,
    /// Root of the mean squared error.
    #[serde(with = "json_float")]
    pub rmse: f64,
    /// Mean of |forecast - truth| / |truth|, in percent; `None` if a truth is 0.
    pub mape: Option<f64>,
    /// Mean of 2 |forecast - truth| / (|forecast| + |truth|), in percent; 0 where both are 0.
    #[serde(with = "json_float")]
    pub smape: f64,
    /// `mae` divided by the mean absolute error of the seasonal naive guess, a season ahead, in the
    /// training part; `None` if that is 0.
    pub mase: Option<f64>,
}

/// Sums from which [`Errors`] are computed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ErrorSums {
    count: f64,
    absolute: f64,
    squared: f64,
    relative: f64,
    symmetric: f64,
}

impl ErrorSums {
    pub fn add(&mut self, forecast: f64, truth: f64) {
        let error = (forecast - truth).abs();
        self.count += 1.0;
        self.absolute += error;
        self.squared += error * error;
        // Infinite where the truth is 0.
        self.relative += if truth == 0.0 { f64::INFINITY } else { error / truth.abs() };
        let size = forecast.abs() + truth.abs();
        self.symmetric += if size == 0.0 { 0.0 } else { 2.0 * error / size };
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.absolute += other.absolute;
        self.squared += other.squared;
        self.relative += other.relative;
        self.symmetric += other.symmetric;
    }

    /// The errors; `seasonal` is what MASE divides by.
    pub fn errors(&self, seasonal: f64) -> Errors {
        let mae = self.absolute / self.count;
        let mape = 100.0 * self.relative / self.count;
        Errors {
            mae,
            rmse: (self.squared / self.count).sqrt(),
            mape: mape.is_finite().then_some(mape),
            smape: 100.0 * self.symmetric / self.count,
            mase: (seasonal > 0.0).then(|| mae / seasonal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorSums;

    #[test]
    fn errors_follow_their_definitions() {
        let mut sums = ErrorSums::default();
        sums.add(3.0, 2.0);
        sums.add(1.0, 4.0);
        let errors = sums.errors(4.0);
        assert_eq!(errors.mae, 2.0);
        assert_eq!(errors.rmse, 5f64.sqrt());
        // 1/2 and 3/4.
        assert_eq!(errors.mape, Some(62.5));
        // 2/5 and 6/5.
        assert!((errors.smape - 80.0).abs() < 1e-12);
        assert_eq!(errors.mase, Some(0.5));
        sums.add(0.0, 0.0);
        assert_eq!(sums.errors(0.0).mape, None);
        assert_eq!(sums.errors(0.0).mase, None);
    }
}
