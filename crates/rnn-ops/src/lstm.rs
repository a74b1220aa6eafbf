use crate::common::{ScanShape, dims, ensure, nested, recurrent_gradient};
use crate::{Activation, Case, Definition, Sample, TransposeLeading};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

pub static FOUR_ROWS: Shader = Shader::new(
    "lstm_four_rows",
    &[
        include_str!("../../../shaders/activations.wgsl"),
        include_str!("../../../shaders/four_rows.wgsl"),
        include_str!("../../../shaders/lstm.wgsl"),
    ],
);

pub static ONE_ROW: Shader = Shader::new(
    "lstm_one_row",
    &[
        include_str!("../../../shaders/activations.wgsl"),
        include_str!("../../../shaders/one_row.wgsl"),
        include_str!("../../../shaders/lstm.wgsl"),
    ],
);

/// A long short-term memory over a whole sequence (keras/src/layers/rnn/lstm.py), gates in
/// Keras's order i, f, c, o:
///
/// ```text
/// z(t) = x(t) + h(t-1) U
/// i, f, o = recurrent_activation(z_i, z_f, z_o),  g = activation(z_c)
/// c(t) = f c(t-1) + i g
/// h(t) = o activation(c(t))
/// ```
///
/// Inputs: x `[T, B, 4H]`, already projected and biased; U `[H, 4H]`; optionally the initial
/// state `[2, B, H]`, h then c. Outputs: h `[T, B, H]`, c `[T, B, H]`, gates `[T, B, 4H]`, and the
/// final state `[2, B, H]`. Gradients flow through h and the final state.
#[derive(Clone, Debug)]
pub struct Lstm {
    /// Of the candidate and the cell.
    pub activation: Activation,
    /// Of the three gates.
    pub recurrent_activation: Activation,
}

struct Extents {
    steps: usize,
    batch: usize,
    hidden: usize,
}

fn extents(x: &TensorType) -> Result<Extents, OpError> {
    let [steps, batch, gates] = dims(x)?;
    ensure(gates % 4 == 0 && steps > 0, || format!("{x} does not hold four gates for some steps"))?;
    Ok(Extents { steps, batch, hidden: gates / 4 })
}

/// One step of one unit: the gates and the cell.
fn gates<F: Real>(op: &Lstm, z: [F; 4], c_before: F) -> ([F; 4], F) {
    let i = op.recurrent_activation.apply(z[0]);
    let f = op.recurrent_activation.apply(z[1]);
    let g = op.activation.apply(z[2]);
    let o = op.recurrent_activation.apply(z[3]);
    ([i, f, g, o], f * c_before + i * g)
}

impl Definition for Lstm {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(Extents { steps, batch, hidden }) = extents(&io.signature.inputs[0]) else { return };
        let (x, u) = (io.input(0), io.input(1));
        let zeros = vec![F::zero(); 2 * batch * hidden];
        let state = if io.inputs.len() > 2 { io.input(2) } else { &zeros };
        let [h, c, saved, last] = io.outputs();
        let per_step = batch * hidden;
        for t in 0..steps {
            for b in 0..batch {
                for j in 0..hidden {
                    let row = b * hidden;
                    let h_before = |k: usize| match t {
                        0 => state[row + k],
                        _ => h[(t - 1) * per_step + row + k],
                    };
                    let c_before = match t {
                        0 => state[per_step + row + j],
                        _ => c[(t - 1) * per_step + row + j],
                    };
                    let at = (t * batch + b) * 4 * hidden + j;
                    let z = [0, 1, 2, 3].map(|gate| {
                        let column = gate * hidden + j;
                        let product: F =
                            (0..hidden).map(|k| h_before(k) * u[k * 4 * hidden + column]).sum();
                        x[at + gate * hidden] + product
                    });
                    let (gate, cell) = gates(self, z, c_before);
                    for (g, value) in gate.into_iter().enumerate() {
                        saved[at + g * hidden] = value;
                    }
                    let here = t * per_step + row + j;
                    c[here] = cell;
                    h[here] = gate[3] * self.activation.apply(cell);
                }
            }
        }
        last[..per_step].copy_from_slice(&h[(steps - 1) * per_step..]);
        last[per_step..].copy_from_slice(&c[(steps - 1) * per_step..]);
    }
}

