//! Training and evaluating an experiment, with progress for people.

use crate::data::{self, Splits};
use crate::experiment::Experiment;
use crate::memory;
use crate::nn::{Callback, Dataset, Event, FitOptions, Metrics, TerminateOnNan, Trainer};
use crate::plot::probability_histogram;
use crate::progress::Progress;
use crate::report::ClassificationReport;
use crate::run::{Config, Results, RunFolder};
use anyhow::{Result, bail};
use rnn_graph::Device;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by Ctrl-C: the step at hand is finished, then work stops.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Trains what `config` says and writes the run folder.
///
/// # Errors
/// If the data cannot be read, the folder not be written, the device fails, or it is interrupted.
pub fn train(config: &Config, device: &dyn Device, out: &Path, profile: bool) -> Result<()> {
    let folder = RunFolder::create(out)?;
    let result = train_into(&folder, config, device, profile);
    if result.is_err() {
        folder.abandon();
    }
    result
}

fn train_into(
    folder: &RunFolder,
    config: &Config,
    device: &dyn Device,
    profile: bool,
) -> Result<()> {
    let splits = data::load(config)?;
    let model = config.model()?;
    print!("{}", model.summary());
    let what = if config.experiment == Experiment::NextFrame { "films" } else { "reviews" };
    println!(
        "{} {what} to train on, {} to validate, {} to test",
        splits.train.len(),
        splits.validation.len(),
        splits.test.len()
    );
    let mut trainer = config.trainer(model, device);
    println!("{}", memory::check(&trainer, config.batch_size, device)?);
    if profile {
        trainer.enable_profile();
    }
    let size = config.batch_size;
    let examples = [splits.train.len(), splits.validation.len()];
    let mut progress = Progress::new(config.epochs, examples, size, config.experiment.tally());
    let options = FitOptions { epochs: config.epochs, batch_size: size };
    let mut observe = |event: &Event| progress.observe(event);
    let callbacks: &mut [&mut dyn Callback] = &mut [&mut observe, &mut TerminateOnNan];
    let history = trainer.fit(&splits.train, Some(&splits.validation), options, callbacks)?;
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted; nothing was written");
    }
    folder.save(config, trainer.model()?)?;
    folder.save_history(config, &history)?;
    if profile {
        println!("{}", trainer.profile()?);
    }
    report(&mut trainer, &splits, config, folder)
}

/// Evaluates a finished run.
///
/// # Errors
/// If the run cannot be read, the data neither, or the device fails.
pub fn evaluate(path: &Path, device: &dyn Device) -> Result<()> {
    let (folder, config) = RunFolder::open(path)?;
    let mut model = config.model()?;
    folder.load_weights(&mut model)?;
    let splits = data::load(&config)?;
    let mut trainer = config.trainer(model, device);
    report(&mut trainer, &splits, &config, &folder)
}

/// Measures the model on the test data, prints and saves what that came to.
fn report(
    trainer: &mut Trainer,
    splits: &Splits,
    config: &Config,
    folder: &RunFolder,
) -> Result<()> {
    let test = trainer.evaluate(&splits.test, config.batch_size)?;
    let text = match config.experiment {
        Experiment::NextFrame => format!("{}\ntest loss {:.3e}", config.title(), test.loss),
        _ => report_reviews(trainer, splits, config, (folder, &test))?,
    };
    println!("{text}");
    folder.write_text("report.txt", &text)?;
    let epochs = folder.history()?.epochs;
    let seconds: f64 = epochs.iter().map(|e| e.seconds).sum();
    folder.save_results(&Results {
        parameters: trainer.model()?.count_params(),
        test,
        seconds_per_epoch: seconds / epochs.len().max(1) as f64,
    })
}

/// The classification report, and the histogram of probabilities.
fn report_reviews(
    trainer: &mut Trainer,
    splits: &Splits,
    config: &Config,
    (folder, m): (&RunFolder, &Metrics),
) -> Result<String> {
    let mut pairs = |set: &Dataset| -> Result<Vec<(f32, bool)>> {
        let mut all = Vec::new();
        let predictions = trainer.predict(set, config.batch_size)?;
        for (probabilities, labels) in predictions.iter().zip(&set.labels()) {
            let positive = labels.as_f32()?.iter().map(|&label| label > 0.5);
            all.extend(probabilities.as_f32()?.iter().copied().zip(positive));
        }
        Ok(all)
    };
    let (train, test) = (pairs(&splits.train)?, pairs(&splits.test)?);
    probability_histogram(&folder.file("histogram.png"), &config.title(), &train, &test)?;
    let labels: Vec<f32> =
        test.iter().map(|&(_, positive)| f32::from(u8::from(positive))).collect();
    let probabilities: Vec<f32> = test.iter().map(|&(probability, _)| probability).collect();
    Ok(format!(
        "{}\ntest loss {:.4}, accuracy {:.4}, precision {:.4}, recall {:.4}, F1 {:.4}, AUC {:.4}\n\n\
         {}",
        config.title(),
        m.loss,
        m.accuracy,
        m.precision,
        m.recall,
        m.f1,
        m.auc,
        ClassificationReport::from_predictions(&probabilities, &labels)
    ))
}
