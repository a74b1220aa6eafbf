//! Finished runs side by side.

use crate::nn::Tally;
use crate::plot::{Series, curves};
use crate::run::{Config, Results, RunFolder};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Prints the runs as a table and draws their validation curves in one picture.
///
/// # Errors
/// If a run is not finished or the picture cannot be written.
pub fn compare(runs: &[PathBuf], picture: &Path) -> Result<()> {
    let mut all: Vec<(String, Config, Results)> = Vec::new();
    let mut series = Vec::new();
    for path in runs {
        let (folder, config) = RunFolder::open(path)?;
        let results = folder.results()?;
        let mut name = config.experiment.name().to_owned();
        // Two runs of one experiment are told apart by their folders.
        if all.iter().any(|(other, ..)| *other == name) {
            name = format!("{name} ({})", path.display());
        }
        let history = folder.history()?;
        let shown = history.epochs.iter().map(|e| e.validation.unwrap_or(e.train)).collect();
        series.push(Series { name: name.clone(), epochs: shown });
        all.push((name, config, results));
    }
    let (_, first, _) = all.first().context("name at least one run")?;
    let mixed = all.iter().any(|(_, config, _)| config.data.name() != first.data.name());
    let title = if mixed { "Runs on different data".into() } else { first.data.name() };
    print!("{title}\n{}", table(&all, mixed));
    let classes = all.iter().any(|(_, c, _)| c.experiment.tally() != Tally::Regression);
    curves(picture, &format!("{title}: validation"), classes, &series)?;
    println!("wrote {}", picture.display());
    Ok(())
}

fn table(all: &[(String, Config, Results)], mixed: bool) -> String {
    let name = |name: &str, config: &Config| match mixed {
        true => format!("{name} on {}", config.data.name()),
        false => name.to_owned(),
    };
    let names: Vec<String> = all.iter().map(|(n, config, _)| name(n, config)).collect();
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0).max("model".len());
    let mut text = format!(
        "{:width$}  {:>10}  {:>8}  {:>9}  {:>6}  {:>6}  {:>6}  {:>9}  device\n",
        "model", "parameters", "accuracy", "precision", "recall", "F1", "AUC", "s / epoch"
    );
    for (name, (_, config, r)) in names.iter().zip(all) {
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