impl Op for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        ensure((2..=3).contains(&inputs.len()), || "it takes x, U and optionally a state".into())?;
        let Extents { steps, batch, hidden } = extents(&inputs[0])?;
        ensure(inputs[1].dims() == [hidden, 4 * hidden], || {
            format!("U is {}, not [{hidden}x{}]", inputs[1], 4 * hidden)
        })?;
        if let Some(state) = inputs.get(2) {
            ensure(state.dims() == [2, batch, hidden], || {
                format!("the state is {state}, not [2x{batch}x{hidden}]")
            })?;
        }
        Ok(vec![
            TensorType::f32([steps, batch, hidden]),
            TensorType::f32([steps, batch, hidden]),
            inputs[0].clone(),
            TensorType::f32([2, batch, hidden]),
        ])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let Extents { steps, batch, hidden } = extents(&s.inputs[0])?;
        let has_state = s.inputs.len() > 2;
        // Two hidden states: one word each for a unit of a row.
        let scan = ScanShape::choose(&FOUR_ROWS, &ONE_ROW, hidden, 2, limits)?;
        Ok(self
            .activations(scan.launch("forward", steps, batch, hidden)?)
            .constant("HAS_STATE", u8::from(has_state))
            .bind("x", Operand::Input(0))
            .bind("recurrent", Operand::Input(1))
            .bind("state", Operand::Input(if has_state { 2 } else { 0 }))
            .bind("hidden", Operand::Output(0))
            .bind("cell", Operand::Output(1))
            .bind("gates", Operand::Output(2))
            .bind("last", Operand::Output(3))
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let &[d_hidden, None, None, d_last] = gradients else {
            return Err(OpError::NotDifferentiable);
        };
        let [hidden, cell, saved, _] = operands.outputs[..] else {
            return Err(OpError::NotDifferentiable);
        };
        let state = operands.inputs.get(2).copied();
        let u_transposed = graph.apply(TransposeLeading, &[operands.inputs[1]]).map_err(nested)?;
        let mut inputs = vec![u_transposed, cell, saved];
        inputs.extend(state.iter().chain(&d_hidden).chain(&d_last));
        let op = LstmBackward {
            forward: self.clone(),
            state: state.is_some(),
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
        let (x, u) = (s.inputs[0].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * x * u + 10 * s.outputs[2].len() as u64, bytes: s.bytes() }
    }
}

impl Lstm {
    fn activations(&self, launch: Launch) -> Launch {
        launch
            .constant("ACTIVATION", self.activation.code())
            .constant("RECURRENT_ACTIVATION", self.recurrent_activation.code())
    }
}

/// The gradients of z and of the initial state, from the last step to the first:
///
/// ```text
/// dh += d_hidden(t),  dc += dh o act'(c)
/// dz_i = dc g rec'(i), dz_f = dc c(t-1) rec'(f), dz_c = dc i act'(g), dz_o = dh act(c) rec'(o)
/// dh(t-1) = dz U^T,  dc(t-1) = dc f
/// ```
///
/// Inputs: U transposed `[4H, H]`, c, gates, then those that there are of: initial state, the
/// gradient of h `[T, B, H]`, the gradient of the final state `[2, B, H]`. Outputs: dz
/// `[T, B, 4H]`, which is the gradient of x, and that of the initial state `[2, B, H]`.
#[derive(Clone, Debug)]
pub struct LstmBackward {
    /// The op that is differentiated.
    pub forward: Lstm,
    /// Whether an initial state is given.
    pub state: bool,
    /// Whether the sequence of h has a gradient.
    pub d_hidden: bool,
    /// Whether the final state has a gradient.
    pub d_last: bool,
}

impl LstmBackward {
    /// The places of the optional inputs.
    pub fn optional(&self) -> [Option<usize>; 3] {
        let mut next = 3;
        [self.state, self.d_hidden, self.d_last].map(|present| {
            next += usize::from(present);
            present.then_some(next - 1)
        })
    }
}

impl Definition for LstmBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(Extents { steps, batch, hidden }) = extents(&io.signature.inputs[2]) else { return };
        let (ut, c, saved) = (io.input(0), io.input(1), io.input(2));
        let [state, d_hidden, d_last] = self.optional().map(|place| place.map(|p| io.input(p)));
        let (act, rec) = (self.forward.activation, self.forward.recurrent_activation);
        let [dz, d_state] = io.outputs();
        let per_step = batch * hidden;
        match d_last {
            Some(given) => d_state.copy_from_slice(given),
            None => d_state.fill(F::zero()),
        }
        let (dh, dc) = d_state.split_at_mut(per_step);
        for t in (0..steps).rev() {
            for e in 0..per_step {
                let at = (t * batch + e / hidden) * 4 * hidden + e % hidden;
                let [i, f, g, o] = [0, 1, 2, 3].map(|gate| saved[at + gate * hidden]);
                let c_before = match t {
                    0 => state.map_or(F::zero(), |s| s[per_step + e]),
                    _ => c[(t - 1) * per_step + e],
                };
                let c_active = act.apply(c[t * per_step + e]);
                let dh = dh[e] + d_hidden.map_or(F::zero(), |d| d[t * per_step + e]);
                let d_cell = dc[e] + dh * o * act.slope(c_active);
                dz[at] = d_cell * g * rec.slope(i);
                dz[at + hidden] = d_cell * c_before * rec.slope(f);
                dz[at + 2 * hidden] = d_cell * i * act.slope(g);
                dz[at + 3 * hidden] = dh * c_active * rec.slope(o);
                dc[e] = d_cell * f;
            }
            for e in 0..per_step {
                let row = (t * batch + e / hidden) * 4 * hidden;
                dh[e] = (0..4 * hidden).map(|k| dz[row + k] * ut[k * hidden + e % hidden]).sum();
            }
        }
    }
}

