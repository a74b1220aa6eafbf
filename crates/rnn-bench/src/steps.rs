use super::measure::{Timing, repeat};
use anyhow::{Result, ensure};
use rnn::nn::{Batch, InputSpec, Precision, Trainer};
use rnn::{HostTensor, nn::Metrics};
use rnn_core::Rng;
use rnn_cpu::CpuDevice;
use rnn_data::movies::MovieOptions;
use rnn_graph::{Cost, Device, DeviceKind, Graph};
use rnn_run::experiment::{Experiment, Preset, VOCABULARY};
use std::time::Instant;

/// A training step or an inference of an experiment on one batch, to be timed.
pub struct BenchStep {
    /// Name of the experiment and of the kind of step, with the batch size and, if mixed, the
    /// precision.
    pub name: String,
    /// The experiment.
    pub experiment: Experiment,
    /// Examples in the batch.
    pub batch: usize,
    /// True for a training step, false for an inference.
    pub training: bool,
    /// Precision of the step.
    pub precision: Precision,
    /// Frames and pixels of a side of a video.
    video: (usize, usize),
    /// Number of tokens of a review; unused for videos.
    pub length: usize,
}

/// Returns true if mixed precision may be faster on a device: the device has 16-bit floats and is
/// not the CPU device, which only rounds to them.
pub fn gain_by_half(device: &dyn Device) -> bool {
    device.limits().half && device.info().kind != DeviceKind::Cpu
}

/// Returns training step and inference of the five experiments, in single precision and, if `mixed`
/// is true, also in mixed precision. If `quick` is true, reviews are shorter and batches of videos
/// smaller.
pub fn all(quick: bool, mixed: bool) -> Vec<BenchStep> {
    let precisions =
        if mixed { &[Precision::F32, Precision::Mixed][..] } else { &[Precision::F32] };
    let mut steps = Vec::new();
    for experiment in Experiment::REVIEWS.into_iter().chain([Experiment::NextFrame]) {
        let videos = experiment == Experiment::NextFrame;
        let batch = match (videos, quick) {
            (true, true) => 2,
            (true, false) => 10,
            (false, _) => 128,
        };
        for training in [true, false] {
            let what = if training { "training step" } else { "inference" };
            for &precision in precisions {
                let mixed = if precision == Precision::Mixed { ", mixed" } else { "" };
                steps.push(BenchStep {
                    name: format!("{} {what}, batch {batch}{mixed}", experiment.name()),
                    experiment,
                    batch,
                    training,
                    precision,
                    video: (15, 40),
                    length: if quick { 100 } else { 500 },
                });
            }
        }
    }
    steps
}

/// Returns a batch of reviews of random token ids, `[batch, length]`, with random labels 0 or 1,
/// `[batch, 1]`. Equal arguments give equal batches.
///
/// # Errors
/// Fails if a tensor cannot be made, which does not happen.
pub fn reviews(batch: usize, length: usize) -> Result<Batch> {
    let mut rng = Rng::new(1, 0);
    let tokens = (0..batch * length).map(|_| rng.below(VOCABULARY as u32)).collect();
    let labels = (0..batch).map(|_| rng.below(2) as f32).collect();
    let tokens = HostTensor::from_u32([batch, length], tokens)?;
    let labels = HostTensor::from_f32([batch, 1], labels)?;
    Ok(Batch { inputs: vec![tokens], labels: vec![labels], weights: vec![] })
}

impl BenchStep {
    fn input(&self) -> InputSpec {
        let (frames, size) = self.video;
        match self.experiment {
            Experiment::NextFrame => InputSpec::floats([frames, size, size, 1]),
            _ => InputSpec::tokens([self.length]),
        }
    }

