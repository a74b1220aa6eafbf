//! A training loop of one's own: batches made as they are needed, a rate that falls when nothing
//! improves, an end when the error is small. `cargo run --release --example training_loop`

use rnn::prelude::*;
use std::f64::consts::TAU;

const BATCH: usize = 32;
const STEPS: usize = 20;

/// Sine waves of random frequency and phase, and how each goes on. The same number is the same
/// batch.
fn batch(number: u64) -> anyhow::Result<Batch> {
    let mut rng = Rng::new(7, number);
    let (mut seen, mut next) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let (frequency, phase) = (rng.uniform_in(0.1, 0.5), rng.uniform_in(0.0, TAU));
        let wave = |step: usize| (frequency * step as f64 + phase).sin() as f32;
        seen.extend((0..STEPS).map(wave));
        next.push(wave(STEPS));
    }
    Ok(Batch {
        inputs: vec![HostTensor::from_f32([BATCH, STEPS, 1], seen)?],
        labels: vec![HostTensor::from_f32([BATCH, 1], next)?],
        weights: vec![],
    })
}

fn main() -> anyhow::Result<()> {
    let model = Model::sequential(InputSpec::floats([STEPS, 1]), 1)
        .add(Gru::new(16))?
        .add(Dense::new(1, Activation::Linear))?;
    let (device, _) = device::open("auto")?;
    let adam = Optimizer::adam().learning_rate(0.02);
    let mut trainer = Trainer::new(model, &*device, adam, 1).loss(Loss::MeanSquaredError);
    let unseen = batch(u64::MAX)?;
    let mut best = f64::INFINITY;
    for step in 1..=1000 {
        trainer.train_batch(&batch(step)?)?;
        if step % 50 > 0 {
            continue;
        }
        // Steps are only queued; this waits for them.
        let training = trainer.take_metrics()?.loss;
        trainer.evaluate_batch(&unseen)?;
        let validation = trainer.take_metrics()?.loss;
        println!("step {step}: loss {training:.5}, of unseen waves {validation:.5}");
        if validation > best {
            trainer.set_rate_factor(0.5 * trainer.rate_factor());
        }
        best = best.min(validation);
        if best < 0.002 {
            break;
        }
    }
    anyhow::ensure!(best < 0.002, "it did not learn");
    Ok(())
}
