//! Finished runs side by side.

use crate::nn::{Figure, History, MetricSums, Metrics};
use crate::outputs::Outputs;
use crate::plot::{Series, curves};
use crate::report::{self, flatten};
use crate::run::{Config, Part, Results, RunFolder};
use anyhow::{Context, Result, ensure};
use rnn_formats::write_atomically;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A finished run among others.
pub struct Compared {
    /// The model; that and the folder where there are two of one.
    pub name: String,
    /// What was trained.
    pub config: Config,
    /// How it went.
    pub history: History,
    /// What it came to.
    pub results: Results,
}

impl Compared {
    /// A figure of the results; none, if it is not one of the model's.
    pub fn figure(&self, of: Figure) -> Option<f64> {
        let there = match of {
            Figure::Loss => true,
            Figure::Auc => self.config.tally() == MetricSums::Binary,
            _ => self.config.classes(),
        };
        there.then(|| self.results.test.figure(of))
    }

    /// Of each epoch what the validation came to, or the training where nothing was validated. Where
    /// there are no classes the accuracy is none, and has no curve.
    pub fn judged(&self) -> Vec<Metrics> {
        let classes = self.config.classes();
        let judged = |metrics: Metrics| match classes {
            true => metrics,
            false => Metrics { accuracy: f64::NAN, ..metrics },
        };
        self.history.epochs.iter().map(|e| judged(e.validation.unwrap_or(e.train))).collect()
    }
}

/// A setting that is not the same in all runs.
pub struct Differing {
    /// What it is called.
    pub name: String,
    /// Its value in each run.
    pub values: Vec<String>,
}

/// All of them, in the order of the configuration.
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

/// Prints the runs as a table, draws their validation curves in one picture, and writes a page of
/// both beside it.
///
/// # Errors
/// If a run is not finished, or the picture or page cannot be written.
pub fn compare(runs: &[PathBuf], picture: &Path) -> Result<()> {
    let page = picture.with_extension("html");
    ensure!(page != picture, "--out names a picture: give it the ending .png");
    let mut outputs = Outputs::default();
    outputs.take(picture)?;
    outputs.take(&page)?;
    let mut all: Vec<Compared> = Vec::new();
    for path in runs {
        let (folder, config) = RunFolder::open(path)?;
        let mut name = config.name().to_owned();
        // Two runs of one model are told apart by their folders.
        if all.iter().any(|other| other.name == name) {
            name = format!("{name} ({})", path.display());
        }
        let (results, history) = (folder.results()?, folder.history()?);
        if results.judged_by != Part::Test {
            name = format!("{name} ({} data)", results.judged_by.name());
        }
        all.push(Compared { name, config, history, results });
    }
    let first = all.first().context("name at least one run")?.config.data();
    let mixed = all.iter().any(|run| run.config.data() != first);
    if mixed {
        for run in &mut all {
            run.name = format!("{} on {}", run.name, run.config.data());
        }
    }
    let title = if mixed { "Runs on different data".to_owned() } else { first };
    print!("{title}\n{}", table(&all));
    let classes = all.iter().any(|run| run.config.classes());
    let series = all.iter().map(|run| Series { name: run.name.clone(), epochs: run.judged() });
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
        println!("settings that differ, in the order of the runs:");
    }
    for Differing { name, values } in &settings {
        println!("  {name}: {}", values.join(" | "));
    }
    let text = report::comparison(&title, shown, &all, &settings);
    write_atomically(&page, |file| file.write_all(text.as_bytes()))?;
    println!("wrote {} and {}", picture.display(), page.display());
    Ok(())
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
        let _ = writeln!(text, "  {seconds:>9.1}  {}", run.config.device);
    }
    text
}

/// The columns of the table.
const FIGURES: [(&str, Figure); 6] = [
    ("loss", Figure::Loss),
    ("accuracy", Figure::Accuracy),
    ("precision", Figure::Precision),
    ("recall", Figure::Recall),
    ("F1", Figure::F1),
    ("AUC", Figure::Auc),
];
