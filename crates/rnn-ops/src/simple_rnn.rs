use crate::common::{ScanShape, dims, ensure, nested, recurrent_gradient};
use crate::{Activation, Case, Definition, Sample, TransposeLeading};
use rnn_graph::{
    Cost, Graph, Io, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature, TensorId,
    TensorType, Work,
};

pub static FOUR_ROWS: Shader = Shader::new(
    "simple_rnn_four_rows",
    &[
        include_str!("../../../shaders/activations.wgsl"),
        include_str!("../../../shaders/four_rows.wgsl"),
        include_str!("../../../shaders/simple_rnn.wgsl"),
    ],
);

pub static ONE_ROW: Shader = Shader::new(
    "simple_rnn_one_row",
    &[
        include_str!("../../../shaders/activations.wgsl"),
        include_str!("../../../shaders/one_row.wgsl"),
        include_str!("../../../shaders/simple_rnn.wgsl"),
    ],
);

/// A fully connected recurrent layer over a whole sequence (keras/src/layers/rnn/simple_rnn.py):
/// h(t) = activation(x(t) + h(t-1) U).
///
/// Inputs: x `[T, B, H]`, already projected and biased; U `[H, H]`; optionally the initial state
/// `[1, B, H]`. Outputs: h `[T, B, H]` and the final state `[1, B, H]`.
#[derive(Clone, Debug)]
pub struct SimpleRnn {
    /// Of the new state.
    pub activation: Activation,
}

impl Definition for SimpleRnn {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let &[steps, batch, hidden] = io.dims(0) else { return };
        let (x, u) = (io.input(0), io.input(1));
        let zeros = vec![F::zero(); batch * hidden];
        let state = if io.inputs.len() > 2 { io.input(2) } else { &zeros };
        let [h, last] = io.outputs();
        let per_step = batch * hidden;
        for t in 0..steps {
            for e in 0..per_step {
                let (row, j) = (e / hidden * hidden, e % hidden);
                let before = |k: usize| match t {
                    0 => state[row + k],
                    _ => h[(t - 1) * per_step + row + k],
                };
                let product: F = (0..hidden).map(|k| before(k) * u[k * hidden + j]).sum();
                h[t * per_step + e] = self.activation.apply(x[t * per_step + e] + product);
            }
        }
        last.copy_from_slice(&h[(steps - 1) * per_step..]);
    }
}

