use crate::common::ensure;
use crate::recurrent::cell_kernels::Direction;
use crate::recurrent::{Extents, extents, is_unmasked, places};
use crate::{Definition, Gru};
use rnn_graph::{
    Cost, Io, Launch, Limits, Op, OpError, Operand, Real, Signature, TensorType, Work,
};

/// Gradients of x, of a and of the initial state of a [`Gru`], computed from the last step to the
/// first:
///
/// ```text
/// dh += d_hidden(t)
/// dx_z = dh (h(t-1) - g) rec'(z),  dx_h = dh (1 - z) act'(g)
/// with reset_after:
///     dx_r = dx_h a_h rec'(r),  da_h = dx_h r
///     dh(t-1) = dh z + sum over the gates k of d_k (da_k U_k^T)
/// without:
///     p = d_h (dx_h U_h^T),  dx_r = p h(t-1) rec'(r),  da_h = dx_h
///     dh(t-1) = dh z + p r + sum over k = z and r of d_k (dx_k U_k^T)
/// ```
///
/// with da_z = dx_z and da_r = dx_r. z, r, g, a, U, the dropout factors d and the size H are as in
/// [`Gru`]; act and rec are its `activation` and `recurrent_activation`. Where a row is masked, dx
/// = da = 0, and dh stays.
///
/// Inputs: U transposed `[3H, H]`, the saved values of the forward pass `[T, B, 5H]`, the gradient
/// of h `[T, B, H]`; then, if present, the mask and the dropout factors. Outputs: dx and da, each
/// `[T, B, 3H]`, and the gradient of the initial state `[1, B, H]`. The field is the forward op.
#[derive(Clone, Debug)]
pub struct GruBackward(pub Gru);

impl GruBackward {
    /// Returns the input indices of the mask and of the dropout factors; `None` for an absent
    /// input.
    pub fn optional(&self) -> [Option<usize>; 2] {
        places(3, [self.0.inputs.mask, self.0.inputs.dropout])
    }
}

impl Definition for GruBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(Extents { steps, batch, hidden }) = extents(&io.signature.inputs[1], 5) else {
            return;
        };
        let (ut, saved, d_hidden) = (io.input(0), io.input(1), io.input(2));
        let [mask, dropout] = self.optional();
        let (mask, dropout) = (mask.map(|p| io.uints(p)), dropout.map(|p| io.input(p)));
        let (act, rec) = (self.0.activation, self.0.recurrent_activation);
        let reset_after = self.0.reset_after;
        let [dx, da, dh] = io.outputs();
        let per_step = batch * hidden;
        dh.fill(F::zero());
        dx.fill(F::zero());
        da.fill(F::zero());
        for (t, row) in (0..steps).rev().flat_map(|t| (0..batch).map(move |row| (t, row))) {
            let place = t * batch + row;
            let e = |j: usize| row * hidden + j;
            let part = |p: usize, j: usize| saved[(place * 5 + p) * hidden + j];
            let factor =
                |gate: usize, j: usize| dropout.map_or(F::one(), |d| d[gate * per_step + e(j)]);
            for j in 0..hidden {
                dh[e(j)] = dh[e(j)] + d_hidden[t * per_step + e(j)];
            }
            if !is_unmasked(mask, place) {
                continue;
            }
            let at = |gate: usize, j: usize| (place * 3 + gate) * hidden + j;
            // Through the columns of U that belong to one gate, to unit j.
            let back = |d: &[F], gate: usize, j: usize| -> F {
                (0..hidden).map(|k| d[at(gate, k)] * ut[(gate * hidden + k) * hidden + j]).sum()
            };
            for j in 0..hidden {
                let (z, g) = (rec.recall(part(0, j)), act.recall(part(2, j)));
                dx[at(0, j)] = dh[e(j)] * (part(3, j) - g) * rec.slope(part(0, j));
                dx[at(2, j)] = dh[e(j)] * (F::one() - z) * act.slope(part(2, j));
                if reset_after {
                    dx[at(1, j)] = dx[at(2, j)] * part(4, j) * rec.slope(part(1, j));
                }
            }
            for j in 0..hidden {
                let [z, r] = [0, 1].map(|gate| rec.recall(part(gate, j)));
                let mut passed = F::zero();
                if !reset_after {
                    let p = factor(2, j) * back(dx, 2, j);
                    dx[at(1, j)] = p * part(3, j) * rec.slope(part(1, j));
                    passed = p * r;
                }
                da[at(0, j)] = dx[at(0, j)];
                da[at(1, j)] = dx[at(1, j)];
                da[at(2, j)] = if reset_after { dx[at(2, j)] * r } else { dx[at(2, j)] };
                dh[e(j)] = dh[e(j)] * z + passed;
            }
            for j in 0..hidden {
                let gates = if reset_after { 3 } else { 2 };
                let sum: F = (0..gates).map(|gate| factor(gate, j) * back(da, gate, j)).sum();
                dh[e(j)] = dh[e(j)] + sum;
            }
        }
    }
}

impl Op for GruBackward {
    fn name(&self) -> &'static str {
        "gru_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = 3 + self.optional().iter().flatten().count();
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let Extents { steps, batch, hidden } = extents(&inputs[1], 5)?;
        ensure(inputs[0].dims() == [3 * hidden, hidden], || format!("U^T is {}", inputs[0]))?;
        let wide = TensorType::f32([steps, batch, 3 * hidden]);
        Ok(vec![wide.clone(), wide, TensorType::f32([1, batch, hidden])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let e = extents(&s.inputs[1], 5)?;
        let bind = |launch: Launch| {
            self.0
                .options(launch, self.optional())
                .bind("saved_in", Operand::Input(1))
                .bind("d_hidden", Operand::Input(2))
                .bind("d_x", Operand::Output(0))
                .bind("d_inner", Operand::Output(1))
                .bind("d_state", Operand::Output(2))
        };
        self.0.work(Direction::Backward, e, Operand::Input(0), limits, bind)
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (rows, u) = (s.inputs[1].shape.rows() as u64, s.inputs[0].len() as u64);
        Cost { flops: 2 * rows * u + 8 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}
