//! Finished runs side by side.

use crate::nn::{History, Metrics, Tally};
use crate::plot::{Series, curves};
use crate::report;
use crate::run::{Config, Results, RunFolder};
use anyhow::{Context, Result, ensure};
use rnn_formats::write_atomically;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A finished run among others.
pub struct Compared {
    /// The experiment; that and the folder where there are two of one.
    pub name: String,
    /// What was trained.
    pub config: Config,
    /// How it went.
    pub history: History,
    /// What it came to.
    pub results: Results,
}

impl Compared {
    /// Of each epoch what the validation came to, or the training where nothing was validated.
    pub fn judged(&self) -> Vec<Metrics> {
        self.history.epochs.iter().map(|e| e.validation.unwrap_or(e.train)).collect()
    }
}

/// Prints the runs as a table, draws their validation curves in one picture, and writes a page of
/// both beside it.
///
/// # Errors
/// If a run is not finished, or the picture or page cannot be written.
pub fn compare(runs: &[PathBuf], picture: &Path) -> Result<()> {
    let page = picture.with_extension("html");
    ensure!(page != picture, "--out names a picture: give it the ending .png");
    let mut all: Vec<Compared> = Vec::new();
    for path in runs {
        let (folder, config) = RunFolder::open(path)?;
        let mut name = config.experiment.name().to_owned();
        // Two runs of one experiment are told apart by their folders.
        if all.iter().any(|other| other.name == name) {
            name = format!("{name} ({})", path.display());
        }
        let (results, history) = (folder.results()?, folder.history()?);
        all.push(Compared { name, config, history, results });
    }
    let first = all.first().context("name at least one run")?.config.data.name();
    let mixed = all.iter().any(|run| run.config.data.name() != first);
    if mixed {
        for run in &mut all {
            run.name = format!("{} on {}", run.name, run.config.data.name());
        }
    }
    let title = if mixed { "Runs on different data".to_owned() } else { first };
    print!("{title}\n{}", table(&all));
    let classes = all.iter().any(|run| run.config.experiment.tally() != Tally::Regression);
    let series = all.iter().map(|run| Series { name: run.name.clone(), epochs: run.judged() });
    curves(picture, &format!("{title}: validation"), classes, &series.collect::<Vec<_>>())?;
    let text = report::comparison(&title, classes, &all)?;
    write_atomically(&page, |file| file.write_all(text.as_bytes()))?;
    println!("wrote {} and {}", picture.display(), page.display());
    Ok(())
}

fn table(all: &[Compared]) -> String {
    let names = all.iter().map(|run| run.name.chars().count());
    let width = names.max().unwrap_or(0).max("model".len());
    let mut text = format!(
        "{:width$}  {:>10}  {:>8}  {:>9}  {:>6}  {:>6}  {:>6}  {:>9}  device\n",
        "model", "parameters", "accuracy", "precision", "recall", "F1", "AUC", "s / epoch"
    );
    for Compared { name, config, results: r, .. } in all {
        let _ = writeln!(
            text,
            "{name:width$}  {:>10}  {:>8.4}  {:>9.4}  {:>6.4}  {:>6.4}  {:>6.4}  {:>9.1}  {}",
            r.parameters,
            r.test.accuracy,
            r.test.precision,
            r.test.recall,
            r.test.f1,
            r.test.auc,
            r.seconds_per_epoch,
            config.device
        );
    }
    text
}
