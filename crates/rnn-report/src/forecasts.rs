//! The forecasts of a run on its page.

use super::chart::{Chart, Line, key, short};
use super::page::{figure, numbers, table, words};
use crate::plot::axis::{Axis, padded};
use maud::{Markup, html};
use rnn_run::forecast::{Errors, Example, ForecastReport, Guess, TargetReport};

pub(super) fn show(report: &ForecastReport) -> Markup {
    html! {
        @for target in &report.targets {
            p { strong { (target.name) } ": " (target.verdict()) "." }
            div.columns {
                (figure("Last forecast", &format!("from {}", target.example.from), example(&target.example)))
                (figure("Mean absolute error", "by row of the horizon", by_step(target)))
            }
            div.card { (errors(report, target)) }
        }
    }
}

fn example(shown: &Example) -> Markup {
    let before = shown.history.len() as f64;
    let ahead = |values: &[f64]| -> Vec<(f64, f64)> {
        (0u32..).map(f64::from).zip(values.iter().copied()).collect()
    };
    let past = (0u32..).map(|i| f64::from(i) - before).zip(shown.history.iter().copied());
    let [low, high] = &shown.interval;
    let mut lines = vec![
        ("truth", past.chain(ahead(&shown.truth)).collect()),
        ("forecast", ahead(&shown.forecast)),
        ("seasonal naive", ahead(&shown.guess)),
    ];
    if low != high {
        lines.extend([("lowest quantile", ahead(low)), ("highest quantile", ahead(high))]);
    }
    let names: Vec<&str> = lines.iter().map(|line| line.0).collect();
    let lines: Vec<Line<'_>> =
        lines.into_iter().map(|(name, points)| Line { name, points }).collect();
    let values = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let x = Axis::new("rows", -before..shown.truth.len() as f64, 6, 1.0);
    let chart = Chart::new(x, Axis::new("", padded(values), 6, 0.0));
    html! { (key(names)) (chart.lines("The last forecast with the rows before and after", &lines)) }
}

fn by_step(target: &TargetReport) -> Markup {
    let line = |(place, guess): (usize, &Guess)| {
        let errors = target.by_step.iter().map(|errors| errors[place].mae);
        Line { name: guess.name(), points: (1u32..).map(f64::from).zip(errors).collect() }
    };
    let lines: Vec<Line<'_>> = Guess::ALL.iter().enumerate().map(line).collect();
    let values = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let y = Axis::new("", padded(values.chain([0.0])), 6, 0.0);
    let chart = Chart::new(Axis::counted("row of the horizon", target.by_step.len()), y);
    html! {
        (key(Guess::ALL.map(Guess::name)))
        (chart.lines("Mean absolute errors by row of the horizon", &lines))
    }
}

fn errors(report: &ForecastReport, target: &TargetReport) -> Markup {
    let heads = ["MAE", "RMSE", "MAPE", "sMAPE", "MASE"].map(numbers);
    let cells = |e: &Errors| {
        let percent = |p: f64| format!("{p:.2}%");
        let or = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        [
            short(e.mae),
            short(e.rmse),
            or(e.mape.map(percent)),
            percent(e.smape),
            or(e.mase.map(short)),
        ]
    };
    let rows = html! {
        @for (guess, errors) in Guess::ALL.iter().zip(&target.errors) {
            tr {
                th scope="row" { (guess.name()) }
                @for cell in cells(errors) { td.n { (cell) } }
            }
        }
    };
    html! {
        (table("Errors of the forecasts", &[&[words("Forecast")], &heads[..]].concat(), rows))
        @if let (Some(share), Some(interval)) = (target.coverage, report.interval) {
            p.quiet {
                (format!("{:.1}%", 100.0 * share)) " of the values lie in the interval of "
                (format!("{:.0}%", 100.0 * interval)) "."
            }
        }
    }
}
