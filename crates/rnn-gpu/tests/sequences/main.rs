//! Sequences through the command: masks and weights of steps, and states that go on from batch to
//! batch.

#[path = "../common/mod.rs"]
mod common;
mod masks;
mod states;

use common::{FAILED, failure_with, json_of, npy_bytes, success};
use rnn_core::HostTensor;

const EXAMPLES: usize = 12;
const STEPS: usize = 5;

fn floats(shape: &[usize], values: Vec<f32>) -> Vec<u8> {
    npy_bytes(HostTensor::from_f32(shape, values))
}

fn train(model: &str, data: &str, out: &str, more: &[&str]) -> Vec<String> {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

fn succeeds(args: &[String]) -> String {
    success(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn fails(args: &[String]) -> String {
    failure_with(FAILED, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Losses of the epochs of a run.
fn losses(run: &str) -> Vec<f64> {
    let history = json_of(run, "history.json");
    let epochs = history["epochs"].as_array().expect("epochs");
    epochs.iter().map(|epoch| epoch["train"]["loss"].as_f64().expect("a loss")).collect()
}
