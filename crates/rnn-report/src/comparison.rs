//! The page that compares several runs.

use super::chart::{Chart, Line, key, short};
use super::page::{figure, numbers, page, section, table, words};
use super::run::count;
use crate::plot::axis::{Axis, padded};
use maud::{Markup, html};
use rnn::nn::{Figure, Metrics};
use rnn_run::run::{Compared, Differing};

/// Returns the HTML text of a page that compares `runs`. `loss` is the name of their loss. If
/// `classes` is true, accuracy and other metrics of classifiers are shown too. `settings` are the
/// settings that differ between the runs.
pub fn comparison(
    title: &str,
    (loss, classes): (&str, bool),
    runs: &[Compared],
    settings: &[Differing],
) -> String {
    let sections = html! {
        (results(classes, runs))
        (section("Validation", html! {
            (key(runs.iter().map(|run| run.name.as_str())))
            div.columns {
                (curves("Loss", loss, runs, |m| m.loss))
                @if classes { (curves("Accuracy", "", runs, |m| m.accuracy)) }
            }
        }))
        @if !settings.is_empty() {
            (section("What differs", differing(runs, settings)))
        }
    };
    let lead = html! { (runs.len()) " runs side by side. The best of each column is coloured." };
    page("Comparison", title, lead, sections)
}

/// A column of the table: its name, its figure, whether more of it is better, its text.
type Column = (&'static str, fn(&Compared) -> Option<f64>, bool, fn(f64) -> String);

fn results(classes: bool, runs: &[Compared]) -> Markup {
    const OF_CLASSES: [Column; 5] = [
        ("Accuracy", |run| run.figure(Figure::Accuracy), true, short),
        ("Precision", |run| run.figure(Figure::Precision), true, short),
        ("Recall", |run| run.figure(Figure::Recall), true, short),
        ("F1", |run| run.figure(Figure::F1), true, short),
        ("AUC", |run| run.figure(Figure::Auc), true, short),
    ];
    let mut columns: Vec<Column> = vec![("Loss", |run| run.figure(Figure::Loss), false, short)];
    columns.extend(classes.then_some(OF_CLASSES).into_iter().flatten());
    columns.push((
        "Parameters",
        |run| Some(run.results.parameters as f64),
        false,
        |n| count(n as usize),
    ));
    columns.push((
        "s / epoch",
        |run| Some(run.results.seconds_per_epoch),
        false,
        |s| format!("{s:.1}"),
    ));
    let best = |&(_, figure, more, _): &Column| {
        let sign = if more { 1.0 } else { -1.0 };
        runs.iter().filter_map(figure).map(|value| sign * value).fold(f64::NEG_INFINITY, f64::max)
            * sign
    };
    let rows = html! {
        @for run in runs {
            tr {
                th scope="row" { (run.name) }
                @for column in &columns {
                    @let figure = (column.1)(run);
                    td.n.best[runs.len() > 1 && figure == Some(best(column))] {
                        (figure.map_or("-".into(), column.3))
                    }
                }
                td { (run.config.device) }
            }
        }
    };
    let mut heads = vec![words("Model")];
    heads.extend(columns.iter().map(|column| numbers(column.0)));
    heads.push(words("Device"));
    figure("Test data", "", table("Results on the test data", &heads, rows))
}

fn curves(name: &'static str, more: &str, runs: &[Compared], of: fn(&Metrics) -> f64) -> Markup {
    let points = |run: &Compared| -> Vec<(f64, f64)> {
        (1u32..).map(f64::from).zip(run.validation_metrics().iter().map(of)).collect()
    };
    let lines: Vec<Line<'_>> =
        runs.iter().map(|run| Line { name: &run.name, points: points(run) }).collect();
    let range = padded(lines.iter().flat_map(|line| line.points.iter().map(|p| p.1)));
    let epochs = lines.iter().map(|line| line.points.len()).max().unwrap_or(0);
    let chart = Chart::new(Axis::epochs(epochs), Axis::new("", range, 6, 0.0));
    figure(name, more, chart.lines(&format!("{name} of {} runs by epoch", runs.len()), &lines))
}

fn differing(runs: &[Compared], settings: &[Differing]) -> Markup {
    let rows = html! {
        @for Differing { name, values } in settings {
            tr { th scope="row" { (name) } @for value in values { td { (value) } } }
        }
    };
    let mut heads = vec![words("Setting")];
    heads.extend(runs.iter().map(|run| words(&run.name)));
    html! { div.card { (table("Settings that differ", &heads, rows)) } }
}
