//! The files beside the page of a run: its results as text, and pictures.

use crate::plot::{Series, curves, forecast, probability_histogram};
use anyhow::Result;
use rnn::nn::{History, Metrics};
use rnn_run::config::Config;
use rnn_run::measure::describe;
use rnn_run::measure::{Classes, RunResult};
use rnn_run::run::RunFolder;
use std::path::Path;

/// Returns the results of a run as text for the terminal: its title and its metrics and, if it has
/// scores by class or errors of forecasts, a table of them.
pub fn text(config: &Config, RunResult { results, measured, .. }: &RunResult) -> String {
    let figures = describe(results.evaluated_on, &results.metrics, config.metric_sums());
    let text = format!("{}\n{figures}", config.title());
    match &measured.classes {
        Some(classes) => format!("{text}\n\n{}", classes.report),
        None => measured.forecast.iter().fold(text, |text, of| format!("{text}\n\n{of}")),
    }
}

/// Writes the output of [`text`] to `report.txt` in the folder of the run, and draws `curves.png`
/// and, for classifiers of two classes, `histogram.png`, for forecasts `forecast.png`. Existing files are replaced.
pub fn draw(folder: &RunFolder, config: &Config, result: &RunResult) -> Result<()> {
    folder.write_text("report.txt", &text(config, result))?;
    draw_curves(&folder.file("curves.png"), config, &result.history)?;
    let RunResult { results, measured, .. } = result;
    if let Some(Classes { probabilities: Some([train, test]), .. }) = &measured.classes {
        let sets = [("Training", train), (results.evaluated_on.title(), test)];
        let (path, title) = (folder.file("histogram.png"), config.title());
        probability_histogram(&path, &title, config.examples(), sets)?;
    }
    if let Some(of) = &measured.forecast {
        forecast(&folder.file("forecast.png"), &config.title(), of)?;
    }
    Ok(())
}

fn draw_curves(path: &Path, config: &Config, history: &History) -> Result<()> {
    let series = |name: &str, epochs| Series { name: name.into(), epochs };
    let train = history.epochs.iter().map(|e| e.train).collect();
    let validation: Vec<Metrics> = history.epochs.iter().filter_map(|e| e.validation).collect();
    let mut all = vec![series("train", train)];
    all.extend((!validation.is_empty()).then(|| series("validation", validation)));
    let shown = (&*config.loss_name(), config.classes());
    curves(path, &config.title(), shown, &all)
}
