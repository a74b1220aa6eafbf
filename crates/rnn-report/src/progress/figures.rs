use rnn::memory::Bytes;
use rnn::nn::{EpochLog, Event, Metrics};
use rnn_run::config::Config;
use rnn_run::memory::Footprint;
use std::time::{Duration, Instant};

/// Points of a curve beyond which neighbours are joined.
const MOST_POINTS: usize = 2048;

/// The progress of a training so far, which all displays show.
#[derive(Clone, Debug)]
pub struct TrainingFigures {
    /// Name of the model and of its data, as the title.
    pub title: String,
    /// Name of the device.
    pub device: String,
    /// Memory of a step and, if known, the free memory, as text.
    pub memory: String,
    /// Number of passes over the training data.
    pub epochs: usize,
    /// Numbers of examples to train on and to validate in an epoch.
    pub examples: [usize; 2],
    /// Number of examples in a step.
    pub batch_size: usize,
    /// True if the model is a classifier, which has an accuracy.
    pub classes: bool,
    /// Number of the current epoch, from 1 on; 0 before the first.
    pub epoch: usize,
    /// Number of steps of the current epoch that are done.
    pub step: usize,
    /// Mean metrics of the current epoch so far; all 0 until the device has returned the first.
    pub latest: Metrics,
    /// Mean metrics of the training, with a point for each group of consecutive steps; at most 2048
    /// points.
    pub training: Vec<Point>,
    /// The metrics of the epochs that are complete.
    pub logs: Vec<EpochLog>,
    started: Instant,
    /// Training examples already done when it was first watched: in all, and of this epoch.
    origin: Option<(f64, usize)>,
    epoch_started: Instant,
}

/// The settings of a training that displays need.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Name of the model and of its data, as the title.
    pub title: String,
    /// Name of the device.
    pub device: String,
    /// Number of passes over the training data.
    pub epochs: usize,
    /// Number of examples in a step.
    pub batch_size: usize,
    /// True if the model is a classifier, which has an accuracy.
    pub classes: bool,
}

impl From<&Config> for Watched {
    fn from(config: &Config) -> Self {
        Self {
            title: config.title(),
            device: config.device.clone(),
            epochs: config.epochs,
            batch_size: config.step_size(),
            classes: config.classes(),
        }
    }
}

/// A point of a curve: the mean over consecutive training steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The time of the point in epochs, such as 1.5 in the middle of the second epoch.
    pub at: f64,
    /// Mean loss.
    pub loss: f64,
    /// Fraction of the examples that were classified correctly.
    pub accuracy: f64,
}

impl TrainingFigures {
    /// Creates the figures of a training before its first step. `examples` holds the numbers of
    /// examples to train on and to validate. `memory` is the memory of a step.
    pub fn new(of: impl Into<Watched>, examples: [usize; 2], memory: &Footprint) -> Self {
        let now = Instant::now();
        let Watched { title, device, epochs, batch_size, classes } = of.into();
        Self {
            title,
            device,
            memory: match memory.free {
                Some(free) => format!("{} of {}", Bytes(memory.total()), Bytes(free)),
                None => Bytes(memory.total()).to_string(),
            },
            epochs,
            examples,
            batch_size,
            classes,
            epoch: 0,
            step: 0,
            latest: Metrics::default(),
            training: Vec::new(),
            logs: Vec::new(),
            started: now,
            origin: None,
            epoch_started: now,
        }
    }

    /// Adds an event of the training to the figures. Each event must be added once, in order.
    pub fn update(&mut self, event: &Event) {
        match event {
            Event::Epoch(epoch) => {
                (self.epoch, self.step, self.latest) = (*epoch, 0, Metrics::default());
                self.epoch_started = Instant::now();
            }
            Event::Step(step, metrics) => {
                self.step = *step;
                if self.origin.is_none() {
                    // The step just done was watched.
                    let before = (step - 1) * self.batch_size;
                    self.origin = Some((self.behind(before), before));
                }
                if let Some(point) = self.point(metrics) {
                    self.push(point);
                }
                self.latest = *metrics;
            }
            Event::Validation(_) => {}
            Event::EpochEnd(log) => self.logs.push(log.clone()),
        }
    }

