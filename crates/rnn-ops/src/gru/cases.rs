use crate::recurrent::scan_samples;
use crate::{Activation, Case, Gru, GruBackward, Sample, ScanInputs};

/// Returns the test cases of [`Gru`] and [`GruBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let full = ScanInputs { state: true, mask: true, dropout: true };
    let mut cases = Vec::new();
    for reset_after in [true, false] {
        let usual = (Activation::Tanh, Activation::Sigmoid);
        let sizes = [
            (ScanInputs::default(), [1, 1, 1]),
            (ScanInputs::default(), [5, 6, 33]),
            (ScanInputs { mask: true, ..ScanInputs::default() }, [6, 5, 7]),
            (full, [6, 5, 7]),
            (full, [4, 3, 40]),
            // With two threads to a unit.
            (full, [3, 5, 130]),
            // Step by step.
            (ScanInputs::default(), [2, 3, 259]),
            (full, [3, 3, 259]),
        ];
        let others = [
            (Activation::Elu, Activation::Softsign),
            // They keep their input.
            (Activation::Gelu, Activation::Silu),
            (Activation::Mish, Activation::HardSilu),
        ];
        let sizes = sizes.into_iter().map(|size| (usual, size));
        let others = others.into_iter().map(|activations| (activations, (full, [4, 3, 10])));
        for (activations, (inputs, [steps, batch, hidden])) in sizes.chain(others) {
            let (activation, recurrent_activation) = activations;
            let weight = if hidden > 100 { 0.1 } else { 0.5 };
            let op =
                Gru { activation, recurrent_activation, reset_after, bias: reset_after, inputs };
            let mut samples = vec![
                Sample::Normal(vec![steps, batch, 3 * hidden]),
                Sample::Uniform(vec![hidden, 3 * hidden], -weight, weight),
            ];
            samples.extend(reset_after.then(|| Sample::Normal(vec![3 * hidden])));
            samples.extend(scan_samples(inputs, [1, steps, batch, hidden], 3));
            let kind = if reset_after { "reset after" } else { "reset before" };
            let mut wrt = vec![0, 1];
            wrt.extend(reset_after.then_some(2));
            wrt.extend(op.places(2)[1]);
            let (act, rec) = (activation.name(), recurrent_activation.name());
            let functions =
                if activations == usual { String::new() } else { format!(" {act} {rec}") };
            let name = format!("gru {kind} {steps}x{batch}x{hidden}{functions}{inputs}");
            // Sums of up to 40 terms, fed back through the state.
            let case = Case::new(name, op.clone(), samples).tolerance(1e-5);
            cases.push(if hidden > 100 { case } else { case.gradient(&wrt) });
            let mut back = vec![
                Sample::Uniform(vec![3 * hidden, hidden], -weight, weight),
                Sample::Uniform(vec![steps, batch, 5 * hidden], 0.1, 0.9),
                Sample::Normal(vec![steps, batch, hidden]),
            ];
            let others = ScanInputs { state: false, ..inputs };
            back.extend(scan_samples(others, [1, steps, batch, hidden], 3));
            let name = format!("gru_backward {kind} {steps}x{batch}x{hidden}{functions}{inputs}");
            cases.push(Case::new(name, GruBackward(op), back).tolerance(1e-5));
        }
    }
    cases
}
