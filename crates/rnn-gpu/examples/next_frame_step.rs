//! Times training steps of the next-frame model, to compare with bench/peers/keras_steps.py:
//! `cargo run --release --example next_frame_step -- [device] [batch size] [steps]`.

use rnn_gpu::datasets::movies::MovieOptions;
use rnn_gpu::device;
use rnn_gpu::experiment::{Experiment, Preset};
use rnn_gpu::nn::{Batch, Trainer};
use std::time::Instant;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let choice = args.next().unwrap_or_else(|| "auto".into());
    let batch_size: usize = args.next().map_or(Ok(10), |text| text.parse())?;
    let steps: usize = args.next().map_or(Ok(5), |text| text.parse())?;
    let (device, _) = device::open(&choice)?;
    let experiment = Experiment::NextFrame;
    let preset = Preset::Keras3;
    let model = experiment.model(experiment.input(), preset, 1)?;
    let optimizer = experiment.optimizer(preset);
    let mut trainer = Trainer::new(model, &*device, optimizer, 1).tally(experiment.tally());
    let (noisy, shifted) = MovieOptions { count: batch_size, ..MovieOptions::default() }.all()?;
    let batch = Batch { inputs: vec![noisy], labels: vec![shifted], weights: None };
    let mut step = || -> anyhow::Result<f64> {
        let started = Instant::now();
        trainer.train_batch(&batch)?;
        let loss = trainer.take_metrics()?.loss;
        anyhow::ensure!(loss.is_finite(), "the loss is {loss}");
        Ok(started.elapsed().as_secs_f64())
    };
    for _ in 0..2 {
        step()?;
    }
    let mut seconds = (0..steps).map(|_| step()).collect::<anyhow::Result<Vec<f64>>>()?;
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!("{}: {median:.2} s per step of {batch_size}", device.info());
    Ok(())
}
