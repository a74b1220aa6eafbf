use crate::cell_kernels::{CellKernels, Direction, Scan};
use crate::common::{ensure, nested};
use crate::scan::{
    Extents, ScanInputs, extents, places, recurrent_gradient, scan_samples, takes_part,
};
use crate::{Activation, Case, Definition, LstmGates, Sample, TransposeLeading};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, InPlace, Io, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId,
    TensorType, Work,
};

pub static KERNELS: CellKernels = cell_kernels!("lstm" and half, gates: 4, carry: 2, include_str!("../../../shaders/lstm_cell.wgsl"));

/// A long short-term memory over a whole sequence (keras/src/layers/rnn/lstm.py), gates in
/// Keras's order i, f, c, o:
///
/// ```text
/// z_g(t) = x_g(t) + (h(t-1) d_g) U_g                  for each gate g, d its dropout factors
/// i, f, o = recurrent_activation(z_i, z_f, z_o),  g = activation(z_c)
/// c(t) = f c(t-1) + i g
/// h(t) = o activation(c(t))
/// ```
///
/// Where a row is masked at t, h(t) = h(t-1) and c(t) = c(t-1).
///
/// Inputs: x `[T, B, 4H]`, already projected and biased; U `[H, 4H]`; then of [`ScanInputs`] what
/// there is, the state `[2, B, H]` being h, then c. Outputs: h `[T, B, H]`; what the backward pass
/// needs, the gates i, f, g, o as they are without the mask, `[T, B, 4H]`, into which x turns, and
/// c(t-1) `[T, B, H]`; and the final state `[2, B, H]`. Gradients flow through h and the final
/// state. Sequences may be of half precision, all of them; sums and the state are not.
#[derive(Clone, Debug)]
pub struct Lstm {
    /// The gates.
    pub gates: LstmGates,
    /// What it takes besides x and U.
    pub inputs: ScanInputs,
}

impl Definition for Lstm {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(Extents { steps, batch, hidden }) = extents(&io.signature.inputs[0], 4) else {
            return;
        };
        let u = io.input(1);
        let [state, mask, dropout] = self.inputs.places(2);
        let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
        let mask = mask.map(|p| io.uints(p));
        let [h, gates, c, last] = io.outputs();
        let per_step = batch * hidden;
        match state {
            Some(state) => last.copy_from_slice(state),
            None => last.fill(F::zero()),
        }
        let (h_last, c_last) = last.split_at_mut(per_step);
        for t in 0..steps {
            let h_before = h_last.to_vec();
            for e in 0..per_step {
                let (row, j) = (e / hidden, e % hidden);
                let z = [0, 1, 2, 3].map(|gate| {
                    let column = gate * hidden + j;
                    let seen = |k: usize| {
                        let at = row * hidden + k;
                        h_before[at] * dropout.map_or(F::one(), |d| d[gate * per_step + at])
                    };
                    let product: F =
                        (0..hidden).map(|k| seen(k) * u[k * 4 * hidden + column]).sum();
                    gates[(t * batch + row) * 4 * hidden + column] + product
                });
                let values = self.gates.values(z);
                for (gate, value) in values.into_iter().enumerate() {
                    gates[((t * batch + row) * 4 + gate) * hidden + j] = value;
                }
                c[t * per_step + e] = c_last[e];
                if takes_part(mask, t * batch + row) {
                    [h_last[e], c_last[e]] = self.gates.step(values, c_last[e]);
                }
                h[t * per_step + e] = h_last[e];
            }
        }
    }
}

impl Op for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn in_place(&self) -> Option<InPlace> {
        Some(InPlace { input: 0, output: 1 })
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        ensure(inputs.len() >= 2, || "it takes x and U".into())?;
        let Extents { steps, batch, hidden } = extents(&inputs[0], 4)?;
        ensure(inputs[1].dims() == [hidden, 4 * hidden], || {
            format!("U is {}, not [{hidden}x{}]", inputs[1], 4 * hidden)
        })?;
        self.inputs.check(inputs, 2, [2, batch, hidden], (steps, 4))?;
        let sequence = TensorType::f32([steps, batch, hidden]).of(inputs[0].dtype);
        let last = TensorType::f32([2, batch, hidden]);
        Ok(vec![sequence.clone(), inputs[0].clone(), sequence, last])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let scan = Scan {
            direction: Direction::Forward,
            extents: extents(&s.inputs[0], 4)?,
            dropout: self.inputs.dropout,
            half: s.inputs[0].dtype == DType::F16,
        };
        let places = self.inputs.places(2);
        let bind = |launch| self.gates.bind_forward(launch, places);
        KERNELS.work(scan, Operand::Input(1), limits, bind)
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let (&[d_hidden, None, None, d_last], &[hidden, gates, c, _]) =
            (gradients, &operands.outputs[..])
        else {
            return Err(OpError::NotDifferentiable);
        };
        let [state, mask, dropout] =
            self.inputs.places(2).map(|place| place.map(|p| operands.inputs[p]));
        let u_transposed = graph.apply(TransposeLeading, &[operands.inputs[1]]).map_err(nested)?;
        let mut inputs = vec![gates, u_transposed, c];
        inputs.extend([mask, dropout, d_hidden, d_last].into_iter().flatten());
        let op = LstmBackward {
            forward: self.clone(),
            d_hidden: d_hidden.is_some(),
            d_last: d_last.is_some(),
        };
        let result = graph.push(op, &inputs).map_err(nested)?;
        let d_recurrent = recurrent_gradient(graph, hidden, result[0], state, dropout)?;
        let mut all = vec![Some(result[0]), Some(d_recurrent)];
        all.extend(state.map(|_| Some(result[1])));
        all.resize(operands.inputs.len(), None);
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (x, u) = (s.inputs[0].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * x * u + 10 * s.outputs[2].len() as u64, bytes: s.bytes() }
    }
}

