use super::chart::{Chart, Line, key, short};
use super::page::{figure, numbers, page, section, table, tiles, words};
use super::{forecasts, rollouts, step};
use crate::plot::axis::{Axis, padded};
use crate::plot::histogram::outline;
use anyhow::Result;
use maud::{Markup, html};
use rnn::memory::Count;
use rnn::nn::{EpochLog, MetricSums, Metrics};
use rnn_run::config::Config;
use rnn_run::measure::{Classes, Results, RunResult};
use rnn_run::measure::{ClassificationReport, Histogram, Scores};
use rnn_run::run::RunFolder;
use rnn_run::splits::Split;
use serde_json::Value;

/// Writes the page `report.html` of a run into its folder, in place of an earlier one. It shows the
/// settings, the results and the rollouts in the folder.
///
/// # Errors
/// Fails if a rollout is damaged or cannot be read, or the page cannot be written.
pub fn write(folder: &RunFolder, config: &Config, result: &RunResult) -> Result<()> {
    let text = render(config, result, &rollouts::find(folder)?)?;
    folder.write_text("report.html", &text)
}

fn render(
    config: &Config,
    RunResult { history, results, measured }: &RunResult,
    videos: &[rollouts::ShownRollout],
) -> Result<String> {
    let classes = config.classes();
    let [train, validation, test] = measured.examples.map(count);
    let heading = results.evaluated_on.title();
    let lead = html! {
        @let epochs = history.epochs.len();
        (epochs) @if epochs == 1 { " epoch" } @else { " epochs" }
        " on " (config.device) ". " (train) " examples to train on, " (validation)
        " to validate, " (test) " to test."
    };
    let sections = html! {
        (tiles(&headline(results, config.metric_sums())))
        (section("Training", training(&history.epochs, &config.loss_name(), classes)))
        @if let Some(classes) = &measured.classes { (section(heading, tested(classes, results.evaluated_on))) }
        @if let Some(of) = &measured.forecast { (section("Forecasts", forecasts::show(of))) }
        @for video in videos { (section(&video.heading(), video.show())) }
        @if !measured.layers.is_empty() { (section("Model", layers(&measured.layers, results.parameters))) }
        (step::show(measured))
        (section("Configuration", configuration(&config.settings()?)))
    };
    Ok(page("Training run", &config.title(), lead, sections))
}

/// An integer with commas.
pub(super) fn count(n: usize) -> String {
    Count(n).to_string()
}

/// The contents of `results.json`.
fn headline(results: &Results, metric_sums: MetricSums) -> Vec<(String, String)> {
    let m = &results.metrics;
    let loss = format!("{} loss", results.evaluated_on.title());
    let mut figures: Vec<(&str, String)> = match metric_sums {
        MetricSums::Regression => vec![(&loss, short(m.loss))],
        _ => vec![
            ("Accuracy", short(m.accuracy)),
            ("Loss", short(m.loss)),
            ("Precision", short(m.precision)),
            ("Recall", short(m.recall)),
            ("F1", short(m.f1)),
        ],
    };
    figures.extend((metric_sums == MetricSums::Binary).then(|| ("AUC", short(m.auc))));
    figures.push(("Parameters", count(results.parameters)));
    figures.push(("Epoch", format!("{:.1} s", results.seconds_per_epoch)));
    figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
}

fn training(epochs: &[EpochLog], loss: &str, classes: bool) -> Markup {
    let validated = epochs.iter().any(|e| e.validation.is_some());
    let names = ["training", "validation"];
    let shown = if validated { &names[..] } else { &names[..1] };
    html! {
        (key(shown.iter().copied()))
        div.columns {
            (curves("Loss", loss, epochs, |m| m.loss))
            @if classes { (curves("Accuracy", "", epochs, |m| m.accuracy)) }
        }
        details {
            summary { "All figures by epoch" }
            div.card { (epoch_table(epochs, classes)) }
        }
    }
}

/// Training and validation over the epochs.
fn curves(name: &'static str, more: &str, epochs: &[EpochLog], of: fn(&Metrics) -> f64) -> Markup {
    let points = |which: fn(&EpochLog) -> Option<Metrics>| -> Vec<(f64, f64)> {
        let each = epochs.iter().filter_map(|e| Some((e.epoch as f64, of(&which(e)?))));
        each.collect()
    };
    let (train, validation) = (points(|e| Some(e.train)), points(|e| e.validation));
    let range = padded(train.iter().chain(&validation).map(|p| p.1));
    let chart = Chart::new(Axis::epochs(epochs.len()), Axis::new("", range, 6, 0.0));
    let last = |points: &[(f64, f64)]| points.last().map_or("-".into(), |p| short(p.1));
    let description = format!(
        "{name} by epoch: at the end {} in training, {} in validation",
        last(&train),
        last(&validation)
    );
    let lines =
        [Line { name: "training", points: train }, Line { name: "validation", points: validation }];
    figure(name, more, chart.lines(&description, &lines))
}

