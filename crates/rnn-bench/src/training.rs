//! Checks of training steps of the experiments on a device, against the same steps on the CPU
//! device. The ops of the CPU device are themselves checked against their references.

use crate::reviews;
use anyhow::{Context, Result, anyhow};
use rnn::nn::{Batch, InputSpec, Model, Optimizer, Trainer};
use rnn_cpu::CpuDevice;
use rnn_data::movies::MovieOptions;
use rnn_graph::{Device, DeviceKind};
use rnn_run::experiment::{Experiment, LENGTH, Preset};
use rnn_verify::{Measured, NotPassed, Section, Subject, Verification, compare};

/// Steps of each; the second and third see what the first has changed.
const STEPS: usize = 3;

/// The tolerance of losses, which are means over all rows.
const LOSS_TOLERANCE: f64 = 1e-5;
/// The tolerance of moments of gradients, which are sums over all steps and rows.
const MOMENT_TOLERANCE: f64 = 1e-3;
/// Of what the steps have added to weights: there errors of gradients a thousandth of the largest
/// are as large as those.
const MOVE_TOLERANCE: f64 = 1e-2;
/// Moments below this share of a weight's largest are of the size of rounding. Adam divides them
/// by themselves, so that such weights move either way.
const SMALLEST_MOMENT: f64 = 1e-3;

/// A check of three training steps of one experiment on one device.
pub struct Training<'a> {
    device: &'a dyn Device,
    experiment: Experiment,
    preset: Preset,
    batch: usize,
    /// Frames, and pixels of a side, of a video.
    video: [usize; 2],
}

/// Returns the checks of the five experiments on each of `devices` except the CPU, at the sizes of
/// the tutorial. On a software GPU, batches and videos are smaller.
pub fn all(devices: &[Box<dyn Device>]) -> Vec<Training<'_>> {
    let mut all = Vec::new();
    for device in devices.iter().filter(|device| device.info().kind != DeviceKind::Cpu) {
        let software = device.info().kind == DeviceKind::SoftwareGpu;
        for experiment in Experiment::REVIEWS.into_iter().chain([Experiment::NextFrame]) {
            // That of 2018 has a learning rate under which weights of models of videos visibly move.
            let (preset, batch, video) = match (experiment, software) {
                (Experiment::NextFrame, true) => (Preset::Keras2018, 2, [6, 16]),
                (Experiment::NextFrame, false) => (Preset::Keras2018, 10, [15, 40]),
                (_, true) => (Preset::Keras3, 6, [0; 2]),
                (_, false) => (Preset::Keras3, 132, [0; 2]),
            };
            all.push(Training { device: &**device, experiment, preset, batch, video });
        }
    }
    all
}

/// The results of training steps.
struct Trained {
    losses: Vec<f32>,
    parameters: Vec<f32>,
    /// The optimizer's, each of all trained weights.
    moments: Vec<Vec<f32>>,
}

