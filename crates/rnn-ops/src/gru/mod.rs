pub mod backward;
mod cases;
mod kernels;

pub use cases::cases;

use crate::common::{dims, ensure};
use crate::recurrent::cell_kernels::Direction;
use crate::recurrent::{Extents, ScanInputs, extents, is_unmasked, places, recurrent_gradient};
use crate::{
    Activation, Columns, Concat, Definition, GruBackward, Matmul, SumRows, TransposeLeading,
};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId,
    TensorType, Work,
};

/// A gated recurrent unit over a whole sequence (keras/src/layers/rnn/gru.py), with the gates in
/// Keras's order z, r, h. T is the number of steps, B the batch size, H the number of units:
///
/// ```text
/// a_k(t) = (h(t-1) d_k) U_k + b_k        for each gate k; d_k are its dropout factors, else 1
/// z, r = recurrent_activation(x_z + a_z, x_r + a_r)
/// g = activation(x_h + r a_h)                         with reset_after
/// g = activation(x_h + (r h(t-1) d_h) U_h)            without
/// h(t) = z h(t-1) + (1 - z) g
/// ```
///
/// Where a row is masked at t, h(t) = h(t-1), and the values for the backward pass are 0.
///
/// Inputs: x `[T, B, 3H]`, the layer's input after the product with the kernel and its bias; U
/// `[H, 3H]`; b `[3H]` if `bias`; then those of [`ScanInputs`], with a state `[1, B, H]`.
///
/// Outputs: h `[T, B, H]`, whose last step is the final state; and the values that the backward
/// pass needs, `[T, B, 5H]`: what is kept of z, r and g ([`Activation::kept`]), h(t-1), then a_h
/// with `reset_after` or r h(t-1) d_h without.
/// Gradients flow through h.
#[derive(Clone, Debug)]
pub struct Gru {
    /// Activation of the candidate g.
    pub activation: Activation,
    /// Activation of the gates z and r.
    pub recurrent_activation: Activation,
    /// True to apply the reset gate r after the product with U_h, false to apply it to h before the
    /// product.
    pub reset_after: bool,
    /// True if the bias b of the product with U is the third input. It requires `reset_after`.
    pub bias: bool,
    /// The optional inputs after x, U and, if present, b.
    pub inputs: ScanInputs,
}

impl Gru {
    /// Returns the input indices of the bias, the state, the mask and the dropout factors, if
    /// `first` other inputs precede them; `None` for an absent input.
    pub fn places(&self, first: usize) -> [Option<usize>; 4] {
        let ScanInputs { state, mask, dropout } = self.inputs;
        places(first, [self.bias, state, mask, dropout])
    }
}

impl Definition for Gru {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(Extents { steps, batch, hidden }) = extents(&io.signature.inputs[0], 3) else {
            return;
        };
        let (x, u) = (io.input(0), io.input(1));
        let [bias, state, mask, dropout] = self.places(2);
        let [bias, state, dropout] = [bias, state, dropout].map(|p| p.map(|p| io.input(p)));
        let mask = mask.map(|p| io.uints(p));
        let (act, rec) = (self.activation, self.recurrent_activation);
        let [h, saved] = io.outputs();
        let per_step = batch * hidden;
        let mut last = state.map_or(vec![F::zero(); per_step], <[F]>::to_vec);
        for t in 0..steps {
            let before = last.clone();
            // The value of unit k that a gate sees.
            let seen = |gate: usize, row: usize, k: usize| {
                let at = row * hidden + k;
                before[at] * dropout.map_or(F::one(), |d| d[gate * per_step + at])
            };
            let weight = |gate: usize, k: usize, j: usize| u[k * 3 * hidden + gate * hidden + j];
            let input =
                |gate: usize, row: usize, j: usize| x[((t * batch + row) * 3 + gate) * hidden + j];
            let product = |gate: usize, row: usize, j: usize| {
                let sum: F = (0..hidden).map(|k| seen(gate, row, k) * weight(gate, k, j)).sum();
                sum + bias.map_or(F::zero(), |b| b[gate * hidden + j])
            };
            let sum = |g: usize, row: usize, j: usize| input(g, row, j) + product(g, row, j);
            let passed = |row: usize, k: usize| rec.apply(sum(1, row, k)) * seen(2, row, k);
            for row in 0..batch {
                let resets: Vec<F> = match self.reset_after {
                    true => vec![],
                    false => (0..hidden).map(|k| passed(row, k)).collect(),
                };
                for j in 0..hidden {
                    let sums = [sum(0, row, j), sum(1, row, j)];
                    let [z, r] = sums.map(|sum| rec.apply(sum));
                    let (inner, passed_on) = if self.reset_after {
                        let inner = product(2, row, j);
                        (r * inner, inner)
                    } else {
                        let sum = (0..hidden).map(|k| resets[k] * weight(2, k, j)).sum();
                        (sum, resets[j])
                    };
                    let sum = input(2, row, j) + inner;
                    let g = act.apply(sum);
                    let e = row * hidden + j;
                    let mut values = [F::zero(); 5];
                    if is_unmasked(mask, t * batch + row) {
                        let [z_kept, r_kept] = [rec.kept(sums[0], z), rec.kept(sums[1], r)];
                        values = [z_kept, r_kept, act.kept(sum, g), before[e], passed_on];
                        last[e] = z * before[e] + (F::one() - z) * g;
                    }
                    for (part, value) in values.into_iter().enumerate() {
                        saved[((t * batch + row) * 5 + part) * hidden + j] = value;
                    }
                    h[t * per_step + e] = last[e];
                }
            }
        }
    }
}

