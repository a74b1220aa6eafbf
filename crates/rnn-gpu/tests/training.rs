//! A small model learns, repeats bit for bit, and does the same on every device.

use rnn_core::{HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_gpu::Activation;
use rnn_gpu::nn::{Batch, Dense, Dropout, Embedding, InputSpec, Lstm, Model, Optimizer, Trainer};
use rnn_graph::Device;
use rnn_wgpu::{Options, WgpuDevice, adapters};

const LENGTH: usize = 6;

/// Whether token 1 occurs in the sequence.
fn batch(index: u64) -> Batch {
    let mut rng = Rng::new(5, index);
    let tokens: Vec<u32> = (0..16 * LENGTH).map(|_| rng.below(8)).collect();
    let labels = tokens.chunks(LENGTH).map(|t| f32::from(u8::from(t.contains(&1)))).collect();
    Batch {
        weights: None,
        inputs: vec![HostTensor::from_u32([16, LENGTH], tokens).expect("16 rows")],
        labels: vec![HostTensor::from_f32([16, 1], labels).expect("16 labels")],
    }
}

/// The losses of some steps and the weights after them.
fn train(device: &dyn Device, steps: u64) -> (Vec<f64>, Vec<f32>) {
    let model = Model::sequential(InputSpec::Tokens(LENGTH), 3)
        .add(Embedding::new(8, 4))
        .and_then(|m| m.add(Dropout::new(0.1)))
        .and_then(|m| m.add(Lstm::new(8)))
        .and_then(|m| m.add(Dense::new(1, Activation::Sigmoid)))
        .expect("the layers fit");
    let adam = Optimizer::adam().learning_rate(0.02);
    let mut trainer = Trainer::new(model, device, adam, 11);
    let losses = (0..steps)
        .map(|i| {
            trainer.train_batch(&batch(i % 8)).expect("a step");
            trainer.take_metrics().expect("metrics").loss
        })
        .collect();
    (losses, trainer.model().expect("weights").parameters().to_vec())
}

fn bits(weights: &[f32]) -> Vec<u32> {
    weights.iter().map(|w| w.to_bits()).collect()
}

#[test]
fn the_loss_falls_and_the_same_seed_gives_the_same_bits() {
    let device = CpuDevice::new();
    let (losses, weights) = train(&device, 120);
    let mean = |l: &[f64]| l.iter().sum::<f64>() / l.len() as f64;
    assert!(mean(&losses[112..]) < 0.5 * mean(&losses[..8]), "{losses:?}");
    assert_eq!(bits(&weights), bits(&train(&device, 120).1));
}

#[test]
fn every_adapter_repeats_itself_and_follows_the_cpu() {
    let all = adapters();
    if all.is_empty() {
        assert!(std::env::var_os("RNN_GPU_REQUIRE_GPU").is_none(), "no adapter");
        println!("SKIPPED every_adapter_repeats_itself_and_follows_the_cpu: no adapter");
    }
    let (cpu, _) = train(&CpuDevice::new(), 10);
    for adapter in &all {
        let device = WgpuDevice::open(adapter, Options::default()).expect("the adapter opens");
        let (losses, weights) = train(&device, 10);
        assert_eq!(bits(&weights), bits(&train(&device, 10).1));
        for (gpu, cpu) in losses.iter().zip(&cpu) {
            assert!((gpu - cpu).abs() < 1e-4 * cpu, "{losses:?}\n{cpu:?}");
        }
    }
}