    /// Returns a trainer of the experiment's model on `device`, with initial weights, in
    /// `precision` whatever [`BenchStep::precision`] is.
    pub fn trainer(&self, device: &dyn Device, precision: Precision) -> Result<Trainer> {
        let preset = Preset::Keras3;
        let model = self.experiment.model(self.input(), preset, 1)?;
        let optimizer = self.experiment.optimizer(preset);
        let trainer = Trainer::new(model, device, optimizer, 1).precision(precision);
        Ok(trainer.metric_sums(self.experiment.metric_sums()))
    }

    /// Returns the graph of the step for a batch of [`BenchStep::batch`] examples, in
    /// [`BenchStep::precision`].
    ///
    /// # Errors
    /// Fails if the model or the graph cannot be built.
    pub fn graph(&self, device: &dyn Device) -> Result<Graph> {
        let trainer = self.trainer(device, self.precision)?;
        Ok(match self.training {
            true => trainer.training_graph(self.batch)?,
            false => trainer.prediction_graph(self.batch)?,
        })
    }

    /// Returns a batch of [`BenchStep::batch`] examples for the step.
    ///
    /// # Errors
    /// Fails if a tensor cannot be made, which does not happen.
    pub fn examples(&self) -> Result<Batch> {
        let (frames, size) = self.video;
        if self.experiment != Experiment::NextFrame {
            return reviews(self.batch, self.length);
        }
        let movies = MovieOptions { count: self.batch, frames, size, ..Default::default() };
        let (inputs, labels) = movies.all()?;
        Ok(Batch { inputs: vec![inputs], labels: vec![labels], weights: vec![] })
    }

    /// Runs a training step if `training` is true, else an evaluation, on `batch`, waits for it,
    /// and returns its metrics.
    pub fn run(trainer: &mut Trainer, batch: &Batch, training: bool) -> Result<Metrics> {
        match training {
            true => trainer.train_batch(batch)?,
            false => trainer.evaluate_batch(batch)?,
        }
        Ok(trainer.take_metrics()?)
    }

    /// Compares the losses of three small steps on `device` with those of the CPU device in single
    /// precision.
    ///
    /// # Errors
    /// Fails if the losses differ by more than 1e-4 of their value, in mixed precision 1e-2, or if
    /// a device fails.
    pub fn check(&self, device: &dyn Device) -> Result<()> {
        let small = Self { name: self.name.clone(), batch: 2, video: (3, 8), length: 12, ..*self };
        let batch = small.examples()?;
        let cpu = CpuDevice::new();
        let mut ours = small.trainer(device, self.precision)?;
        let mut wanted = small.trainer(&cpu, Precision::F32)?;
        let tolerance = if self.precision == Precision::F32 { 1e-4 } else { 1e-2 };
        for _ in 0..3 {
            let got = Self::run(&mut ours, &batch, self.training)?.loss;
            let want = Self::run(&mut wanted, &batch, self.training)?.loss;
            let close = (got / want - 1.0).abs() < tolerance;
            ensure!(close, "the loss is {got}, on the CPU device {want}");
        }
        Ok(())
    }

    /// Times the step by the wall clock: from a batch in host memory to the metrics there, or to
    /// the predictions of an inference. Operations and bytes are counted only for a training step.
    pub fn measure(&self, device: &dyn Device) -> Result<Timing> {
        let batch = self.examples()?;
        let mut trainer = self.trainer(device, self.precision)?;
        let graph = trainer.training_graph(self.batch)?;
        let mut cost = Cost::default();
        if self.training {
            let nodes = graph.nodes().iter();
            nodes.for_each(|node| cost += node.op.cost(&graph.signature(node)));
        }
        let seconds = repeat(|| {
            let started = Instant::now();
            match self.training {
                true => drop(Self::run(&mut trainer, &batch, true)?),
                false => drop(trainer.predict_batch(&batch.inputs)?),
            }
            Ok(started.elapsed().as_secs_f64())
        })?;
        Ok(Timing { seconds, flops: cost.flops, bytes: cost.bytes })
    }
}