impl Op for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        ensure(inputs.len() >= 2, || "it takes x and U".into())?;
        let Extents { steps, batch, hidden } = extents(&inputs[0], 3)?;
        ensure(inputs[1].dims() == [hidden, 3 * hidden], || {
            format!("U is {}, not [{hidden}x{}]", inputs[1], 3 * hidden)
        })?;
        ensure(self.reset_after || !self.bias, || "a bias needs reset_after".into())?;
        let first = 2 + usize::from(self.bias);
        let biased = !self.bias || inputs.get(2).is_some_and(|b| b.dims() == [3 * hidden]);
        ensure(biased, || format!("the bias is not [{}]", 3 * hidden))?;
        self.inputs.check(inputs, first, [1, batch, hidden], (steps, 3))?;
        let types = [hidden, 5 * hidden].map(|width| TensorType::f32([steps, batch, width]));
        Ok(types.into())
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let e = extents(&s.inputs[0], 3)?;
        let [bias, state, mask, dropout] = self.places(2);
        let bind = |launch: Launch| {
            let launch = match self.reset_after {
                true => launch
                    .constant("HAS_BIAS", u8::from(self.bias))
                    .bind("bias", Operand::Input(bias.unwrap_or(0))),
                false => launch,
            };
            self.options(launch, [mask, dropout])
                .constant("HAS_STATE", u8::from(state.is_some()))
                .bind("x", Operand::Input(0))
                .bind("state", Operand::Input(state.unwrap_or(0)))
                .bind("hidden", Operand::Output(0))
                .bind("saved", Operand::Output(1))
        };
        self.work(Direction::Forward, e, Operand::Input(1), limits, bind)
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let (&[Some(d_hidden), None], &[hidden, saved]) = (gradients, &operands.outputs[..]) else {
            return Err(OpError::NotDifferentiable);
        };
        let [bias, state, mask, dropout] =
            self.places(2).map(|place| place.map(|p| operands.inputs[p]));
        let u_transposed = graph.apply(TransposeLeading, &[operands.inputs[1]])?;
        let mut inputs = vec![u_transposed, saved, d_hidden];
        inputs.extend([mask, dropout].into_iter().flatten());
        let result = graph.push(GruBackward(self.clone()), &inputs)?;
        let (dx, d_inner, d_state) = (result[0], result[1], result[2]);
        let d_recurrent = match self.reset_after {
            true => recurrent_gradient(graph, hidden, d_inner, state, dropout)?,
            false => reset_before_gradient(graph, (hidden, saved), dx, state, dropout)?,
        };
        let mut all = vec![Some(dx), Some(d_recurrent)];
        if bias.is_some() {
            all.push(Some(graph.apply(SumRows, &[d_inner])?));
        }
        all.extend(state.map(|_| Some(d_state)));
        all.resize(operands.inputs.len(), None);
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (x, u) = (s.inputs[0].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * x * u + 10 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Adds the gradient of U for the variant without `reset_after`, where the candidate's columns are
/// multiplied by the state after the reset gate, not by h.
fn reset_before_gradient(
    graph: &mut Graph,
    (hidden, saved): (TensorId, TensorId),
    dx: TensorId,
    state: Option<TensorId>,
    dropout: Option<TensorId>,
) -> Result<TensorId, OpError> {
    let [_, batch, units] = dims(&graph[hidden].ty)?;
    let mut columns =
        |of: TensorId, start: usize, width: usize| graph.apply(Columns { start, width }, &[of]);
    let passed = columns(saved, 4 * units, units)?;
    let d_gates = columns(dx, 0, 2 * units)?;
    let d_candidate = columns(dx, 2 * units, units)?;
    let two = |factors| graph.view(factors, 0, [2, batch, units]);
    let dropout = dropout.map(two).transpose()?;
    let gates = recurrent_gradient(graph, hidden, d_gates, state, dropout)?;
    let product = Matmul { transpose_a: true, ..Matmul::default() };
    let candidate = graph.apply(product, &[passed, d_candidate])?;
    Ok(graph.apply(Concat, &[gates, candidate])?)
}
