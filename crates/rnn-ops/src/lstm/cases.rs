use crate::recurrent::scan_samples;
use crate::{Activation, Case, Lstm, LstmBackward, LstmGates, Sample, ScanInputs};

/// Returns the test cases of [`Lstm`] and [`LstmBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let lstm = |activation, recurrent_activation, inputs| Lstm {
        gates: LstmGates { activation, recurrent_activation },
        inputs,
    };
    let standard = |inputs| lstm(Activation::Tanh, Activation::Sigmoid, inputs);
    let plain = ScanInputs::default();
    let full = ScanInputs { state: true, mask: true, dropout: true };
    let hard = |gate, inputs| lstm(Activation::Tanh, gate, inputs);
    let variants = [
        standard(plain),
        standard(full),
        standard(ScanInputs { mask: true, ..plain }),
        standard(ScanInputs { dropout: true, ..plain }),
        hard(Activation::HardSigmoid, ScanInputs { state: true, ..plain }),
        hard(Activation::HardSigmoid2018, full),
        lstm(Activation::Relu, Activation::Sigmoid, ScanInputs { state: true, ..plain }),
        // Activations of which the value is kept, and some that keep their input.
        lstm(Activation::Elu, Activation::Softsign, full),
        lstm(Activation::Gelu, Activation::Silu, full),
        lstm(Activation::Mish, Activation::Sigmoid, plain),
        lstm(Activation::Tanh, Activation::HardSilu, plain),
    ];
    for op in variants {
        for (t, b, h) in [(1, 1, 1), (3, 5, 7), (4, 2, 33)] {
            let mut inputs =
                vec![Sample::Normal(vec![t, b, 4 * h]), Sample::Uniform(vec![h, 4 * h], -0.4, 0.4)];
            let differentiable: Vec<usize> = (0..2 + usize::from(op.inputs.state)).collect();
            inputs.extend(scan_samples(op.inputs, [2, t, b, h], 4));
            let (act, rec) = (op.gates.activation.name(), op.gates.recurrent_activation.name());
            let name = format!("lstm {t}x{b}x{h} {act} {rec}{}", op.inputs);
            let case =
                Case::new(name, op.clone(), inputs).gradient(&differentiable).through(&[0, 3]);
            cases.push(case.tolerance(1e-5));
        }
    }
    for (inputs, d_hidden, d_last) in
        [(plain, true, true), (plain, true, false), (full, false, true), (full, true, true)]
    {
        let (t, b, h) = (3, 6, 40);
        let op = LstmBackward { forward: standard(inputs), d_hidden, d_last };
        let mut samples = vec![
            Sample::Uniform(vec![t, b, 4 * h], 0.0, 1.0),
            Sample::Uniform(vec![4 * h, h], -0.2, 0.2),
            Sample::Uniform(vec![t, b, h], -1.0, 1.0),
        ];
        let inner = ScanInputs { state: false, ..inputs };
        samples.extend(scan_samples(inner, [2, t, b, h], 4));
        samples.extend(d_hidden.then(|| Sample::Normal(vec![t, b, h])));
        samples.extend(d_last.then(|| Sample::Normal(vec![2, b, h])));
        let name = format!("lstm backward{inner} {d_hidden} {d_last}");
        cases.push(Case::new(name, op, samples).tolerance(1e-5));
    }
    for (activation, recurrent_activation) in
        [(Activation::Gelu, Activation::Silu), (Activation::Selu, Activation::GeluTanh)]
    {
        let (t, b, h) = (3, 5, 12);
        let forward = lstm(activation, recurrent_activation, full);
        let op = LstmBackward { forward, d_hidden: true, d_last: true };
        let mut samples = vec![
            Sample::Uniform(vec![t, b, 4 * h], -3.0, 3.0),
            Sample::Uniform(vec![4 * h, h], -0.2, 0.2),
            Sample::Uniform(vec![t, b, h], -1.0, 1.0),
        ];
        samples.extend(scan_samples(ScanInputs { state: false, ..full }, [2, t, b, h], 4));
        samples.extend([Sample::Normal(vec![t, b, h]), Sample::Normal(vec![2, b, h])]);
        let name = format!("lstm backward {} {}", activation.name(), recurrent_activation.name());
        cases.push(Case::new(name, op, samples).tolerance(1e-5));
    }
    cases.extend(half_cases());
    // Scans whose threads load their weights in other groups: half a group, with two threads to a
    // unit, and the widest one; then step by step.
    let sizes = [(3, 5, 12), (3, 5, 130), (2, 4, 256), (3, 5, 258)];
    for (inputs, (t, b, h)) in sizes.into_iter().flat_map(|size| [(plain, size), (full, size)]) {
        let mut samples =
            vec![Sample::Normal(vec![t, b, 4 * h]), Sample::Uniform(vec![h, 4 * h], -0.1, 0.1)];
        samples.extend(scan_samples(inputs, [2, t, b, h], 4));
        let name = format!("lstm {t}x{b}x{h}{inputs}");
        cases.push(Case::new(name, standard(inputs), samples).tolerance(1e-5));
        let op = LstmBackward { forward: standard(inputs), d_hidden: true, d_last: inputs.state };
        let mut samples = vec![
            Sample::Uniform(vec![t, b, 4 * h], 0.0, 1.0),
            Sample::Uniform(vec![4 * h, h], -0.1, 0.1),
            Sample::Uniform(vec![t, b, h], -1.0, 1.0),
        ];
        let inner = ScanInputs { state: false, ..inputs };
        samples.extend(scan_samples(inner, [2, t, b, h], 4));
        samples.push(Sample::Normal(vec![t, b, h]));
        samples.extend(inputs.state.then(|| Sample::Normal(vec![2, b, h])));
        let name = format!("lstm backward {t}x{b}x{h}{inner}");
        cases.push(Case::new(name, op, samples).tolerance(1e-5));
    }
    cases
}

