use super::Forecast;
use super::windows::{Cuts, Part};
use rnn_data::series::SeriesTable;

/// The longest season that is looked for, in rows.
const LONGEST: usize = 400;
/// The fewest seasons that the training part shows of one that is found.
const SEASONS: usize = 3;
/// The least autocorrelation at a season that is found.
const LEAST: f64 = 0.2;

/// Returns the rows of a season of a table, and how it was chosen: the one that is `given`, else the
/// usual one of the table's step, else the one that is found in the training part.
pub(super) fn choose(
    given: Option<usize>,
    forecast: &Forecast,
    table: &SeriesTable,
) -> (usize, String) {
    if let Some(season) = given {
        return (season, "as given".into());
    }
    match table.step.season() {
        1 => {}
        season => return (season, format!("the usual one of steps of {}", table.step)),
    }
    let width = forecast.columns.values().count();
    let cuts = Cuts::of(forecast, table);
    let parts: Vec<Vec<f64>> = table
        .series
        .iter()
        .map(|series| {
            let rows = cuts.rows(series, Part::Training);
            without_trend(rows.map(|row| series.values[row * width]).collect())
        })
        .collect();
    match find(&parts) {
        Some((season, r)) => {
            (season, format!("found in the training part, whose autocorrelation there is {r:.2}"))
        }
        None => (1, "none was found in the training part; --season ROWS gives one".into()),
    }
}

/// The values less their least-squares line. Missing values stay NaN.
fn without_trend(mut values: Vec<f64>) -> Vec<f64> {
    let known = || (0u32..).map(f64::from).zip(&values).filter(|(_, v)| !v.is_nan());
    let count = known().count().max(1) as f64;
    let sum = |of: &dyn Fn(f64, f64) -> f64| known().map(|(t, v)| of(t, *v)).sum::<f64>();
    let (time, mean) = (sum(&|t, _| t) / count, sum(&|_, v| v) / count);
    let spread = sum(&|t, _| (t - time).powi(2));
    let slope = sum(&|t, v| (t - time) * (v - mean)) / spread;
    let slope = if slope.is_finite() { slope } else { 0.0 };
    for (t, value) in (0u32..).map(f64::from).zip(&mut values) {
        *value -= mean + slope * (t - time);
    }
    values
}

/// Returns the lag of the highest peak of the autocorrelation of series of mean 0, and the
/// autocorrelation there; `None` if no peak is high enough. The autocorrelation at a lag k is the sum
/// of all products of two values k rows apart, divided by the sum of all squares.
fn find(series: &[Vec<f64>]) -> Option<(usize, f64)> {
    let longest = series.iter().map(Vec::len).max()? / SEASONS;
    let at = |lag: usize| -> f64 {
        let products = series.iter().flat_map(|values| {
            values.iter().zip(values.iter().skip(lag)).map(|(a, b)| a * b).filter(|p| !p.is_nan())
        });
        products.sum()
    };
    let squares = at(0);
    let r: Vec<f64> = (0..=longest.min(LONGEST) + 1).map(|lag| at(lag) / squares).collect();
    let peaks = (2..r.len() - 1).filter(|&k| r[k - 1] < r[k] && r[k] >= r[k + 1] && r[k] >= LEAST);
    peaks.map(|k| (k, r[k])).max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::{find, without_trend};

    #[test]
    fn a_line_is_removed_and_what_is_missing_stays() {
        let rest = without_trend(vec![1.0, 3.0, f64::NAN, 7.0]);
        assert!(rest[2].is_nan());
        assert!([0, 1, 3].iter().all(|&i| rest[i].abs() < 1e-12), "{rest:?}");
        assert_eq!(without_trend(vec![4.0]), [0.0]);
    }

    #[test]
    fn the_season_is_the_highest_peak_of_the_autocorrelation() {
        // Of 1, -1, 0, 0 repeated n times the squares sum to 2 n, the products at lag 4 to 2 (n - 1).
        let series = [[1.0, -1.0, 0.0, 0.0].repeat(10)];
        let (season, r) = find(&series).expect("a season");
        assert_eq!((season, r), (4, 0.9));
        // Each value is alone, or like all others: there is no peak.
        assert_eq!(find(&[[1.0].to_vec(), vec![0.0; 30]]), None);
        assert_eq!(find(&[vec![0.0; 30]]), None);
        assert_eq!(find(&[without_trend((0u8..60).map(f64::from).collect())]), None);
        assert_eq!(find(&[vec![]]), None);
        assert_eq!(find(&[]), None);
    }
}
