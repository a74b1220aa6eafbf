//! A NaN or an infinity in any float input of any op comes out where the definition has it.

use rnn_core::{DType, Data, HostTensor};
use rnn_graph::Device;
use rnn_ops::{Case, Sample};
use rnn_testing::{adapters, open};
use rnn_verify::{NotPassed, Trial};
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

/// Versions of a case with one element of one float operand replaced, and which operand.
fn planted(case: &Case, values: &[f32]) -> Vec<(usize, Case)> {
    let (inputs, updates) = case.draw();
    let mut all = Vec::new();
    let operands = inputs.iter().chain(&updates);
    for (operand, _) in operands.enumerate().filter(|(_, t)| t.dtype() == DType::F32) {
        for (n, value) in values.iter().enumerate() {
            let mut case = case.clone();
            case.inputs = inputs.iter().map(fixed).collect();
            case.updates = updates.iter().map(fixed).collect();
            let samples = case.inputs.iter_mut().chain(&mut case.updates);
            let Some(Sample::Floats(_, floats)) = samples.into_iter().nth(operand) else {
                continue;
            };
            let at = floats.len() * (2 * n + 1) / 6;
            let Some(float) = floats.get_mut(at) else { continue };
            *float = *value;
            case.name = format!("{}, operand {operand}[{at}] = {value}", case.name);
            all.push((operand, case));
        }
    }
    all
}

/// What a recurrence multiplies its states by: matrices and factors of dropout. Devices leave out the
/// product with a first state that is zero, and that of rows that a mask leaves out, of which the
/// definition has neither, or both: a NaN there has to come out somewhere; an infinity saturates
/// gates, but for its product with a zero.
fn scales_states(case: &Case, operand: usize) -> bool {
    let name = case.op.name();
    let Some(tensor) = case.inputs.get(operand) else { return false };
    let (Sample::Floats(shape, _) | Sample::Exactly(shape, _)) = tensor else { return false };
    let matrix = shape.len() == 2 || (name.starts_with("conv_lstm") && operand == 1);
    let recurrent = ["lstm", "gru", "simple_rnn", "conv_lstm"].iter().any(|r| name.starts_with(r));
    recurrent && (matrix || (case.name.contains("dropout") && operand >= 2))
}

/// Where more than the definition has may come out: convolutions multiply by zeros beyond the ends
/// and, by Winograd's filtering, what lies beside; and the CPU device divides two gates of an LSTM or a
/// GRU at once, of which one is no number and the other goes with it.
fn spreads(case: &Case) -> bool {
    let name = case.op.name();
    ["conv", "lstm", "gru"].iter().any(|op| name.starts_with(op))
}

fn steps(case: &Case) -> usize {
    case.draw().0.first().and_then(|x| x.shape().dims().first().copied()).unwrap_or(0)
}

fn judge(case: &Case, operand: usize, device: &dyn Device) -> Result<(), NotPassed> {
    let trial = Trial::new(case)?;
    let got = trial.run(device)?;
    let scales = scales_states(case, operand);
    let nan = case.name.ends_with("NaN") && steps(case) > 1;
    let seen = got.iter().any(|tensor| !tensor.is_finite());
    match trial.compare_not_finite(&got, spreads(case) || scales) {
        Err(_) if scales && (seen || !nan) => Ok(()),
        result => result,
    }
}

fn check(device: &dyn Device) {
    let mut failures = Vec::new();
    let (mut checked, mut of_op) = (0, HashMap::new());
    for case in &rnn_ops::suite() {
        // All values for the first cases of an op, one for each of the others.
        let seen = of_op.entry(case.op.name()).or_insert(0usize);
        *seen += 1;
        let values = if *seen <= 2 { &PLANTED[..] } else { &PLANTED[*seen % 3..][..1] };
        for (operand, planted) in planted(case, values) {
            match judge(&planted, operand, device) {
                Ok(()) => checked += 1,
                Err(NotPassed::Skipped(_)) => {}
                Err(NotPassed::Failed(why)) => failures.push(format!("{}: {why}", planted.name)),
            }
        }
    }
    println!("{}: {checked} planted values came out where they should", device.info());
    let count = failures.len();
    assert!(failures.is_empty(), "{}: {count} failures\n{}", device.info(), failures.join("\n"));
    assert!(checked > 1000, "{checked}");
}

#[test]
fn what_is_not_finite_comes_out_where_it_should_on_the_cpu() {
    check(&rnn_cpu::CpuDevice::new());
}

#[test]
fn what_is_not_finite_comes_out_where_it_should_on_every_adapter() {
    for adapter in &adapters() {
        check(&open(adapter));
    }
}