    /// The mean over the examples that came between two looks at the running means.
    fn point(&self, now: &Metrics) -> Option<Point> {
        let count = now.count.checked_sub(self.latest.count).filter(|&count| count > 0)?;
        let sum = |of: fn(&Metrics) -> f64| {
            of(now) * now.count as f64 - of(&self.latest) * self.latest.count as f64
        };
        let mean = |of| sum(of) / count as f64;
        let at = (self.epoch - 1) as f64 + now.count as f64 / self.examples[0].max(1) as f64;
        Some(Point { at, loss: mean(|m| m.loss), accuracy: mean(|m| m.accuracy) })
    }

    fn push(&mut self, point: Point) {
        if self.training.len() == MOST_POINTS {
            let middle = |a: f64, b: f64| f64::midpoint(a, b);
            let join = |pair: &[Point]| Point {
                at: middle(pair[0].at, pair[1].at),
                loss: middle(pair[0].loss, pair[1].loss),
                accuracy: middle(pair[0].accuracy, pair[1].accuracy),
            };
            self.training = self.training.chunks_exact(2).map(join).collect();
        }
        self.training.push(point);
    }

    /// Returns the number of training steps in an epoch; the last may have fewer examples. A batch
    /// size of 0 acts as 1.
    pub fn steps(&self) -> usize {
        self.examples[0].div_ceil(self.batch_size.max(1))
    }

    /// Returns the number of training examples of the current epoch that are done.
    pub fn done(&self) -> usize {
        (self.step * self.batch_size).min(self.examples[0])
    }

    /// Returns the time since these figures were created.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns the number of training examples per second in the current epoch. Examples that were
    /// done before a training was resumed do not count.
    pub fn rate(&self) -> f64 {
        let before = self.origin.filter(|_| self.logs.is_empty()).map_or(0, |(_, before)| before);
        let done = self.done().saturating_sub(before);
        done as f64 / self.epoch_started.elapsed().as_secs_f64().max(1e-9)
    }

    /// Returns the estimated time to the end of the training, from the time per example so far. A
    /// validated example counts as a third of a trained one. Before the first step, returns an
    /// arbitrary duration.
    pub fn left(&self) -> Duration {
        let behind = self.behind(self.done());
        let watched = behind - self.origin.map_or(behind, |(origin, _)| origin);
        let ahead = self.epochs as f64 * self.epoch_work() - behind;
        self.elapsed().mul_f64((ahead / watched.max(1.0)).max(0.0))
    }

    /// Of a training step two thirds are backward.
    fn epoch_work(&self) -> f64 {
        let [train, validate] = self.examples.map(|examples| examples as f64);
        train + validate / 3.0
    }

    fn behind(&self, done: usize) -> f64 {
        self.epoch.saturating_sub(1) as f64 * self.epoch_work() + done as f64
    }

    /// Returns the loss and, for a classifier, the accuracy as text, with `prefix` before each
    /// name.
    pub fn describe(&self, prefix: &str, m: &Metrics) -> String {
        match self.classes {
            true => format!("{prefix}loss {:.4}, {prefix}accuracy {:.4}", m.loss, m.accuracy),
            false => format!("{prefix}loss {:.3e}", m.loss),
        }
    }

    /// Returns the time and the metrics of an epoch as a line of text, without a line feed.
    pub fn summary(&self, log: &EpochLog) -> String {
        let validation = log.validation.map(|v| format!(", {}", self.describe("validation ", &v)));
        format!(
            "{:.1} s, {:.1} samples/s, {}{}",
            log.seconds,
            log.train.count as f64 / log.seconds.max(1e-9),
            self.describe("", &log.train),
            validation.unwrap_or_default()
        )
    }
}
