//! The cost of dropout, recurrent dropout and masks in a training step of the LSTM model:
//! `cargo run --release --example scan_cost [DEVICE]`. Steps of all variants take turns.

use rnn::nn::{Batch, Dense, Embedding, InputSpec, Lstm, Model, Optimizer, Trainer};
use rnn::{Activation, device};
use rnn_core::{HostTensor, Rng};
use std::time::Instant;

const BATCH: usize = 128;
const LENGTH: usize = 500;
const ROUNDS: usize = 9;

/// Reviews of 100 to 500 words, padded in front.
fn batch(rng: &mut Rng) -> anyhow::Result<Batch> {
    let mut tokens = Vec::with_capacity(BATCH * LENGTH);
    for _ in 0..BATCH {
        let padding = rng.below(400) as usize;
        tokens.extend((0..LENGTH).map(|t| if t < padding { 0 } else { 1 + rng.below(4999) }));
    }
    let labels = (0..BATCH).map(|_| rng.below(2) as f32).collect();
    Ok(Batch {
        inputs: vec![HostTensor::from_u32([BATCH, LENGTH], tokens)?],
        labels: vec![HostTensor::from_f32([BATCH, 1], labels)?],
        weights: vec![],
    })
}

fn main() -> anyhow::Result<()> {
    let choice = std::env::args().nth(1).unwrap_or_else(|| "auto".into());
    let (device, _) = device::open(&choice)?;
    let batch = batch(&mut Rng::new(1, 0))?;
    let table = || Embedding::new(5000, 32);
    let mut variants = Vec::new();
    for (name, embedding, lstm) in [
        ("plain", table(), Lstm::new(128)),
        ("dropout 0.4", table(), Lstm::new(128).dropout(0.4)),
        ("recurrent dropout 0.4", table(), Lstm::new(128).recurrent_dropout(0.4)),
        ("both", table(), Lstm::new(128).dropout(0.4).recurrent_dropout(0.4)),
        ("mask", table().mask_zero(), Lstm::new(128)),
    ] {
        let model = Model::sequential(InputSpec::tokens([LENGTH]), 1)
            .add(embedding)?
            .add(lstm)?
            .add(Dense::new(1, Activation::Sigmoid))?;
        variants.push((name, Trainer::new(model, &*device, Optimizer::adam(), 1), Vec::new()));
    }
    for round in 0..=ROUNDS {
        for (_, trainer, times) in &mut variants {
            let started = Instant::now();
            trainer.train_batch(&batch)?;
            trainer.take_metrics()?;
            // The first round compiles.
            times.extend((round > 0).then(|| started.elapsed().as_secs_f64()));
        }
    }
    println!("{}, medians of {ROUNDS} steps of {BATCH} x {LENGTH}", device.info());
    let plain = variants[0].2.clone();
    for (name, _, times) in &variants {
        let ratios: Vec<f64> = times.iter().zip(&plain).map(|(a, b)| a / b).collect();
        println!("{name:<22} {:>8.1} ms  {:.2} of plain", 1e3 * median(times), median(&ratios));
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
