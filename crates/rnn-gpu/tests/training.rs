//! A small model learns, repeats bit for bit, and does the same on every device.

use rnn::nn::{
    Batch, ConvLstm2D, Dense, Dropout, Embedding, Flatten, InputSpec, Lstm, Model, Optimizer,
    Precision, Trainer,
};
use rnn::{Activation, Padding};
use rnn_core::{HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_graph::Device;
use rnn_testing::{TestDevice, adapters, devices, open, skip};

const LENGTH: usize = 6;

/// Whether token 1 occurs in the sequence.
fn batch(index: u64) -> Batch {
    let mut rng = Rng::new(5, index);
    let tokens: Vec<u32> = (0..16 * LENGTH).map(|_| rng.below(8)).collect();
    let labels = tokens.chunks(LENGTH).map(|t| f32::from(u8::from(t.contains(&1)))).collect();
    Batch {
        weights: vec![],
        inputs: vec![HostTensor::from_u32([16, LENGTH], tokens).expect("16 rows")],
        labels: vec![HostTensor::from_f32([16, 1], labels).expect("16 labels")],
    }
}

fn trainer(device: &dyn Device) -> Trainer {
    let model = Model::sequential(InputSpec::tokens([LENGTH]), 3)
        .add(Embedding::new(8, 4))
        .and_then(|m| m.add(Dropout::new(0.1)))
        .and_then(|m| m.add(Lstm::new(8)))
        .and_then(|m| m.add(Dense::new(1, Activation::Sigmoid)))
        .expect("the layers fit");
    let adam = Optimizer::adam().learning_rate(0.02);
    Trainer::new(model, device, adam, 11)
}

/// Where the mean of a film's pixels is above zero.
fn film_batch(index: u64) -> Batch {
    let mut rng = Rng::new(6, index);
    let pixels: Vec<f32> = (0..4 * 3 * 5 * 4).map(|_| rng.normal() as f32).collect();
    let positive = |film: &[f32]| f32::from(u8::from(film.iter().sum::<f32>() > 0.0));
    let labels = pixels.chunks(3 * 5 * 4).map(positive).collect();
    Batch {
        weights: vec![],
        inputs: vec![HostTensor::from_f32([4, 3, 5, 4, 1], pixels).expect("4 films")],
        labels: vec![HostTensor::from_f32([4, 1], labels).expect("4 labels")],
    }
}

/// Of films, through two ConvLSTM layers, the second with dropout of h.
fn film_trainer(device: &dyn Device) -> Trainer {
    let model = Model::sequential(InputSpec::floats([3, 5, 4, 1]), 3)
        .add(ConvLstm2D::new(6, [3, 3]).padding(Padding::Same).return_sequences())
        .and_then(|m| m.add(ConvLstm2D::new(4, [3, 3]).recurrent_dropout(0.2)))
        .and_then(|m| m.add(Flatten))
        .and_then(|m| m.add(Dense::new(1, Activation::Sigmoid)))
        .expect("the layers fit");
    Trainer::new(model, device, Optimizer::adam().learning_rate(0.01), 11)
}

/// The losses of some steps and the weights after them.
fn train(mut trainer: Trainer, steps: u64) -> (Vec<f64>, Vec<f32>) {
    let losses = (0..steps)
        .map(|i| {
            trainer.train_batch(&batch(i % 8)).expect("a step");
            trainer.take_metrics().expect("metrics").loss
        })
        .collect();
    (losses, trainer.model().expect("weights").parameters().to_vec())
}

/// Whether the last steps have half the loss of the first.
fn halved(losses: &[f64]) -> bool {
    let mean = |l: &[f64]| l.iter().sum::<f64>() / l.len() as f64;
    mean(&losses[losses.len() - 8..]) < 0.5 * mean(&losses[..8])
}

fn bits(weights: &[f32]) -> Vec<u32> {
    weights.iter().map(|w| w.to_bits()).collect()
}

#[test]
fn the_loss_falls_and_the_same_seed_gives_the_same_bits() {
    let device = CpuDevice::new();
    let (losses, weights) = train(trainer(&device), 120);
    assert!(halved(&losses), "{losses:?}");
    assert_eq!(bits(&weights), bits(&train(trainer(&device), 120).1));
}

#[test]
fn every_adapter_repeats_itself_and_follows_the_cpu() {
    let all = adapters();
    let (cpu, _) = train(trainer(&CpuDevice::new()), 10);
    for adapter in &all {
        let device = open(adapter);
        let (losses, weights) = train(trainer(&device), 10);
        assert_eq!(bits(&weights), bits(&train(trainer(&device), 10).1));
        for (gpu, cpu) in losses.iter().zip(&cpu) {
            assert!((gpu - cpu).abs() < 1e-4 * cpu, "{losses:?}\n{cpu:?}");
        }
    }
}

fn devices_with_half() -> Vec<TestDevice> {
    let mut all = devices();
    all.retain(|device| device.limits().half);
    if all.len() < 2 {
        skip("no adapter has half precision");
    }
    all
}

#[test]
fn mixed_precision_learns_as_single_precision_does() {
    let (single, _) = train(trainer(&CpuDevice::new()), 120);
    for device in devices_with_half() {
        let mixed = || trainer(&*device).precision(Precision::Mixed);
        let (losses, weights) = train(mixed(), 120);
        assert!(halved(&losses), "{losses:?}");
        for (mixed, single) in losses.iter().zip(&single[..10]) {
            assert!((mixed - single).abs() < 1e-2 * single, "{losses:?}\n{single:?}");
        }
        assert_eq!(bits(&weights), bits(&train(mixed(), 120).1));

        let mut films =
            [Precision::F32, Precision::Mixed].map(|p| film_trainer(&*device).precision(p));
        for step in 0..10 {
            let [single, mixed] = films.each_mut().map(|trainer| {
                trainer.train_batch(&film_batch(step)).expect("a step");
                trainer.take_metrics().expect("metrics").loss
            });
            assert!((mixed - single).abs() < 1e-2 * single, "step {step}: {mixed}, not {single}");
        }
    }
}

#[test]
fn a_step_whose_gradients_overflow_is_left_out() {
    for device in devices_with_half() {
        let mut trainer = trainer(&*device).precision(Precision::Mixed);
        trainer.train_batch(&batch(0)).expect("a step");
        let mut state = trainer.state().expect("a state");
        let scale = state.tensors.iter_mut().find(|(name, _)| name == "loss_scale");
        let (_, scale) = scale.expect("the scale is part of the state");
        assert_eq!(scale.as_f32(), Ok(&[32768.0, 1.0][..]));
        *scale = HostTensor::from_f32([2], vec![1e30, 1.0]).expect("two numbers");
        trainer.restore(state.clone()).expect("its own state");
        trainer.train_batch(&batch(1)).expect("a step");
        for ((name, after), (_, before)) in
            trainer.state().expect("a state").tensors.iter().zip(&state.tensors)
        {
            match name.as_str() {
                "metrics" => {}
                "loss_scale" => assert_eq!(after.as_f32(), Ok(&[5e29, 0.0][..])),
                _ => assert_eq!(after.as_bytes(), before.as_bytes(), "{name}"),
            }
        }
    }
}
