use crate::cell_kernels::{CellKernels, Direction, Scan};
use crate::common::{dims, ensure};
use crate::scan::{
    ScanInputs, extents, optional_inputs, places, recurrent_gradient, scan_samples, takes_part,
};
use crate::{Activation, Case, Definition, Sample, Tier, TransposeLeading};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Io, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId, TensorType,
    Work,
};

pub static KERNELS: CellKernels = cell_kernels!(
    "simple_rnn" and half, gates: 1, carry: 1, rnn_shaders::simple_rnn::CELL);

/// A fully connected recurrent layer over a whole sequence (keras/src/layers/rnn/simple_rnn.py):
/// h(t) = activation(x(t) + (h(t-1) d) U), d the dropout factors; where a row is masked at t,
/// h(t) = h(t-1).
///
/// Inputs: x `[T, B, H]`, already projected and biased; U `[H, H]`; then of [`ScanInputs`] what
/// there is, the state being `[1, B, H]`. Outputs: h `[T, B, H]` and the final state `[1, B, H]`.
/// Sequences may be of half precision, all of them; sums and the state are not.
#[derive(Clone, Debug)]
pub struct SimpleRnn {
    /// Of the new state.
    pub activation: Activation,
    /// What it takes besides x and U.
    pub inputs: ScanInputs,
}

impl Definition for SimpleRnn {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let &[steps, batch, hidden] = io.dims(0) else { return };
        let (x, u) = (io.input(0), io.input(1));
        let [state, mask, dropout] = self.inputs.places(2);
        let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
        let mask = mask.map(|p| io.uints(p));
        let [h, last] = io.outputs();
        match state {
            Some(state) => last.copy_from_slice(state),
            None => last.fill(F::zero()),
        }
        let per_step = batch * hidden;
        for t in 0..steps {
            let before = last.to_vec();
            for e in 0..per_step {
                let (row, j) = (e / hidden, e % hidden);
                if takes_part(mask, t * batch + row) {
                    let seen = |k: usize| {
                        let at = row * hidden + k;
                        before[at] * dropout.map_or(F::one(), |d| d[at])
                    };
                    let product: F = (0..hidden).map(|k| seen(k) * u[k * hidden + j]).sum();
                    last[e] = self.activation.apply(x[t * per_step + e] + product);
                }
                h[t * per_step + e] = last[e];
            }
        }
    }
}

