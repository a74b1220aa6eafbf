use super::{BATCH, SHARED, STEPS, along, in_blocks, normal, uniform};
use crate::recurrent::scan_samples;
use crate::{
    Activation, Case, ConvLstm, ConvLstmBackward, ConvLstmExtents, Gru, GruBackward, Lstm,
    LstmBackward, LstmGates, Padding, Pixels, RowAxis, Sample, ScanInputs, SimpleRnn,
    SimpleRnnBackward, Windows,
};

/// Keras's default activations of an LSTM: tanh, and sigmoid for the gates i, f and o.
pub const GATES: LstmGates =
    LstmGates { activation: Activation::Tanh, recurrent_activation: Activation::Sigmoid };
const PLAIN: ScanInputs = ScanInputs { state: false, mask: false, dropout: false };
const ALL: ScanInputs = ScanInputs { state: true, mask: true, dropout: true };

/// Extents of a recurrence of [`BATCH`] rows.
#[derive(Clone, Copy)]
struct Size {
    steps: usize,
    hidden: usize,
    /// Distinct rows, which the reference computes.
    distinct: usize,
    /// Rows on an emulated graphics API.
    on_software: usize,
}

const SIZES: [Size; 4] = [
    Size { steps: STEPS, hidden: 128, distinct: 5, on_software: 12 },
    Size { steps: STEPS, hidden: 32, distinct: 5, on_software: BATCH },
    Size { steps: 20, hidden: 300, distinct: 5, on_software: 12 },
    Size { steps: 20, hidden: 1024, distinct: 3, on_software: 6 },
];

impl Size {
    fn name(self, op: &str, inputs: ScanInputs) -> String {
        format!("{op} T {} B {BATCH} H {}{inputs}", self.steps, self.hidden)
    }

    fn sequence(self, gates: usize) -> [usize; 3] {
        [self.steps, self.distinct, gates * self.hidden]
    }

    /// Samples weights with which the state neither vanishes nor explodes.
    fn matrix(self, shape: [usize; 2]) -> Sample {
        let bound = 1.0 / (self.hidden as f32).sqrt();
        uniform(&shape, -bound, bound)
    }

    fn recurrent(self, gates: usize) -> Sample {
        self.matrix([self.hidden, gates * self.hidden])
    }

    fn transposed(self, gates: usize) -> Sample {
        self.matrix([gates * self.hidden, self.hidden])
    }

    /// Returns a case whose operands after those of `axes` are sequences, states, masks and
    /// factors, all with their rows along the second axis.
    fn case(self, case: Case, axes: &[Option<RowAxis>], outputs: usize) -> Case {
        let mut inputs = axes.to_vec();
        inputs.resize(case.inputs.len(), along(1));
        // Rounding errors of a step decay with its state: the result is as exact as that of a few
        // steps.
        case.tolerance(1e-5).rows([BATCH, self.on_software], &inputs, &vec![along(1); outputs])
    }

    fn optional(self, inputs: ScanInputs, states: usize, gates: usize) -> Vec<Sample> {
        scan_samples(inputs, [states, self.steps, self.distinct, self.hidden], gates)
    }
}

fn lstm(size: Size, inputs: ScanInputs) -> [Case; 2] {
    let op = Lstm { gates: GATES, inputs };
    let mut samples = vec![normal(&size.sequence(4)), size.recurrent(4)];
    samples.extend(size.optional(inputs, 2, 4));
    let forward = Case::new(size.name("lstm", inputs), op.clone(), samples);
    let mut samples = vec![
        uniform(&size.sequence(4), 0.0, 1.0),
        size.transposed(4),
        uniform(&size.sequence(1), -1.0, 1.0),
    ];
    samples.extend(size.optional(ScanInputs { state: false, ..inputs }, 2, 4));
    samples.push(normal(&size.sequence(1)));
    samples.extend(inputs.state.then(|| normal(&[2, size.distinct, size.hidden])));
    let op = LstmBackward { forward: op, d_hidden: true, d_last: inputs.state };
    let backward = Case::new(size.name("lstm backward", inputs), op, samples);
    [(forward, 4), (backward, 2)]
        .map(|(case, outputs)| size.case(case, &[along(1), SHARED], outputs))
}

fn gru(size: Size, reset_after: bool, inputs: ScanInputs) -> [Case; 2] {
    let (activation, recurrent_activation) = (Activation::Tanh, Activation::Sigmoid);
    let op = Gru { activation, recurrent_activation, reset_after, bias: reset_after, inputs };
    let kind = if reset_after { "after" } else { "before" };
    let mut samples = vec![normal(&size.sequence(3)), size.recurrent(3)];
    samples.extend(reset_after.then(|| normal(&[3 * size.hidden])));
    let mut axes = vec![along(1)];
    axes.resize(samples.len(), SHARED);
    samples.extend(size.optional(inputs, 1, 3));
    let name = size.name(&format!("gru reset {kind}"), inputs);
    let forward = Case::new(name, op.clone(), samples);
    let mut samples =
        vec![size.transposed(3), uniform(&size.sequence(5), 0.1, 0.9), normal(&size.sequence(1))];
    samples.extend(size.optional(ScanInputs { state: false, ..inputs }, 1, 3));
    let name = size.name(&format!("gru backward reset {kind}"), inputs);
    let backward = Case::new(name, GruBackward(op), samples);
    [size.case(forward, &axes, 2), size.case(backward, &[SHARED], 3)]
}