/// The gradients of z and of the initial state, from the last step to the first:
///
/// ```text
/// c(t) = f c(t-1) + i g
/// dh += d_hidden(t),  dc += dh o act'(c)
/// dz_i = dc g rec'(i), dz_f = dc c(t-1) rec'(f), dz_c = dc i act'(g), dz_o = dh act(c) rec'(o)
/// dh(t-1) = sum over gates g of d_g (dz_g U_g^T),  dc(t-1) = dc f
/// ```
///
/// Where a row is masked, dz = 0 and dh, dc stay.
///
/// Inputs: the gates `[T, B, 4H]`, U transposed `[4H, H]`, c(t-1) `[T, B, H]`, then those that there
/// are of: mask, dropout factors, the gradient of h `[T, B, H]`, that of the final state
/// `[2, B, H]`. Outputs: dz `[T, B, 4H]`, into which the gates turn and which is the gradient of x,
/// and that of the initial state `[2, B, H]`.
#[derive(Clone, Debug)]
pub struct LstmBackward {
    /// The op that is differentiated.
    pub forward: Lstm,
    /// Whether the sequence of h has a gradient.
    pub d_hidden: bool,
    /// Whether the final state has a gradient.
    pub d_last: bool,
}

impl LstmBackward {
    /// The places of mask, dropout, d_hidden and d_last.
    pub fn optional(&self) -> [Option<usize>; 4] {
        let ScanInputs { mask, dropout, .. } = self.forward.inputs;
        places(3, [mask, dropout, self.d_hidden, self.d_last])
    }
}

impl Definition for LstmBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(Extents { steps, batch, hidden }) = extents(&io.signature.inputs[0], 4) else {
            return;
        };
        let (ut, c) = (io.input(1), io.input(2));
        let [mask, rest @ ..] = self.optional();
        let mask = mask.map(|p| io.uints(p));
        let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
        let [dz, d_state] = io.outputs();
        let per_step = batch * hidden;
        match d_last {
            Some(given) => d_state.copy_from_slice(given),
            None => d_state.fill(F::zero()),
        }
        let (dh, dc) = d_state.split_at_mut(per_step);
        for t in (0..steps).rev() {
            for e in 0..per_step {
                let (row, j) = (e / hidden, e % hidden);
                let place = t * batch + row;
                let values = [0, 1, 2, 3].map(|gate| dz[(place * 4 + gate) * hidden + j]);
                dh[e] = dh[e] + d_hidden.map_or(F::zero(), |d| d[t * per_step + e]);
                let mut dz_gates = [F::zero(); 4];
                if takes_part(mask, place) {
                    let c_before = c[t * per_step + e];
                    (dz_gates, dc[e]) = self.forward.gates.back(values, c_before, [dh[e], dc[e]]);
                }
                for (gate, value) in dz_gates.into_iter().enumerate() {
                    dz[(place * 4 + gate) * hidden + j] = value;
                }
            }
            for e in 0..per_step {
                let (row, j) = (e / hidden, e % hidden);
                if takes_part(mask, t * batch + row) {
                    let from = (t * batch + row) * 4 * hidden;
                    let factor =
                        |k: usize| dropout.map_or(F::one(), |d| d[k / hidden * per_step + e]);
                    dh[e] = (0..4 * hidden)
                        .map(|k| factor(k) * dz[from + k] * ut[k * hidden + j])
                        .sum();
                }
            }
        }
    }
}

impl Op for LstmBackward {
    fn name(&self) -> &'static str {
        "lstm_backward"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn in_place(&self) -> Option<InPlace> {
        Some(InPlace { input: 0, output: 0 })
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = 3 + self.optional().iter().flatten().count();
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let Extents { steps, batch, hidden } = extents(&inputs[0], 4)?;
        ensure(inputs[1].dims() == [4 * hidden, hidden], || format!("U^T is {}", inputs[1]))?;
        let sequence = TensorType::f32([steps, batch, hidden]).of(inputs[0].dtype);
        ensure(inputs[2] == sequence, || format!("c is {}, not {sequence}", inputs[2]))?;
        if let Some(d_hidden) = self.optional()[2].map(|place| &inputs[place]) {
            ensure(*d_hidden == sequence, || format!("the gradient of h is {d_hidden}"))?;
        }
        Ok(vec![inputs[0].clone(), TensorType::f32([2, batch, hidden])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let scan = Scan {
            direction: Direction::Backward,
            extents: extents(&s.inputs[0], 4)?,
            dropout: self.forward.inputs.dropout,
            half: s.inputs[0].dtype == DType::F16,
        };
        let bind = |launch| self.forward.gates.bind_backward(launch, self.optional());
        KERNELS.work(scan, Operand::Input(1), limits, bind)
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (rows, u) = (s.inputs[0].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * rows * u + 8 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

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
    cases.extend(half_cases());
    // Step by step.
    for inputs in [plain, full] {
        let (t, b, h) = (3, 5, 258);
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

/// Sequences of half precision: in one launch and step by step. What is stored has an error of half
/// of 2^-10, and so have the factors of the products, which add up to sums of a few.
fn half_cases() -> Vec<Case> {
    let plain = ScanInputs::default();
    let full = ScanInputs { state: true, mask: true, dropout: true };
    let mut cases = Vec::new();
    for (inputs, [t, b, h]) in [(plain, [4, 5, 7]), (full, [3, 6, 40]), (full, [3, 5, 258])] {
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
