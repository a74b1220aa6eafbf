use crate::conv::{Pixels, Windows};
use crate::{
    Activation, Case, ConvLstm, ConvLstmBackward, ConvLstmExtents, LstmGates, Padding, Sample,
    ScanInputs,
};

/// Returns the test cases of [`ConvLstm`] and [`ConvLstmBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let all = ScanInputs { state: true, mask: true, dropout: true };
    let some = |state, mask, dropout| ScanInputs { state, mask, dropout };
    let mut cases = Vec::new();
    for (extents, items, filters, steps, sizes, inputs, activation) in [
        ([1, 1, 1], 1, 1, 1, [1, 1, 1], some(false, false, false), Activation::Tanh),
        ([1, 5, 4], 2, 3, 3, [1, 3, 3], some(false, false, false), Activation::Tanh),
        ([1, 5, 4], 2, 3, 3, [1, 3, 3], some(true, false, false), Activation::Tanh),
        ([1, 4, 3], 3, 2, 4, [1, 3, 2], some(false, true, false), Activation::Relu),
        ([1, 5, 4], 2, 3, 3, [1, 3, 3], some(false, false, true), Activation::Tanh),
        ([1, 1, 9], 2, 2, 3, [1, 1, 3], all, Activation::Tanh),
        ([3, 4, 3], 2, 2, 2, [3, 2, 3], all, Activation::Tanh),
        ([1, 3, 2], 2, 2, 2, [1, 3, 2], all, Activation::Gelu),
        ([1, 9, 9], 2, 17, 2, [1, 3, 3], some(true, false, false), Activation::Tanh),
    ] {
        let shapes = sizes.map(|size| (size, 1, 1));
        let Some(windows) = Windows::over(extents, shapes, Padding::Same, false) else { continue };
        let recurrent_activation = Activation::HardSigmoid;
        let gates = LstmGates { activation, recurrent_activation };
        let op = ConvLstm { steps, windows, gates, inputs };
        let step = Pixels { items, extents, leading: false };
        let e = ConvLstmExtents { step, filters };
        let shape = |times, channels| e.ty(times, channels).dims().to_vec();
        let scale = 1.0 / (filters as f32).sqrt();
        let kernel = vec![windows.taps(), filters, 4 * filters];
        let mut forward =
            vec![Sample::Normal(shape(steps, 4 * filters)), Sample::Uniform(kernel, -scale, scale)];
        // The last item is masked at every step.
        let unmasked = (0..steps * items).map(|i| u32::from(i % 3 != 1 && i % items + 1 < items));
        let mask = Sample::Exactly(vec![steps, items], unmasked.collect());
        forward.extend(inputs.state.then(|| Sample::Uniform(shape(2, filters), -1.0, 1.0)));
        forward.extend(inputs.mask.then(|| mask.clone()));
        forward.extend(inputs.dropout.then(|| Sample::Uniform(shape(4, filters), 0.0, 2.0)));
        let name = format!("{steps}x{items}x{extents:?}x{filters}{inputs}").replace(", ", "x");
        let sources: Vec<usize> = (0..2 + usize::from(inputs.state)).collect();
        cases.push(
            Case::new(format!("conv_lstm {name}"), op.clone(), forward.clone())
                .through(&[0, 3])
                .gradient(&sources),
        );
        let mut backward = vec![
            Sample::Uniform(shape(steps, 4 * filters), 0.0, 1.0),
            forward[1].clone(),
            Sample::Uniform(shape(steps, filters), -1.0, 1.0),
        ];
        backward.extend(inputs.mask.then_some(mask));
        backward.extend(inputs.dropout.then(|| Sample::Uniform(shape(4, filters), 0.0, 2.0)));
        backward.push(Sample::Normal(shape(steps, filters)));
        backward.extend(inputs.state.then(|| Sample::Normal(shape(2, filters))));
        let op = ConvLstmBackward { forward: op, d_hidden: true, d_last: inputs.state };
        let backward = Case::new(format!("conv_lstm backward {name}"), op, backward);
        if steps == 3 || filters == 17 {
            // Stored values and the factors of products have an error of half of 2^-10.
            let mut half = cases[cases.len() - 1].clone().half(&[0]).tolerance(2e-3);
            half.differentiable.clear();
            let d_hidden = backward.inputs.len() - 1 - usize::from(inputs.state);
            let back = backward.clone().half(&[0, 2, d_hidden]).tolerance(2e-3);
            cases.extend([half, back].map(|case| case.named(" half")));
        }
        cases.push(backward);
    }
    cases
}
