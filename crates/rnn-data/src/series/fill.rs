use super::{Series, SeriesColumns, SeriesError, Step, shown};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// The most rows of a series after its gaps are filled.
const MAX_ROWS: usize = 1 << 24;

/// What is done about dates that a series lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gaps {
    /// A gap is an error.
    #[default]
    Error,
    /// A gap is filled with rows whose values are missing.
    Fill,
}

/// What is done about values that a row lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// A missing value is an error.
    #[default]
    Error,
    /// The values lie on a line between those before and after; at an end they are the nearest one.
    Linear,
    /// The values are the last one before; at the beginning they are the first one.
    Previous,
    /// Windows with a missing value are left out.
    Drop,
}

impl FromStr for Gaps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Self::Error),
            "fill" => Ok(Self::Fill),
            _ => Err("gaps are an error, or fill".into()),
        }
    }
}

impl FromStr for Missing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Self::Error),
            "linear" => Ok(Self::Linear),
            "previous" => Ok(Self::Previous),
            "drop" => Ok(Self::Drop),
            _ => Err("missing values are an error, linear, previous or drop".into()),
        }
    }
}

impl Gaps {
    /// Checks that a series of ascending dates is without gaps, or fills them with rows of `width`
    /// NaN.
    pub(super) fn apply(
        self,
        series: &mut Series,
        (step, width): (Step, usize),
        path: &Path,
    ) -> Result<(), SeriesError> {
        let place = |before: i64, after: i64| {
            let [before, after] = [before, after].map(|at| shown(at, step.has_clock()));
            (path.to_owned(), series.name.clone(), before, after, step.to_string())
        };
        let mut lacking = 0usize;
        for pair in series.times.windows(2) {
            match step.between(pair[0], pair[1]) {
                Some(1) => {}
                Some(count) if self == Self::Fill => lacking = lacking.saturating_add(count - 1),
                found => {
                    let (path, series, before, after, step) = place(pair[0], pair[1]);
                    return Err(match found {
                        Some(_) => SeriesError::Gap { path, series, before, after, step },
                        None => SeriesError::Irregular { path, series, before, after, step },
                    });
                }
            }
        }
        if lacking == 0 {
            return Ok(());
        }
        let most = MAX_ROWS;
        if series.times.len().saturating_add(lacking) > most {
            let (path, series) = (path.to_owned(), series.name.clone());
            return Err(SeriesError::TooLong { path, series, most });
        }
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (row, &at) in series.times.iter().enumerate() {
            let count = row.checked_sub(1).and_then(|r| step.between(series.times[r], at));
            for i in 1..count.unwrap_or(1) {
                times.extend(step.after(series.times[row - 1], i));
                values.resize(values.len() + width, f64::NAN);
            }
            times.push(at);
            values.extend_from_slice(&series.values[row * width..][..width]);
        }
        (series.times, series.values) = (times, values);
        Ok(())
    }
}

impl Missing {
    /// Replaces the NaN of a series, or fails because of the first.
    pub(super) fn apply(
        self,
        series: &mut Series,
        (step, columns): (Step, &SeriesColumns),
        path: &Path,
    ) -> Result<(), SeriesError> {
        let width = columns.values().count();
        for (place, column) in columns.values().enumerate() {
            let of_column = || series.values.iter().skip(place).step_by(width).copied();
            let Some(first) = of_column().position(f64::is_nan) else { continue };
            let filled = match self {
                Self::Drop => continue,
                Self::Error => None,
                Self::Linear => interpolated(of_column().collect()),
                Self::Previous => carried(of_column().collect()),
            };
            let Some(filled) = filled else {
                return Err(SeriesError::Missing {
                    path: path.to_owned(),
                    series: series.name.clone(),
                    column: column.clone(),
                    date: step.shown(series.times[first]),
                });
            };
            let cells = series.values.iter_mut().skip(place).step_by(width);
            cells.zip(filled).for_each(|(cell, value)| *cell = value);
        }
        Ok(())
    }
}

impl Step {
    /// Returns a date of a series of this step as text; of rows without dates their number.
    pub fn shown(self, at: i64) -> String {
        match self {
            Self::Rows => format!("row {at}"),
            _ => shown(at, self.has_clock()),
        }
    }
}

fn carried(mut values: Vec<f64>) -> Option<Vec<f64>> {
    let mut last = *values.iter().find(|value| !value.is_nan())?;
    for value in &mut values {
        if value.is_nan() { *value = last } else { last = *value }
    }
    Some(values)
}

fn interpolated(mut values: Vec<f64>) -> Option<Vec<f64>> {
    let known: Vec<usize> = (0..values.len()).filter(|&i| !values[i].is_nan()).collect();
    let (&first, &last) = (known.first()?, known.last()?);
    let (before, after) = (values[first], values[last]);
    values[..first].fill(before);
    values[last..].fill(after);
    for pair in known.windows(2) {
        let (a, b) = (values[pair[0]], values[pair[1]]);
        let length = (pair[1] - pair[0]) as f64;
        for (i, value) in values[pair[0]..pair[1]].iter_mut().enumerate().skip(1) {
            *value = a + (b - a) * i as f64 / length;
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::{carried, interpolated};

    const NAN: f64 = f64::NAN;

    #[test]
    fn missing_values_are_filled() {
        let values = vec![NAN, 2.0, NAN, NAN, 8.0, NAN];
        assert_eq!(interpolated(values.clone()).unwrap(), [2.0, 2.0, 4.0, 6.0, 8.0, 8.0]);
        assert_eq!(carried(values).unwrap(), [2.0, 2.0, 2.0, 2.0, 8.0, 8.0]);
        assert_eq!(interpolated(vec![NAN]), None);
    }
}