impl Op for SimpleRnn {
    fn name(&self) -> &'static str {
        "simple_rnn"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        ensure((2..=3).contains(&inputs.len()), || "it takes x, U and optionally a state".into())?;
        let [steps, batch, hidden] = dims(&inputs[0])?;
        ensure(steps > 0, || format!("{} has no step", inputs[0]))?;
        ensure(inputs[1].dims() == [hidden, hidden], || {
            format!("U is {}, not [{hidden}x{hidden}]", inputs[1])
        })?;
        let last = TensorType::f32([1, batch, hidden]);
        if let Some(state) = inputs.get(2) {
            ensure(*state == last, || format!("the state is {state}, not {last}"))?;
        }
        Ok(vec![inputs[0].clone(), last])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let [steps, batch, hidden] = dims(&s.inputs[0])?;
        let has_state = s.inputs.len() > 2;
        // Two hidden states: one word each for a unit of a row.
        let scan = ScanShape::choose(&FOUR_ROWS, &ONE_ROW, hidden, 2, limits)?;
        Ok(scan
            .launch("forward", steps, batch, hidden)?
            .constant("ACTIVATION", self.activation.code())
            .constant("HAS_STATE", u8::from(has_state))
            .bind("x", Operand::Input(0))
            .bind("recurrent", Operand::Input(1))
            .bind("state", Operand::Input(if has_state { 2 } else { 0 }))
            .bind("hidden", Operand::Output(0))
            .bind("last", Operand::Output(1))
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let (d_hidden, d_last) = (gradients[0], gradients[1]);
        let state = operands.inputs.get(2).copied();
        let hidden = operands.outputs[0];
        let u_transposed = graph.apply(TransposeLeading, &[operands.inputs[1]]).map_err(nested)?;
        let mut inputs = vec![u_transposed, hidden];
        inputs.extend(d_hidden.iter().chain(&d_last));
        let op = SimpleRnnBackward {
            activation: self.activation,
            d_hidden: d_hidden.is_some(),
            d_last: d_last.is_some(),
        };
        let result = graph.push(op, &inputs).map_err(nested)?;
        let d_recurrent = recurrent_gradient(graph, hidden, result[0], state)?;
        let mut all = vec![Some(result[0]), Some(d_recurrent)];
        all.extend(state.map(|_| Some(result[1])));
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (rows, u) = (s.inputs[0].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * rows * u + 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// dz(t) = (dh + d_hidden(t)) activation'(h(t)); dh(t-1) = dz(t) U^T.
///
/// Inputs: U transposed `[H, H]`, h `[T, B, H]`, then those that there are of: the gradient of h,
/// that of the final state `[1, B, H]`. Outputs: dz `[T, B, H]`, which is the gradient of x, and
/// that of the initial state `[1, B, H]`.
#[derive(Clone, Debug)]
pub struct SimpleRnnBackward {
    /// Of the op that is differentiated.
    pub activation: Activation,
    /// Whether the sequence of h has a gradient.
    pub d_hidden: bool,
    /// Whether the final state has a gradient.
    pub d_last: bool,
}

impl SimpleRnnBackward {
    /// The places of the optional inputs.
    pub fn optional(&self) -> [Option<usize>; 2] {
        [self.d_hidden.then_some(2), self.d_last.then_some(2 + usize::from(self.d_hidden))]
    }
}

impl Definition for SimpleRnnBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let &[steps, batch, hidden] = io.dims(1) else { return };
        let (ut, h) = (io.input(0), io.input(1));
        let [d_hidden, d_last] = self.optional().map(|place| place.map(|p| io.input(p)));
        let [dz, dh] = io.outputs();
        let per_step = batch * hidden;
        match d_last {
            Some(given) => dh.copy_from_slice(given),
            None => dh.fill(F::zero()),
        }
        for t in (0..steps).rev() {
            let step = t * per_step;
            for e in 0..per_step {
                let total = dh[e] + d_hidden.map_or(F::zero(), |d| d[step + e]);
                dz[step + e] = total * self.activation.slope(h[step + e]);
            }
            for (e, dh) in dh.iter_mut().enumerate() {
                let (row, j) = (step + e / hidden * hidden, e % hidden);
                *dh = (0..hidden).map(|k| dz[row + k] * ut[k * hidden + j]).sum();
            }
        }
    }
}

impl Op for SimpleRnnBackward {
    fn name(&self) -> &'static str {
        "simple_rnn_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = 2 + self.optional().iter().flatten().count();
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let [_, batch, hidden] = dims(&inputs[1])?;
        ensure(inputs[0].dims() == [hidden, hidden], || format!("U^T is {}", inputs[0]))?;
        Ok(vec![inputs[1].clone(), TensorType::f32([1, batch, hidden])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let [steps, batch, hidden] = dims(&s.inputs[1])?;
        let [d_hidden, d_last] = self.optional();
        let scan = ScanShape::choose(&FOUR_ROWS, &ONE_ROW, hidden, 1, limits)?;
        // What is absent is never read; any tensor stands in for it.
        let or_any = |place: Option<usize>| Operand::Input(place.unwrap_or(0));
        Ok(scan
            .launch("backward", steps, batch, hidden)?
            .constant("ACTIVATION", self.activation.code())
            .constant("HAS_D_HIDDEN", u8::from(d_hidden.is_some()))
            .constant("HAS_D_LAST", u8::from(d_last.is_some()))
            .bind("recurrent", Operand::Input(0))
            .bind("hidden_in", Operand::Input(1))
            .bind("d_hidden", or_any(d_hidden))
            .bind("d_last", or_any(d_last))
            .bind("d_x", Operand::Output(0))
            .bind("d_state", Operand::Output(1))
            .into())
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
    for (activation, state) in
        [(Activation::Tanh, true), (Activation::Tanh, false), (Activation::Relu, true)]
    {
        for (t, b, h) in [(1, 1, 1), (3, 5, 7), (4, 2, 33)] {
            let mut inputs =
                vec![Sample::Normal(vec![t, b, h]), Sample::Uniform(vec![h, h], -0.4, 0.4)];
            inputs.extend(state.then(|| Sample::Uniform(vec![1, b, h], -1.0, 1.0)));
            let differentiable: Vec<usize> = (0..inputs.len()).collect();
            let with = if state { " state" } else { "" };
            let name = format!("simple rnn {t}x{b}x{h} {}{with}", activation.name());
            let case = Case::new(name, SimpleRnn { activation }, inputs);
            cases.push(case.gradient(&differentiable).tolerance(1e-5));
        }
    }
    for (d_hidden, d_last) in [(true, true), (true, false), (false, true)] {
        let (t, b, h) = (3, 6, 40);
        let op = SimpleRnnBackward { activation: Activation::Tanh, d_hidden, d_last };
        let mut inputs =
            vec![Sample::Uniform(vec![h, h], -0.2, 0.2), Sample::Uniform(vec![t, b, h], -1.0, 1.0)];
        inputs.extend(d_hidden.then(|| Sample::Normal(vec![t, b, h])));
        inputs.extend(d_last.then(|| Sample::Normal(vec![1, b, h])));
        cases.push(Case::new(format!("simple rnn backward {d_hidden} {d_last}"), op, inputs));
    }
    cases
}
