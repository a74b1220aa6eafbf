//! Where the time of a step goes, by op:
//! `cargo run --release --example step_profile -- [experiment] [device] [steps]`.

use anyhow::Context;
use clap::ValueEnum;
use rnn::datasets::movies::MovieOptions;
use rnn::device;
use rnn::nn::{Batch, InputSpec, Trainer};
use rnn_core::{HostTensor, Rng};
use rnn_run::experiment::{Experiment, Preset, VOCABULARY};
use std::time::{Duration, Instant};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "lstm".into());
    let experiment = Experiment::from_str(&name, true).map_err(anyhow::Error::msg)?;
    let (device, _) = device::open(&args.next().unwrap_or_else(|| "auto".into()))?;
    let steps: u32 = args.next().map_or(Ok(10), |text| text.parse()).context("steps")?;
    let batch = examples(experiment)?;
    let preset = Preset::Keras3;
    let model = experiment.model(experiment.input(), preset, 1)?;
    let optimizer = experiment.optimizer(preset);
    let mut trainer =
        Trainer::new(model, &*device, optimizer, 1).metric_sums(experiment.metric_sums());
    trainer.enable_profile();
    for training in [true, false] {
        let run = |trainer: &mut Trainer| -> anyhow::Result<()> {
            match training {
                true => trainer.train_batch(&batch)?,
                false => drop(trainer.predict_batch(&batch.inputs)?),
            }
            Ok(())
        };
        run(&mut trainer)?;
        run(&mut trainer)?;
        let before = trainer.profile()?.rows;
        let started = Instant::now();
        for _ in 0..steps {
            run(&mut trainer)?;
        }
        trainer.take_metrics()?;
        let each = started.elapsed() / steps;
        let what = if training { "training step" } else { "inference" };
        println!("{name} {what} on {}: {:.1} ms", device.info(), 1e3 * each.as_secs_f64());
        for row in trainer.profile()?.rows {
            let earlier = before.iter().find(|earlier| earlier.op == row.op);
            let time = row.time - earlier.map_or(Duration::ZERO, |earlier| earlier.time);
            println!("  {:<28}{:>8.2} ms", row.op, 1e3 * time.as_secs_f64() / f64::from(steps));
        }
    }
    Ok(())
}

fn examples(experiment: Experiment) -> anyhow::Result<Batch> {
    if experiment == Experiment::NextFrame {
        let (noisy, shifted) = MovieOptions { count: 10, ..MovieOptions::default() }.all()?;
        return Ok(Batch { inputs: vec![noisy], labels: vec![shifted], weights: vec![] });
    }
    let InputSpec::Tokens(shape) = experiment.input() else { anyhow::bail!("no tokens") };
    let (rows, mut rng) = (128, Rng::new(1, 0));
    let tokens =
        (0..rows * shape.iter().product::<usize>()).map(|_| rng.below(VOCABULARY as u32)).collect();
    let labels = (0..rows).map(|_| rng.below(2) as f32).collect();
    Ok(Batch {
        inputs: vec![HostTensor::from_u32([&[rows], &shape[..]].concat(), tokens)?],
        labels: vec![HostTensor::from_f32([rows, 1], labels)?],
        weights: vec![],
    })
}
