//! Training and evaluating an experiment, with progress for people.

use crate::HostTensor;
use crate::data::{self, Splits};
use crate::nn::{
    Callback, Dataset, Event, FitOptions, Metrics, Optimizer, TerminateOnNan, Trainer,
};
use crate::plot::probability_histogram;
use crate::report::ClassificationReport;
use crate::run::{Config, Results, RunFolder};
use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use rnn_graph::Device;
use std::io::IsTerminal;
use std::ops::ControlFlow;
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
    let model = config.experiment.model(config.preset, config.length, config.seed)?;
    print!("{}", model.summary());
    println!(
        "{} reviews to train on, {} to validate, {} to test",
        splits.train.len(),
        splits.validation.len(),
        splits.test.len()
    );
    let mut trainer = Trainer::new(model, device, Optimizer::adam(), config.seed);
    if profile {
        trainer.enable_profile();
    }
    let size = config.batch_size;
    let mut progress = Progress::new(config.epochs, splits.train.len(), size);
    let options = FitOptions { epochs: config.epochs, batch_size: size };
    let mut observe = |event: &Event| progress.observe(event);
    let callbacks: &mut [&mut dyn Callback] = &mut [&mut observe, &mut TerminateOnNan];
    let history = trainer.fit(&splits.train, Some(&splits.validation), options, callbacks)?;
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted; nothing was written");
    }
    folder.save(config, trainer.model()?)?;
    folder.save_history(&config.title(), &history)?;
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
    let mut model = config.experiment.model(config.preset, config.length, config.seed)?;
    folder.load_weights(&mut model)?;
    let splits = data::load(&config)?;
    let mut trainer = Trainer::new(model, device, Optimizer::adam(), config.seed);
    report(&mut trainer, &splits, &config, &folder)
}

/// Test metrics and the classification report, printed and saved, and the histogram.
fn report(
    trainer: &mut Trainer,
    splits: &Splits,
    config: &Config,
    folder: &RunFolder,
) -> Result<()> {
    let size = config.batch_size;
    let metrics = trainer.evaluate(&splits.test, size)?;
    let test = trainer.predict(&splits.test, size)?;
    let train = trainer.predict(&splits.train, size)?;
    let labels = splits.test.labels();
    let report = ClassificationReport::from_predictions(test.as_f32()?, labels.as_f32()?);
    let text = format!(
        "{}\ntest loss {:.4}, accuracy {:.4}, precision {:.4}, recall {:.4}, F1 {:.4}, AUC {:.4}\n\n\
         {report}",
        config.title(),
        metrics.loss,
        metrics.accuracy,
        metrics.precision,
        metrics.recall,
        metrics.f1,
        metrics.auc
    );
    println!("{text}");
    folder.write_text("report.txt", &text)?;
    let epochs = folder.history()?.epochs;
    let seconds: f64 = epochs.iter().map(|e| e.seconds).sum();
    folder.save_results(&Results {
        parameters: trainer.model()?.count_params(),
        test: metrics,
        seconds_per_epoch: seconds / epochs.len().max(1) as f64,
    })?;
    let pairs = |probabilities: HostTensor, set: &Dataset| -> Result<Vec<(f32, bool)>> {
        let labels = set.labels();
        let positive = labels.as_f32()?.iter().map(|&label| label > 0.5);
        Ok(probabilities.as_f32()?.iter().copied().zip(positive).collect())
    };
    let picture = folder.file("histogram.png");
    probability_histogram(
        &picture,
        &config.title(),
        &pairs(train, &splits.train)?,
        &pairs(test, &splits.test)?,
    )
}

/// A bar per epoch on a terminal, a line per epoch elsewhere.
struct Progress {
    epochs: usize,
    examples: usize,
    batch_size: usize,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(epochs: usize, examples: usize, batch_size: usize) -> Self {
        Self { epochs, examples, batch_size, bar: None }
    }

    fn observe(&mut self, event: &Event) -> ControlFlow<()> {
        match event {
            Event::Epoch(epoch) => {
                println!("Epoch {epoch}/{}", self.epochs);
                self.bar = std::io::stderr().is_terminal().then(|| self.new_bar());
            }
            Event::Step(step, metrics) => {
                if let Some(bar) = &self.bar {
                    bar.set_position((*step * self.batch_size).min(self.examples) as u64);
                    bar.set_message(describe("", metrics));
                }
            }
            Event::EpochEnd(log) => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                let validation = log.validation.map(|v| describe("validation ", &v));
                println!(
                    "{:.1} s, {:.0} samples/s, {}{}",
                    log.seconds,
                    log.train.count as f64 / log.seconds.max(1e-9),
                    describe("", &log.train),
                    validation.map_or(String::new(), |v| format!(", {v}"))
                );
            }
        }
        if INTERRUPTED.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn new_bar(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.examples as u64);
        let template = "{wide_bar} {pos}/{len} {eta} left, {per_sec}, {msg}";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar
    }
}

fn describe(prefix: &str, m: &Metrics) -> String {
    format!("{prefix}loss {:.4}, {prefix}accuracy {:.4}", m.loss, m.accuracy)
}
