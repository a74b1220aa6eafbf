//! What a device is told to do in one training step. After an intended change, look at the
//! difference and run `UPDATE_EXPECT=1 cargo test -p rnn-nn`.

use expect_test::expect_file;
use rnn_graph::{Command, Limits, Recording, Space, Storage};
use rnn_nn::{Dense, Dropout, Embedding, InputSpec, Layer, Lstm, Model, Optimizer, SimpleRnn};
use rnn_nn::{ModelError, Precision, Trainer};
use rnn_ops::Activation;

/// A training step of a model.
fn step(model: Result<Model, ModelError>, batch: usize, precision: Precision) -> Recording {
    let device = rnn_cpu::CpuDevice::new();
    let trainer = Trainer::new(model.expect("the layers fit"), &device, Optimizer::adam(), 1);
    let graph = trainer.precision(precision).training_graph(batch).expect("a graph");
    let limits = Limits { half: precision == Precision::Mixed, ..Limits::WEBGPU };
    Recording::new(&graph, &limits).expect("a recording")
}

/// The tutorial's model around a recurrent layer, in small.
fn recording(recurrent: impl Layer + 'static) -> Recording {
    let build = || -> Result<Model, ModelError> {
        Model::sequential(InputSpec::tokens([20]), 1)
            .add(Embedding::new(50, 8))?
            .add(Dropout::new(0.2))?
            .add(recurrent)?
            .add(Dense::new(1, Activation::Sigmoid))
    };
    step(build(), 16, Precision::F32)
}

#[test]
fn an_lstm_training_step() {
    let recording = recording(Lstm::new(16));
    expect_file!["snapshots/lstm.txt"].assert_eq(&recording.to_string());
}

#[test]
fn a_simple_rnn_training_step() {
    let recording = recording(SimpleRnn::new(16));
    expect_file!["snapshots/simple_rnn.txt"].assert_eq(&recording.to_string());
}

#[test]
fn values_move_only_at_the_ends_of_a_step() {
    let mut recording = recording(Lstm::new(16));
    let phase = |c: &Command| match c {
        Command::Upload(..) => 0,
        Command::Dispatch(_) => 1,
        Command::Download(..) => 2,
    };
    assert!(recording.commands.is_sorted_by_key(phase));
    let uploads = recording.commands.iter().filter(|c| phase(c) == 0).count();
    assert_eq!(uploads, 4, "tokens, labels, the key of dropout, the learning rate");
    assert!(recording.commands.iter().all(|c| phase(c) < 2), "a step reads nothing back");
    // The whole step, the optimizer included, whatever the length of the sequence.
    assert!(recording.dispatches().count() <= 32, "{recording}");

    let upload = recording.commands.remove(0);
    recording.commands.insert(8, upload);
    let message = recording.validate(&Limits::WEBGPU).expect_err("out of order").to_string();
    assert!(message.contains("between dispatches"), "{message}");
}

#[test]
fn parameters_and_their_slots_stay_on_the_device() {
    let device = rnn_cpu::CpuDevice::new();
    let model =
        Model::sequential(InputSpec::floats([3]), 1).add(Dense::new(1, Activation::Sigmoid));
    let trainer = Trainer::new(model.expect("a layer"), &device, Optimizer::adam(), 1);
    let graph = trainer.training_graph(2).expect("a graph");
    let residents = graph.tensors().filter(|(_, t)| t.storage == Storage::Resident);
    let mut names: Vec<&str> = residents.map(|(_, t)| t.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["gradients", "metrics", "parameters", "slot_0", "slot_1"]);
}

#[test]
fn the_arena_is_smaller_than_what_passes_through_it() {
    let recording = recording(Lstm::new(16));
    let arena: usize = recording.plan.blocks.iter().sum();
    let written: usize = recording
        .dispatches()
        .flat_map(|d| &d.bindings)
        .filter(|b| matches!(b.region.space, Space::Arena(_)))
        .filter(|b| b.access == rnn_graph::Access::ReadWrite)
        .map(|b| b.region.len)
        .sum();
    assert!(4 * arena < 3 * written, "{arena} elements for {written}");
}

/// PyTorch's memory grew by 515 MB in the same step (`bench/peers`, CPU).
#[test]
fn the_tutorials_lstm_trains_in_half_of_pytorchs_memory() {
    let build = || -> Result<Model, ModelError> {
        Model::sequential(InputSpec::tokens([500]), 1)
            .add(Embedding::new(5000, 32))?
            .add(Lstm::new(128))?
            .add(Dense::new(1, Activation::Sigmoid))
    };
    let arena = |precision| {
        let recording = step(build(), 128, precision);
        assert!(recording.dispatches().count() <= 40, "{recording}");
        recording.plan.arena_bytes()
    };
    let [single, mixed] = [Precision::F32, Precision::Mixed].map(arena);
    println!("{single} bytes of arena, {mixed} in mixed precision");
    assert!(2 * single <= 515_000_000, "{single} bytes");
    assert!(9 * mixed <= 5 * single, "{mixed} bytes");
}
