//! What a software GPU computes is what the CPU device computes, at the sizes that people train.

mod common;

use common::{Sandbox, case, success};
use rnn_formats::npy;
use std::path::Path;

/// The last state of a GRU lies at an unaligned offset of its sequence.
#[test]
fn a_gru_whose_last_state_is_a_view_predicts() {
    if rnn_testing::adapters().is_empty() {
        return;
    }
    let Some(model) = case("gru_gpu.keras") else { return };
    let Some(input) = case("x_7_9_4.npy") else { return };
    let sandbox = Sandbox::new();
    let [cpu, gpu] = ["cpu", "gpu"].map(|device| {
        let out = sandbox.path(&format!("{device}.npy"));
        success(&["predict", &model, "--input", &input, "--output", &out, "--device", device]);
        let values = npy::read(Path::new(&out)).expect("an array").to_f32().expect("floats");
        values.as_f32().expect("floats").to_vec()
    });
    let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-6;
    assert!(cpu.len() == gpu.len() && !cpu.iter().zip(&gpu).any(far), "{cpu:?} {gpu:?}");
}
