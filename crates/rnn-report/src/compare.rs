//! The comparison of finished runs.

use crate::plot::{Series, curves};
use crate::{comparison, flatten};
use anyhow::{Context, Result, ensure};
use rnn::{nn::Figure, short};
use rnn_formats::write_atomically;
use rnn_run::outputs::Outputs;
use rnn_run::run::{Compared, Differing, RunFolder};
use rnn_run::splits::Split;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The settings that differ, in the order of the configuration.
fn differing(runs: &[Compared]) -> Result<Vec<Differing>> {
    let mut facts: Vec<Vec<(String, String)>> = Vec::new();
    for run in runs {
        let mut own = Vec::new();
        flatten("", &run.config.facts()?, &mut own);
        facts.push(own);
    }
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in facts.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let value = |own: &[(String, String)], name: &str| {
        own.iter().find(|(n, _)| n == name).map_or("-".to_owned(), |(_, value)| value.clone())
    };
    let rows = names.into_iter().map(|name| {
        let values: Vec<String> = facts.iter().map(|own| value(own, name)).collect();
        Differing { name: name.clone(), values }
    });
    Ok(rows.filter(|row| row.values.windows(2).any(|pair| pair[0] != pair[1])).collect())
}

/// Compares the finished runs in the folders `runs`. Draws their validation curves to the PNG file
/// `picture`, writes a page of the same name with the ending `.html`, and returns text for the
/// terminal: a table of the results, and the settings that differ.
///
/// # Errors
/// Fails if `runs` is empty, a run is not finished or cannot be read, `picture` ends in `.html`, or
/// the picture or the page cannot be taken ([`Outputs::take`]) or written.
pub fn compare(runs: &[PathBuf], picture: &Path) -> Result<String> {
    let page = picture.with_extension("html");
    ensure!(
        page != picture,
        "the picture and the page are one file: give the picture the ending .png"
    );
    let mut outputs = Outputs::default();
    outputs.take(picture)?;
    outputs.take(&page)?;
    let mut all: Vec<Compared> = Vec::new();
    for path in runs {
        let (folder, config) = RunFolder::open(path)?;
        let mut name = short(config.name(), NAME);
        let (results, history) = (folder.results()?, folder.history()?);
        if results.evaluated_on != Split::Test {
            name = format!("{name} ({} data)", results.evaluated_on.name());
        }
        // Two runs of one model are told apart by their folders.
        if all.iter().any(|other| other.name == name) {
            name = format!("{name} ({})", path.display());
        }
        all.push(Compared { name, config, history, results });
    }
    let first = all.first().context("name at least one run")?.config.data();
    let mixed = all.iter().any(|run| run.config.data() != first);
    if mixed {
        for run in &mut all {
            run.name = format!("{} on {}", run.name, short(&run.config.data(), NAME));
        }
    }
    let title = if mixed { "Runs on different data".to_owned() } else { short(&first, NAME) };
    let mut text = format!("{title}\n{}", table(&all));
    let classes = all.iter().any(|run| run.config.classes());
    let series =
        all.iter().map(|run| Series { name: run.name.clone(), epochs: run.validation_metrics() });
    let mut losses: Vec<String> = all.iter().map(|run| run.config.loss_name()).collect();
    losses.sort();
    losses.dedup();
    let loss = match &losses[..] {
        [one] => one.clone(),
        _ => "loss, of each run its own".to_owned(),
    };
    let shown = (&*loss, classes);
    curves(picture, &format!("{title}: validation"), shown, &series.collect::<Vec<_>>())?;
    let settings = differing(&all)?;
    if !settings.is_empty() {
        text += "settings that differ, in the order of the runs:\n";
    }
    for Differing { name, values } in &settings {
        let values: Vec<String> = values.iter().map(|value| short(value, VALUE)).collect();
        let _ = writeln!(text, "  {}: {}", short(name, NAME), values.join(" | "));
    }
    let html = comparison(&title, shown, &all, &settings);
    write_atomically(&page, |file| file.write_all(html.as_bytes()))?;
    let _ = writeln!(text, "wrote {} and {}", picture.display(), page.display());
    Ok(text)
}

fn table(all: &[Compared]) -> String {
    let names = all.iter().map(|run| run.name.chars().count());
    let width = names.max().unwrap_or(0).max("model".len());
    let mut text = format!("{:width$}  {:>10}", "model", "parameters");
    for (head, _) in FIGURES {
        let _ = write!(text, "  {head:>9}");
    }
    text += "  s / epoch  device\n";
    for run in all {
        let _ = write!(text, "{:width$}  {:>10}", run.name, run.results.parameters);
        for (_, figure) in FIGURES {
            let figure = run.figure(figure).map_or("-".into(), |value| format!("{value:.4}"));
            let _ = write!(text, "  {figure:>9}");
        }
        let seconds = run.results.seconds_per_epoch;
        let _ = writeln!(text, "  {seconds:>9.1}  {}", short(&run.config.device, NAME));
    }
    text
}

/// The most characters of the name of a model, its data, a device or a setting.
const NAME: usize = 60;
/// The most characters of a setting.
const VALUE: usize = 300;

/// The columns of the table.
const FIGURES: [(&str, Figure); 6] = [
    ("loss", Figure::Loss),
    ("accuracy", Figure::Accuracy),
    ("precision", Figure::Precision),
    ("recall", Figure::Recall),
    ("F1", Figure::F1),
    ("AUC", Figure::Auc),
];
