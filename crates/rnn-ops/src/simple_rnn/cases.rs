use crate::recurrent::scan_samples;
use crate::{Activation, Case, Sample, ScanInputs, SimpleRnn, SimpleRnnBackward, Tier};

/// Returns the test cases of [`SimpleRnn`] and [`SimpleRnnBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let plain = ScanInputs::default();
    let full = ScanInputs { state: true, mask: true, dropout: true };
    for (activation, with) in [
        (Activation::Tanh, plain),
        (Activation::Tanh, full),
        (Activation::Relu, ScanInputs { state: true, ..plain }),
        (Activation::Tanh, ScanInputs { mask: true, ..plain }),
        (Activation::Softplus, plain),
        // They keep their input.
        (Activation::Gelu, plain),
        (Activation::Silu, full),
    ] {
        for (t, b, h) in [(1, 1, 1), (3, 5, 7), (4, 2, 33)] {
            let mut inputs =
                vec![Sample::Normal(vec![t, b, h]), Sample::Uniform(vec![h, h], -0.4, 0.4)];
            let differentiable: Vec<usize> = (0..2 + usize::from(with.state)).collect();
            inputs.extend(scan_samples(with, [1, t, b, h], 1));
            let name = format!("simple rnn {t}x{b}x{h} {}{with}", activation.name());
            let case = Case::new(name, SimpleRnn { activation, inputs: with }, inputs);
            cases.push(case.gradient(&differentiable).through(&[0, 1]).tolerance(1e-5));
        }
    }
    let backward = |inputs, d_hidden, d_last, [t, b, h]: [usize; 3]| {
        let forward = SimpleRnn { activation: Activation::Tanh, inputs };
        let op = SimpleRnnBackward { forward, d_hidden, d_last };
        let mut samples =
            vec![Sample::Uniform(vec![h, h], -0.2, 0.2), Sample::Uniform(vec![t, b, h], -1.0, 1.0)];
        let inner = ScanInputs { state: false, ..inputs };
        samples.extend(scan_samples(inner, [1, t, b, h], 1));
        samples.extend(d_hidden.then(|| Sample::Normal(vec![t, b, h])));
        samples.extend(d_last.then(|| Sample::Normal(vec![1, b, h])));
        let name = format!("simple rnn backward {t}x{b}x{h}{inner} {d_hidden} {d_last}");
        Case::new(name, op, samples).tolerance(1e-5)
    };
    for (inputs, d_hidden, d_last) in
        [(plain, true, true), (plain, true, false), (full, false, true), (full, true, true)]
    {
        cases.push(backward(inputs, d_hidden, d_last, [3, 6, 40]));
    }
    let forward = SimpleRnn { activation: Activation::Gelu, inputs: plain };
    let op = SimpleRnnBackward { forward, d_hidden: true, d_last: true };
    let samples = vec![
        Sample::Uniform(vec![40, 40], -0.2, 0.2),
        Sample::Uniform(vec![3, 6, 40], -4.0, 4.0),
        Sample::Normal(vec![3, 6, 40]),
        Sample::Normal(vec![1, 6, 40]),
    ];
    cases.push(Case::new("simple rnn backward gelu", op, samples).tolerance(1e-5));
    // The widest scan; then step by step.
    let sizes = [(2, 4, 256), (3, 5, 270)];
    for (inputs, (t, b, h)) in sizes.into_iter().flat_map(|size| [(plain, size), (full, size)]) {
        let mut samples =
            vec![Sample::Normal(vec![t, b, h]), Sample::Uniform(vec![h, h], -0.1, 0.1)];
        samples.extend(scan_samples(inputs, [1, t, b, h], 1));
        let op = SimpleRnn { activation: Activation::Tanh, inputs };
        let name = format!("simple rnn {t}x{b}x{h}{inputs}");
        cases.push(Case::new(name, op, samples).tolerance(1e-5));
        cases.push(backward(inputs, true, inputs.state, [t, b, h]));
    }
    // In half precision, factors and stored values have an error of half of 2^-10.
    for (with, [t, b, h]) in [(full, [3, 6, 40]), (full, [3, 5, 130]), (full, [3, 5, 270])] {
        let scale = 1.0 / (h as f32).sqrt();
        let mut samples =
            vec![Sample::Normal(vec![t, b, h]), Sample::Uniform(vec![h, h], -scale, scale)];
        samples.extend(scan_samples(with, [1, t, b, h], 1));
        let op = SimpleRnn { activation: Activation::Tanh, inputs: with };
        let name = format!("simple rnn half {t}x{b}x{h}{with}");
        cases.push(Case::new(name, op, samples).half(&[0]).tolerance(2e-3));
        let mut case = backward(with, true, true, [t, b, h]);
        case.name += " half";
        let half = [1, case.inputs.len() - 2];
        cases.push(case.half(&half).tolerance(4e-3));
    }
    let wide =
        vec![Sample::Normal(vec![2, 2, 4096]), Sample::Uniform(vec![4096, 4096], -0.02, 0.02)];
    let op = SimpleRnn { activation: Activation::Tanh, inputs: plain };
    cases.push(Case::new("simple rnn 2x2x4096", op, wide).tolerance(1e-5).tier(Tier::Standard));
    cases
}