impl Training<'_> {
    /// Returns the name of the experiment.
    pub fn name(&self) -> &'static str {
        self.experiment.name()
    }

    /// Makes the check and adds its result, passed or failed, to `verification`.
    pub fn run(&self, verification: &mut Verification<'_>) {
        let case = format!("{}, {STEPS} steps", self.name());
        let sizes = match self.experiment {
            Experiment::NextFrame => {
                let [frames, size] = self.video;
                format!("videos[{}x{frames}x{size}x{size}]", self.batch)
            }
            _ => format!("tokens[{}x{LENGTH}]", self.batch),
        };
        let subject = Subject { op: self.name(), case: &case, sizes };
        let target = self.device.info().to_string();
        verification.check(Section::Training, &target, subject, || self.check());
    }

    fn check(&self) -> Result<Measured, NotPassed> {
        let failed = |error: anyhow::Error| NotPassed::Failed(format!("{error:#}"));
        let (model, batch) = self.begin().map_err(failed)?;
        let got = self.train(model.clone(), &batch, self.device).map_err(failed)?;
        let want = self.train(model.clone(), &batch, &CpuDevice::new()).map_err(failed)?;
        Ok(compare_trained(&model, &got, &want)?)
    }

    fn begin(&self) -> Result<(Model, Batch)> {
        let [frames, size] = self.video;
        let (input, batch) = match self.experiment {
            Experiment::NextFrame => {
                let count = self.batch;
                let movies = MovieOptions { count, frames, size, ..MovieOptions::default() };
                let (noisy, shifted) = movies.all()?;
                let batch =
                    Batch { inputs: vec![noisy], labels: vec![shifted], ..Batch::default() };
                (InputSpec::floats([frames, size, size, 1]), batch)
            }
            _ => (InputSpec::tokens([LENGTH]), reviews(self.batch, LENGTH)?),
        };
        Ok((self.experiment.model(input, self.preset, 1)?, batch))
    }

    fn train(&self, model: Model, batch: &Batch, device: &dyn Device) -> Result<Trained> {
        let optimizer: Optimizer = self.experiment.optimizer(self.preset);
        let slots = optimizer.slots();
        let trainer = Trainer::new(model, device, optimizer, 1);
        let mut trainer = trainer.metric_sums(self.experiment.metric_sums());
        let mut losses = Vec::new();
        for _ in 0..STEPS {
            trainer.train_batch(batch)?;
            losses.push(trainer.take_metrics()?.loss as f32);
        }
        let parameters = trainer.model()?.parameters().to_vec();
        let state = trainer.state()?;
        let moment = |slot: usize| {
            let name = format!("slot_{slot}");
            let found = state.tensors.iter().find(|(given, _)| *given == name);
            let (_, tensor) = found.with_context(|| format!("the optimizer has no {name}"))?;
            tensor.as_f32().map(<[f32]>::to_vec).map_err(|error| anyhow!("{name}: {error}"))
        };
        let moments = (0..slots).map(moment).collect::<Result<_>>()?;
        Ok(Trained { losses, parameters, moments })
    }
}

/// Compares losses, each weight's moments, and what was added to each weight, where its first
/// moment is none of rounding. Of the worst, its error and tolerance.
fn compare_trained(model: &Model, got: &Trained, want: &Trained) -> Result<Measured, String> {
    let mut worst = Measured { error: 0.0, tolerance: LOSS_TOLERANCE };
    let mut add = |what: &str, [got, want]: [&[f32]; 2], tolerance: f64| {
        // By the largest of those wanted: the comparator takes what is below 1e-3 for nothing.
        let largest = want.iter().fold(0.0f32, |a, v| a.max(v.abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let got: Vec<f32> = got.iter().map(|v| v / scale).collect();
        let want: Vec<f64> = want.iter().map(|&v| f64::from(v) / f64::from(scale)).collect();
        let error = compare(&got, &want, tolerance).map_err(|e| format!("{what}: {e}"))?.error;
        if error / tolerance > worst.error / worst.tolerance {
            worst = Measured { error, tolerance };
        }
        Ok::<_, String>(())
    };
    add("losses", [&got.losses, &want.losses], LOSS_TOLERANCE)?;
    for range in model.weight_ranges() {
        let elements = range.offset..range.offset + range.shape.iter().product::<usize>();
        let moments = |of: &Trained| match range.trained {
            true => of.moments.iter().map(|moment| moment[elements.clone()].to_vec()).collect(),
            false => Vec::new(),
        };
        let (found, wanted): (Vec<Vec<f32>>, Vec<_>) = (moments(got), moments(want));
        for (i, (got, want)) in found.iter().zip(&wanted).enumerate() {
            add(&format!("moment {i} of {}", range.name), [got, want], MOMENT_TOLERANCE)?;
        }
        let counts = |i: usize| {
            let Some(first) = wanted.first() else { return true };
            let largest = first.iter().fold(0.0f32, |a, m| a.max(m.abs()));
            f64::from(first[i].abs()) >= SMALLEST_MOMENT * f64::from(largest)
        };
        let moves = |of: &Trained| -> Vec<f32> {
            let before = &model.parameters()[elements.clone()];
            let pairs = of.parameters[elements.clone()].iter().zip(before).enumerate();
            pairs.map(|(i, (after, before))| if counts(i) { after - before } else { 0.0 }).collect()
        };
        let (got, want) = (moves(got), moves(want));
        add(&format!("steps of {}", range.name), [&got, &want], MOVE_TOLERANCE)?;
    }
    Ok(worst)
}