fn epoch_table(epochs: &[EpochLog], classes: bool) -> Markup {
    let mut heads = vec![words("Epoch"), numbers("Loss"), numbers("Validation loss")];
    if classes {
        heads.extend([numbers("Accuracy"), numbers("Validation accuracy")]);
    }
    heads.push(numbers("Seconds"));
    let validation = |e: &EpochLog, of: fn(&Metrics) -> f64| {
        e.validation.map_or(String::new(), |validation| short(of(&validation)))
    };
    let rows = html! {
        @for e in epochs {
            tr {
                th scope="row" { (e.epoch) }
                td.n { (short(e.train.loss)) }
                td.n { (validation(e, |m| m.loss)) }
                @if classes {
                    td.n { (short(e.train.accuracy)) }
                    td.n { (validation(e, |m| m.accuracy)) }
                }
                td.n { (format!("{:.1}", e.seconds)) }
            }
        }
    };
    table("Figures by epoch", &heads, rows)
}

fn tested(classes: &Classes, part: Split) -> Markup {
    html! {
        div.columns {
            (figure("Classification report", "", scores(classes)))
            (figure("Confusion matrix", "share of each class", confusion(&classes.report)))
        }
        @if let Some([train, test]) = &classes.probabilities {
            div.columns {
                (histogram("Probabilities in training data", train))
                (histogram(&format!("Probabilities in {} data", part.name()), test))
            }
        }
    }
}

fn scores(classes: &Classes) -> Markup {
    let report = &classes.report;
    let row = |name: &str, s: &Scores| {
        html! {
            tr {
                th scope="row" { (name) }
                @for score in [s.precision, s.recall, s.f1] { td.n { (format!("{score:.4}")) } }
                td.n { (count(s.support)) }
            }
        }
    };
    let heads = ["Precision", "Recall", "F1", "Examples"].map(numbers);
    let rows = html! {
        @for (name, scores) in report.names.iter().zip(&report.classes) { (row(name, scores)) }
        (row("mean", &report.macro_average))
        (row("weighted", &report.weighted_average))
    };
    table("Classification report", &[&[words("Class")], &heads[..]].concat(), rows)
}

fn confusion(ClassificationReport { names, confusion, .. }: &ClassificationReport) -> Markup {
    let many = names.len() > 4;
    html! {
        div.scroll role="region" aria-label="Confusion matrix" tabindex="0" {
            table.confusion.many[many] {
                thead {
                    tr {
                        th { @if many { "taken for" } }
                        @for name in names {
                            th scope="col" { @if !many { "taken for " } (name) }
                        }
                    }
                }
                tbody {
                    @for (name, row) in names.iter().zip(confusion) {
                        tr {
                            th scope="row" { (name) }
                            @for &n in row {
                                @let all: f64 = row.iter().map(|&n| n as f64).sum();
                                @let share = 100.0 * n as f64 / all.max(1.0);
                                td style=(format!("--share:{share:.1}%")) {
                                    strong { (count(n)) } @if !many { (format!("{share:.1}%")) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The probabilities that were given to the two classes.
fn histogram(name: &str, histogram: &Histogram) -> Markup {
    let highest = 1.06 * histogram.highest().max(1) as f64;
    let x = Axis::new("predicted probability of the positive class", 0.0..1.0, 5, 0.0);
    let chart = Chart::new(x, Axis::new("", 0.0..highest, 5, 1.0));
    let areas = [(1, outline(&histogram.negative)), (0, outline(&histogram.positive))];
    let description = format!("Histogram of the probabilities of {} examples", histogram.count());
    let content = html! {
        ul.key { li.c1 { "negative" } li.c0 { "positive" } }
        (chart.areas(&description, &areas))
    };
    figure(name, &format!("{} examples", count(histogram.count())), content)
}

fn layers(rows: &[Vec<String>], parameters: usize) -> Markup {
    let (heads, layers) = rows.split_first().map_or((&[][..], rows), |(h, rest)| (&h[..], rest));
    const NUMBERS: usize = 2;
    let wide = heads.len() > NUMBERS + 1;
    let heads = heads.iter().enumerate();
    let heads: Vec<Markup> =
        heads.map(|(i, head)| if i == NUMBERS { numbers(head) } else { words(head) }).collect();
    let rows = html! {
        @for row in layers {
            tr {
                @for (i, cell) in row.iter().enumerate() {
                    @if i == 0 { th scope="row" { (cell) } }
                    @else { td.n[i == NUMBERS] { (cell) } }
                }
            }
        }
        tr.sum { th scope="row" { "all" } td {} td.n { (count(parameters)) } @if wide { td {} } }
    };
    html! { div.card { (table("Layers of the model", &heads, rows)) } }
}

fn configuration(config: &Value) -> Markup {
    let mut facts = Vec::new();
    flatten("", config, &mut facts);
    html! {
        dl.facts.card { @for (name, value) in &facts { dt { (name) } dd { (value) } } }
    }
}

/// Every value with the names on the way to it.
pub(crate) fn flatten(name: &str, value: &Value, facts: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let field = field.replace('_', " ");
                let name = if name.is_empty() { field } else { format!("{name}, {field}") };
                flatten(&name, value, facts);
            }
        }
        Value::Array(values) if !values.iter().any(|v| v.is_object() || v.is_array()) => {
            let text: Vec<String> = values.iter().map(plain).collect();
            facts.push((name.to_owned(), text.join(", ")));
        }
        Value::Array(values) => {
            values
                .iter()
                .zip(1..)
                .for_each(|(value, i)| flatten(&format!("{name} {i}"), value, facts));
        }
        Value::Null => {}
        value => facts.push((name.to_owned(), plain(value))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
