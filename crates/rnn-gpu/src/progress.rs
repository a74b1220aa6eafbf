//! How far a training run is, for people.

use crate::nn::{Event, Metrics, Tally};
use crate::train::INTERRUPTED;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long steps are watched before the time left is told where there is no bar.
const FIRST_ESTIMATE: Duration = Duration::from_secs(15);

/// A bar per epoch on a terminal; elsewhere a line per epoch, and one with the first estimate.
pub struct Progress {
    epochs: usize,
    /// Examples that an epoch trains on, and that it validates on.
    examples: [usize; 2],
    batch_size: usize,
    tally: Tally,
    started: Instant,
    epoch: usize,
    /// How much of the training, in examples, was behind when it was first watched.
    origin: Option<f64>,
    told: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of so many epochs over so many examples to train on, and to validate on.
    pub fn new(epochs: usize, examples: [usize; 2], batch_size: usize, tally: Tally) -> Self {
        let started = Instant::now();
        let (epoch, origin, told, bar) = (0, None, false, None);
        Self { epochs, examples, batch_size, tally, started, epoch, origin, told, bar }
    }

    /// Shows what happened; breaks off after Ctrl-C.
    pub fn observe(&mut self, event: &Event) -> ControlFlow<()> {
        match event {
            Event::Epoch(epoch) => {
                println!("Epoch {epoch}/{}", self.epochs);
                self.epoch = *epoch;
                self.bar = std::io::stderr().is_terminal().then(|| self.new_bar());
            }
            Event::Step(step, metrics) => self.step(*step, metrics),
            Event::EpochEnd(log) => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                let validation = log.validation.map(|v| self.describe("validation ", &v));
                println!(
                    "{:.1} s, {:.1} samples/s, {}{}",
                    log.seconds,
                    log.train.count as f64 / log.seconds.max(1e-9),
                    self.describe("", &log.train),
                    validation.map_or(String::new(), |v| format!(", {v}"))
                );
            }
        }
        if INTERRUPTED.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn step(&mut self, step: usize, metrics: &Metrics) {
        let done = (step * self.batch_size).min(self.examples[0]);
        let left = self.left(done);
        match &self.bar {
            Some(bar) => {
                bar.set_position(done as u64);
                let left = HumanDuration(left);
                bar.set_message(format!("{left} left in all, {}", self.describe("", metrics)));
            }
            None if !self.told && self.started.elapsed() > FIRST_ESTIMATE => {
                println!("about {:#} left", HumanDuration(left));
                self.told = true;
            }
            None => {}
        }
    }

    /// The time that the rest will take, if it goes on as before. Of a training step two thirds
    /// are backward.
    fn left(&mut self, done: usize) -> Duration {
        let [train, validate] = self.examples.map(|examples| examples as f64);
        let epoch = train + validate / 3.0;
        let behind = (self.epoch - 1) as f64 * epoch + done as f64;
        let ahead = self.epochs as f64 * epoch - behind;
        let watched = behind - *self.origin.get_or_insert(behind - self.batch_size as f64);
        self.started.elapsed().mul_f64((ahead / watched.max(1.0)).max(0.0))
    }

    fn new_bar(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.examples[0] as u64);
        let template = "{wide_bar} {pos}/{len} {per_sec}, {msg}";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar
    }

    fn describe(&self, prefix: &str, m: &Metrics) -> String {
        match self.tally {
            Tally::Regression => format!("{prefix}loss {:.3e}", m.loss),
            _ => format!("{prefix}loss {:.4}, {prefix}accuracy {:.4}", m.loss, m.accuracy),
        }
    }
}
