//! Measurements of GPUs among the committed results, which `rnn-gpu bench --peers` writes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::inputs::{Card, Step};

/// A report of one device.
#[derive(Debug, Deserialize)]
pub struct Report {
    date: String,
    device: String,
    quick: bool,
    steps: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    experiment: String,
    training: bool,
    batch: usize,
    /// Seconds, before the peers were timed and after.
    ours: [f64; 2],
}

/// Reads the reports of all devices in a folder, the newest last.
///
/// # Errors
/// Fails if the folder or a file cannot be read.
pub fn reports(folder: &Path) -> Result<Vec<Report>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            // Files of other kinds lie there too.
            found.extend(serde_json::from_str::<Report>(&fs::read_to_string(&path)?).ok());
        }
    }
    found.sort_by(|a, b| a.date.cmp(&b.date));
    Ok(found)
}

/// Returns the seconds of a step that the newest report of a card has.
pub fn seconds(reports: &[Report], card: &Card, step: &Step) -> Option<f64> {
    let of_card = |report: &&Report| {
        !report.quick && card.named.iter().any(|name| report.device.contains(name))
    };
    let rows = reports.iter().rev().filter(of_card).flat_map(|report| &report.steps);
    let wanted = |row: &&Row| {
        (row.training, row.batch) == (step.training, step.batch)
            && row.experiment == step.experiment
    };
    rows.filter(wanted).map(|row| (row.ours[0] + row.ours[1]) / 2.0).next()
}
