//! A NaN or an infinity in any float input of any op comes out where the definition has it.

use rnn_core::{DType, Data, HostTensor};
use rnn_graph::Device;
use rnn_ops::{Case, Sample};
use rnn_verify::{NotPassed, Trial};
use rnn_wgpu::{Options, WgpuDevice, adapters};
use std::collections::HashMap;

const PLANTED: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// The samples of a case with their drawn values fixed.
fn fixed(tensor: &HostTensor) -> Sample {
    let shape = tensor.shape().dims().to_vec();
    match tensor.data() {
        Data::F32(values) => Sample::Floats(shape, values.clone()),
        Data::U32(values) => Sample::Exactly(shape, values.clone()),
    }
}

/// Versions of a case with one element of one float operand replaced.
fn planted(case: &Case, values: &[f32]) -> Vec<Case> {
    let (inputs, updates) = case.draw();
    let mut all = Vec::new();
    let operands = inputs.iter().chain(&updates);
    for (operand, tensor) in operands.enumerate().filter(|(_, t)| t.dtype() == DType::F32) {
        for (n, value) in values.iter().enumerate() {
            let mut case = case.clone();
            case.inputs = inputs.iter().map(fixed).collect();
            case.updates = updates.iter().map(fixed).collect();
            let samples = case.inputs.iter_mut().chain(&mut case.updates);
            let Some(Sample::Floats(_, floats)) = samples.into_iter().nth(operand) else { continue };
            let at = floats.len() * (2 * n + 1) / 6;
            let Some(float) = floats.get_mut(at) else { continue };
            *float = *value;
            case.name = format!("{}, operand {operand}[{at}] = {value}", case.name);
            all.push(case);
        }
    }
    all
}

fn check(device: &dyn Device) {
    let mut failures = Vec::new();
    let (mut checked, mut of_op) = (0, HashMap::new());
    for case in &rnn_ops::suite() {
        // All values for the first cases of an op, one for each of the others.
        let seen = of_op.entry(case.op.name()).or_insert(0usize);
        *seen += 1;
        let values = if *seen <= 2 { &PLANTED[..] } else { &PLANTED[*seen % 3..][..1] };
        for planted in planted(case, values) {
            let trial = Trial::new(&planted).expect("the case is sound");
            let spreads = case.op.name().starts_with("conv");
            match trial.run(device).and_then(|got| trial.judge_not_finite(&got, spreads)) {
                Ok(()) => checked += 1,
                Err(NotPassed::Skipped(_)) => {}
                Err(NotPassed::Failed(why)) => failures.push(format!("{}: {why}", planted.name)),
            }
        }
    }
    println!("{}: {checked} planted values came out where they should", device.info());
    assert!(failures.is_empty(), "{}: {} failures\n{}", device.info(), failures.len(), failures.join("\n"));
    assert!(checked > 1000, "{checked}");
}

#[test]
fn what_is_not_finite_comes_out_where_it_should_on_the_cpu() {
    check(&rnn_cpu::CpuDevice::new());
}

#[test]
fn what_is_not_finite_comes_out_where_it_should_on_every_adapter() {
    let all = adapters();
    if all.is_empty() {
        assert!(std::env::var_os("RNN_GPU_REQUIRE_GPU").is_none(), "no adapter");
        println!("SKIPPED what_is_not_finite_comes_out_where_it_should_on_every_adapter: no adapter");
    }
    for adapter in &all {
        check(&WgpuDevice::open(adapter, Options::default()).expect("the adapter opens"));
    }
}