impl Op for SimpleRnn {
    fn name(&self) -> &'static str {
        "simple_rnn"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        ensure(inputs.len() >= 2, || "it takes x and U".into())?;
        let [steps, batch, hidden] = dims(&inputs[0])?;
        ensure(steps > 0, || format!("{} has no step", inputs[0]))?;
        ensure(inputs[1].dims() == [hidden, hidden], || {
            format!("U is {}, not [{hidden}x{hidden}]", inputs[1])
        })?;
        self.inputs.check(inputs, 2, [1, batch, hidden], (steps, 1))?;
        Ok(vec![inputs[0].clone(), TensorType::f32([1, batch, hidden])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let scan = Scan {
            direction: Direction::Forward,
            extents: extents(&s.inputs[0], 1)?,
            dropout: self.inputs.dropout,
            half: s.inputs[0].dtype == DType::F16,
        };
        let [state, mask, dropout] = self.inputs.places(2);
        let bind = |launch| {
            optional_inputs(launch, [mask, dropout])
                .constant("ACTIVATION", self.activation.code())
                .constant("HAS_STATE", u8::from(state.is_some()))
                .bind("x", Operand::Input(0))
                .bind("state", Operand::Input(state.unwrap_or(0)))
                .bind("hidden", Operand::Output(0))
                .bind("last", Operand::Output(1))
        };
        KERNELS.work(scan, Operand::Input(1), limits, bind)
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let (d_hidden, d_last) = (gradients[0], gradients[1]);
        let [state, mask, dropout] =
            self.inputs.places(2).map(|place| place.map(|p| operands.inputs[p]));
        let hidden = operands.outputs[0];
        let u_transposed = graph.apply(TransposeLeading, &[operands.inputs[1]])?;
        let mut inputs = vec![u_transposed, hidden];
        inputs.extend([mask, dropout, d_hidden, d_last].into_iter().flatten());
        let op = SimpleRnnBackward {
            forward: self.clone(),
            d_hidden: d_hidden.is_some(),
            d_last: d_last.is_some(),
        };
        let result = graph.push(op, &inputs)?;
        let d_recurrent = recurrent_gradient(graph, hidden, result[0], state, dropout)?;
        let mut all = vec![Some(result[0]), Some(d_recurrent)];
        all.extend(state.map(|_| Some(result[1])));
        all.resize(operands.inputs.len(), None);
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (rows, u) = (s.inputs[0].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * rows * u + 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// dz(t) = (dh + d_hidden(t)) activation'(h(t)); dh(t-1) = d (dz(t) U^T). Where a row is masked,
/// dz = 0 and dh stays.
///
/// Inputs: U transposed `[H, H]`, h `[T, B, H]`, then those that there are of: mask, dropout
/// factors, the gradient of h, that of the final state `[1, B, H]`. Outputs: dz `[T, B, H]`, which
/// is the gradient of x, and that of the initial state `[1, B, H]`.
#[derive(Clone, Debug)]
pub struct SimpleRnnBackward {
    /// The op that is differentiated.
    pub forward: SimpleRnn,
    /// Whether the sequence of h has a gradient.
    pub d_hidden: bool,
    /// Whether the final state has a gradient.
    pub d_last: bool,
}

impl SimpleRnnBackward {
    /// The places of mask, dropout, d_hidden and d_last.
    pub fn optional(&self) -> [Option<usize>; 4] {
        let ScanInputs { mask, dropout, .. } = self.forward.inputs;
        places(2, [mask, dropout, self.d_hidden, self.d_last])
    }
}

impl Definition for SimpleRnnBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let &[steps, batch, hidden] = io.dims(1) else { return };
        let (ut, h) = (io.input(0), io.input(1));
        let [mask, rest @ ..] = self.optional();
        let mask = mask.map(|p| io.uints(p));
        let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
        let [dz, dh] = io.outputs();
        let per_step = batch * hidden;
        match d_last {
            Some(given) => dh.copy_from_slice(given),
            None => dh.fill(F::zero()),
        }
        for t in (0..steps).rev() {
            let step = t * per_step;
            let active = |e: usize| takes_part(mask, t * batch + e / hidden);
            for e in 0..per_step {
                dh[e] = dh[e] + d_hidden.map_or(F::zero(), |d| d[step + e]);
                let slope = self.forward.activation.slope(h[step + e]);
                dz[step + e] = if active(e) { dh[e] * slope } else { F::zero() };
            }
            for e in (0..per_step).filter(|&e| active(e)) {
                let (row, j) = (step + e / hidden * hidden, e % hidden);
                let sum: F = (0..hidden).map(|k| dz[row + k] * ut[k * hidden + j]).sum();
                dh[e] = sum * dropout.map_or(F::one(), |d| d[e]);
            }
        }
    }
}

impl Op for SimpleRnnBackward {
    fn name(&self) -> &'static str {
        "simple_rnn_backward"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = 2 + self.optional().iter().flatten().count();
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let [_, batch, hidden] = dims(&inputs[1])?;
        ensure(inputs[0].dims() == [hidden, hidden], || format!("U^T is {}", inputs[0]))?;
        if let Some(d_hidden) = self.optional()[2].map(|place| &inputs[place]) {
            ensure(*d_hidden == inputs[1], || format!("the gradient of h is {d_hidden}"))?;
        }
        Ok(vec![inputs[1].clone(), TensorType::f32([1, batch, hidden])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let scan = Scan {
            direction: Direction::Backward,
            extents: extents(&s.inputs[1], 1)?,
            dropout: self.forward.inputs.dropout,
            half: s.inputs[1].dtype == DType::F16,
        };
        let [mask, dropout, d_hidden, d_last] = self.optional();
        let bind = |launch| {
            optional_inputs(launch, [mask, dropout])
                .constant("ACTIVATION", self.forward.activation.code())
                .constant("HAS_D_HIDDEN", u8::from(d_hidden.is_some()))
                .constant("HAS_D_LAST", u8::from(d_last.is_some()))
                .bind("hidden_in", Operand::Input(1))
                .bind("d_hidden", Operand::Input(d_hidden.unwrap_or(0)))
                .bind("d_last", Operand::Input(d_last.unwrap_or(0)))
                .bind("d_x", Operand::Output(0))
                .bind("d_state", Operand::Output(1))
        };
        KERNELS.work(scan, Operand::Input(0), limits, bind)
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (rows, u) = (s.inputs[1].shape.rows() as u64, s.inputs[0].len() as u64);
        Cost { flops: 2 * rows * u + 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let plain = ScanInputs::default();
    let full = ScanInputs { state: true, mask: true, dropout: true };
    for (activation, with) in [
        (Activation::Tanh, plain),
        (Activation::Tanh, full),
        (Activation::Relu, ScanInputs { state: true, ..plain }),
        (Activation::Tanh, ScanInputs { mask: true, ..plain }),
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
    // Step by step.
    for inputs in [plain, full] {
        let (t, b, h) = (3, 5, 270);
        let mut samples =
            vec![Sample::Normal(vec![t, b, h]), Sample::Uniform(vec![h, h], -0.1, 0.1)];
        samples.extend(scan_samples(inputs, [1, t, b, h], 1));
        let op = SimpleRnn { activation: Activation::Tanh, inputs };
        let name = format!("simple rnn {t}x{b}x{h}{inputs}");
        cases.push(Case::new(name, op, samples).tolerance(1e-5));
        cases.push(backward(inputs, true, inputs.state, [t, b, h]));
    }
    // Of half precision: factors and what is stored have an error of half of 2^-10.
    for (with, [t, b, h]) in [(full, [3, 6, 40]), (full, [3, 5, 270])] {
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