impl Op for LstmBackward {
    fn name(&self) -> &'static str {
        "lstm_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = 3 + self.optional().iter().flatten().count();
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let Extents { batch, hidden, .. } = extents(&inputs[2])?;
        ensure(inputs[0].dims() == [4 * hidden, hidden], || format!("U^T is {}", inputs[0]))?;
        Ok(vec![inputs[2].clone(), TensorType::f32([2, batch, hidden])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let Extents { steps, batch, hidden } = extents(&s.inputs[2])?;
        let [state, d_hidden, d_last] = self.optional();
        // dz: four words for a unit of a row.
        let scan = ScanShape::choose(&FOUR_ROWS, &ONE_ROW, hidden, 4, limits)?;
        // What is absent is never read; any tensor stands in for it.
        let or_any = |place: Option<usize>| Operand::Input(place.unwrap_or(0));
        Ok(self
            .forward
            .activations(scan.launch("backward", steps, batch, hidden)?)
            .constant("HAS_STATE", u8::from(state.is_some()))
            .constant("HAS_D_HIDDEN", u8::from(d_hidden.is_some()))
            .constant("HAS_D_LAST", u8::from(d_last.is_some()))
            .bind("recurrent", Operand::Input(0))
            .bind("cell_in", Operand::Input(1))
            .bind("gates_in", Operand::Input(2))
            .bind("state", or_any(state))
            .bind("d_hidden", or_any(d_hidden))
            .bind("d_last", or_any(d_last))
            .bind("d_x", Operand::Output(0))
            .bind("d_state", Operand::Output(1))
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (rows, u) = (s.inputs[2].shape.rows() as u64, s.inputs[0].len() as u64);
        Cost { flops: 2 * rows * u + 8 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let lstm = |activation, recurrent_activation| Lstm { activation, recurrent_activation };
    let standard = lstm(Activation::Tanh, Activation::Sigmoid);
    let variants = [
        (standard.clone(), true),
        (standard.clone(), false),
        (lstm(Activation::Tanh, Activation::HardSigmoid), true),
        (lstm(Activation::Tanh, Activation::HardSigmoid2018), false),
        (lstm(Activation::Relu, Activation::Sigmoid), true),
    ];
    let sizes = [(1, 1, 1), (3, 5, 7), (4, 2, 33)];
    for (op, state) in variants {
        for (t, b, h) in sizes {
            let mut inputs =
                vec![Sample::Normal(vec![t, b, 4 * h]), Sample::Uniform(vec![h, 4 * h], -0.4, 0.4)];
            if state {
                inputs.push(Sample::Uniform(vec![2, b, h], -1.0, 1.0));
            }
            let (act, rec) = (op.activation.name(), op.recurrent_activation.name());
            let with = if state { " state" } else { "" };
            let differentiable: Vec<usize> = (0..inputs.len()).collect();
            let name = format!("lstm {t}x{b}x{h} {act} {rec}{with}");
            let case = Case::new(name, op.clone(), inputs).gradient(&differentiable);
            cases.push(case.tolerance(1e-5));
        }
    }
    for (state, d_hidden, d_last) in
        [(true, true, true), (false, true, false), (false, false, true)]
    {
        let (t, b, h) = (3, 6, 40);
        let op = LstmBackward { forward: standard.clone(), state, d_hidden, d_last };
        let mut inputs = vec![
            Sample::Uniform(vec![4 * h, h], -0.2, 0.2),
            Sample::Normal(vec![t, b, h]),
            Sample::Uniform(vec![t, b, 4 * h], 0.0, 1.0),
        ];
        inputs.extend(state.then(|| Sample::Normal(vec![2, b, h])));
        inputs.extend(d_hidden.then(|| Sample::Normal(vec![t, b, h])));
        inputs.extend(d_last.then(|| Sample::Normal(vec![2, b, h])));
        let name = format!("lstm backward {state} {d_hidden} {d_last}");
        cases.push(Case::new(name, op, inputs).tolerance(1e-5));
    }
    let wide = vec![Sample::Normal(vec![2, 3, 1200]), Sample::Uniform(vec![300, 1200], -0.1, 0.1)];
    // Sums of 300 terms, fed back through the state.
    cases.push(Case::new("lstm 2x3x300", standard, wide).tolerance(1e-5).full());
    cases
}
