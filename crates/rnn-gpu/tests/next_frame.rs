//! The next-frame model: how much a training step launches; and that rolling out a film step by
//! step is exactly what running the whole film again each time gives.

use rnn::device;
use rnn::nn::{InputSpec, Model, Optimizer, Trainer};
use rnn_core::{HostTensor, Rng};
use rnn_graph::{Command, Limits, Recording};
use rnn_run::experiment::{Experiment, Preset, next_frame};
use rnn_run::rollout::predict;

const SIZE: usize = 8;

/// Weights of every kind, moving averages included, away from their first values.
fn shake(weights: Vec<(String, HostTensor)>) -> Vec<(String, HostTensor)> {
    let mut rng = Rng::new(3, 0);
    let mut shake = |tensor: HostTensor| {
        let shape = tensor.shape().clone();
        let values = tensor.as_f32().expect("floats").iter();
        let values = values.map(|&v| v + rng.uniform_in(0.0, 0.05) as f32).collect();
        HostTensor::from_f32(shape, values).expect("the same shape")
    };
    weights.into_iter().map(|(name, tensor)| (name, shake(tensor))).collect()
}

#[test]
fn steps_with_kept_states_equal_whole_runs() {
    const SEEN: usize = 3;
    const FRAMES: usize = 4;
    let preset = Preset::Keras2018;
    let whole = |frames: usize| {
        let start = Model::sequential(InputSpec::floats([frames, SIZE, SIZE, 1]), 2);
        next_frame::model(start, preset).expect("the layers fit")
    };
    let weights = shake(whole(1).weights().expect("weights"));
    let mut rng = Rng::new(4, 0);
    let seen: Vec<Vec<f32>> =
        (0..SEEN).map(|_| (0..SIZE * SIZE).map(|_| rng.uniform() as f32).collect()).collect();
    for device in device::open_all().expect("devices") {
        let trainer = |mut model: Model| {
            model.set_weights(&weights).expect("the same layers");
            Trainer::new(model, &*device, Optimizer::sgd(), 1)
        };
        let stepping = next_frame::stepping(SIZE, preset).expect("the layers fit");
        let got = predict(&mut trainer(stepping), &seen, FRAMES).expect("a rollout");
        let mut film = seen.clone();
        for _ in 0..FRAMES {
            let shape = [1, film.len(), SIZE, SIZE, 1];
            let input = HostTensor::from_f32(shape, film.concat()).expect("a film");
            let output = trainer(whole(film.len())).predict_batch(&[input]).expect("it runs");
            let all = output[0].as_f32().expect("floats");
            film.push(all[all.len() - SIZE * SIZE..].to_vec());
        }
        for (frame, (got, want)) in got.iter().zip(&film[SEEN..]).enumerate() {
            let error = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 1e-5, "frame {frame} on {}: {error}", device.info());
        }
    }
}

#[test]
fn a_training_step_of_the_tutorials_size_is_launched_at_once() {
    let experiment = Experiment::NextFrame;
    let model = experiment.model(experiment.input(), Preset::Keras2018, 1).expect("it fits");
    let device = rnn_cpu::CpuDevice::new();
    let optimizer = experiment.optimizer(Preset::Keras2018);
    let trainer = Trainer::new(model, &device, optimizer, 1).metric_sums(experiment.metric_sums());
    let graph = trainer.training_graph(10).expect("a graph");
    // Of the limits that WebGPU guarantees, tensors of 15 x 10 x 40 x 40 pixels exceed one.
    let limits = Limits { max_binding_bytes: 1 << 30, ..Limits::WEBGPU };
    let recording = Recording::new(&graph, &limits).expect("a recording");
    let count = recording.dispatches().count();
    assert!(count <= 700, "{count} launches");
    let downloads = recording.commands.iter().filter(|c| matches!(c, Command::Download(..)));
    assert_eq!(downloads.count(), 0, "a step reads nothing back");
}