fn simple_rnn(size: Size, inputs: ScanInputs) -> [Case; 2] {
    let op = SimpleRnn { activation: Activation::Tanh, inputs };
    let mut samples = vec![normal(&size.sequence(1)), size.recurrent(1)];
    samples.extend(size.optional(inputs, 1, 1));
    let forward = Case::new(size.name("simple rnn", inputs), op.clone(), samples);
    let mut samples = vec![size.transposed(1), uniform(&size.sequence(1), -1.0, 1.0)];
    samples.extend(size.optional(ScanInputs { state: false, ..inputs }, 1, 1));
    samples.push(normal(&size.sequence(1)));
    samples.extend(inputs.state.then(|| normal(&[1, size.distinct, size.hidden])));
    let op = SimpleRnnBackward { forward: op, d_hidden: true, d_last: inputs.state };
    let backward = Case::new(size.name("simple rnn backward", inputs), op, samples);
    [size.case(forward, &[along(1), SHARED], 2), size.case(backward, &[SHARED], 2)]
}

/// A ConvLSTM over videos of `steps` frames; the items of a step are rows.
fn conv_lstm(
    steps: usize,
    extents: [usize; 3],
    filters: usize,
    inputs: ScanInputs,
    on_software: usize,
) -> Vec<Case> {
    let items = 3;
    let shapes = [(1, 1, 1), (3, 1, 1), (3, 1, 1)];
    let Some(windows) = Windows::over(extents, shapes, Padding::Same, false) else {
        return vec![];
    };
    let e = ConvLstmExtents { step: Pixels { items, extents, leading: false }, filters };
    let shape = |times, channels| e.ty(times, channels).dims().to_vec();
    let sequence = in_blocks(0, steps);
    // Most taps of the kernel lie within the frame; the state neither vanishes nor explodes.
    let bound = 0.4 / (filters as f32).sqrt();
    let kernel = uniform(&[windows.taps(), filters, 4 * filters], -bound, bound);
    let unmasked = (0..steps * items).map(|i| u32::from(i % 4 != 1)).collect();
    let mask = inputs.mask.then(|| Sample::Exactly(vec![steps, items], unmasked));
    let factors = inputs.dropout.then(|| Sample::Uniform(shape(4, filters), 0.0, 2.0));

    let mut forward = vec![Sample::Normal(shape(steps, 4 * filters)), kernel.clone()];
    forward.extend(inputs.state.then(|| Sample::Uniform(shape(2, filters), -1.0, 1.0)));
    let mut axes = vec![sequence, SHARED];
    axes.extend(inputs.state.then_some(in_blocks(0, 2)));
    let mut backward = vec![
        Sample::Uniform(shape(steps, 4 * filters), 0.0, 1.0),
        kernel,
        Sample::Uniform(shape(steps, filters), -1.0, 1.0),
    ];
    let mut back_axes = vec![sequence, SHARED, sequence];
    for (samples, axes) in [(&mut forward, &mut axes), (&mut backward, &mut back_axes)] {
        samples.extend(mask.clone());
        axes.extend(inputs.mask.then_some(along(1)));
        samples.extend(factors.clone());
        axes.extend(inputs.dropout.then_some(in_blocks(0, 4)));
    }
    backward.push(Sample::Normal(shape(steps, filters)));
    back_axes.push(sequence);
    backward.extend(inputs.state.then(|| Sample::Normal(shape(2, filters))));
    back_axes.extend(inputs.state.then_some(in_blocks(0, 2)));

    let op = ConvLstm { steps, windows, gates: GATES, inputs };
    let [_, height, width] = extents;
    let size = format!("T {steps} B {BATCH} {height}x{width} F {filters}{inputs}");
    let counts = [BATCH, on_software];
    let outputs = [sequence, sequence, sequence, in_blocks(0, 2)];
    let back = ConvLstmBackward { forward: op.clone(), d_hidden: true, d_last: inputs.state };
    vec![
        Case::new(format!("conv_lstm {size}"), op, forward)
            .tolerance(1e-5)
            .rows(counts, &axes, &outputs),
        Case::new(format!("conv_lstm backward {size}"), back, backward).tolerance(1e-5).rows(
            counts,
            &back_axes,
            &[sequence, in_blocks(0, 2)],
        ),
    ]
}

/// Returns the cases of [`Tier::Full`](crate::Tier::Full) of the recurrent ops: [`Lstm`], [`Gru`],
/// [`SimpleRnn`], [`ConvLstm`] and their gradients.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, size) in SIZES.into_iter().enumerate() {
        cases.extend(lstm(size, PLAIN));
        cases.extend(gru(size, true, PLAIN));
        cases.extend(simple_rnn(size, PLAIN));
        // Every optional input, once per number of steps: in one launch and step by step.
        if i % 2 == 1 {
            cases.extend(lstm(size, ALL));
            cases.extend(gru(size, true, ALL));
            cases.extend(simple_rnn(size, ALL));
            cases.extend(gru(size, false, ALL));
        }
    }
    // In half precision, factors and stored values have an error of half of 2^-10.
    let [forward, backward] = lstm(SIZES[0], PLAIN);
    cases.push(forward.half(&[0]).tolerance(2e-3).named(" half"));
    cases.push(backward.half(&[0, 2, 3]).tolerance(4e-3).named(" half"));
    cases.extend(conv_lstm(STEPS, [1, 3, 4], 8, PLAIN, 12));
    cases.extend(conv_lstm(40, [1, 5, 4], 40, ALL, 12));
    cases.extend(conv_lstm(5, [1, 3, 3], 128, PLAIN, 12));
    cases
}