/// Sequences of half precision, in one launch and step by step. Stored values and the factors of
/// the products have an error of half of 2^-10; the products sum up to a few of them.
fn half_cases() -> Vec<Case> {
    let plain = ScanInputs::default();
    let full = ScanInputs { state: true, mask: true, dropout: true };
    let mut cases = Vec::new();
    let sizes = [(plain, [4, 5, 7]), (full, [3, 6, 40]), (full, [3, 5, 130]), (full, [3, 5, 258])];
    for (inputs, [t, b, h]) in sizes {
        let scale = 1.0 / (h as f32).sqrt();
        let gates =
            LstmGates { activation: Activation::Tanh, recurrent_activation: Activation::Sigmoid };
        let forward = Lstm { gates, inputs };
        let mut samples =
            vec![Sample::Normal(vec![t, b, 4 * h]), Sample::Uniform(vec![h, 4 * h], -scale, scale)];
        samples.extend(scan_samples(inputs, [2, t, b, h], 4));
        let name = format!("lstm half {t}x{b}x{h}{inputs}");
        cases.push(Case::new(name, forward.clone(), samples).half(&[0]).tolerance(2e-3));
        let op = LstmBackward { forward, d_hidden: true, d_last: true };
        let mut samples = vec![
            Sample::Uniform(vec![t, b, 4 * h], 0.0, 1.0),
            Sample::Uniform(vec![4 * h, h], -scale, scale),
            Sample::Uniform(vec![t, b, h], -1.0, 1.0),
        ];
        let inner = ScanInputs { state: false, ..inputs };
        samples.extend(scan_samples(inner, [2, t, b, h], 4));
        samples.push(Sample::Normal(vec![t, b, h]));
        samples.push(Sample::Normal(vec![2, b, h]));
        let half = [0, 2, samples.len() - 2];
        let name = format!("lstm backward half {t}x{b}x{h}{inner}");
        cases.push(Case::new(name, op, samples).half(&half).tolerance(2e-3));
    }
    cases
}
