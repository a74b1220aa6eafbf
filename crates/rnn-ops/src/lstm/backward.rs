use crate::common::ensure;
use crate::lstm::KERNELS;
use crate::recurrent::cell_kernels::{Direction, Scan};
use crate::recurrent::{Extents, ScanInputs, copy_or_zero, extents, is_unmasked, places};
use crate::{Definition, Lstm};
use rnn_core::DType;
use rnn_graph::{
    Cost, InPlace, Io, Limits, Op, OpError, Operand, Real, Signature, TensorType, Work,
};

/// Gradients of x and of the initial state of an [`Lstm`], computed from the last step to the
/// first:
///
/// ```text
/// c(t) = f c(t-1) + i g
/// dh += d_hidden(t),  dc += dh o act'(c)
/// dz_i = dc g rec'(i), dz_f = dc c(t-1) rec'(f), dz_c = dc i act'(g), dz_o = dh act(c) rec'(o)
/// dh(t-1) = sum over the gates k of d_k (dz_k U_k^T),  dc(t-1) = dc f
/// ```
///
/// i, f, g, o, U, the dropout factors d and the size H are as in [`Lstm`]; act and rec are its
/// `activation` and `recurrent_activation`. Where a row is masked, dz = 0, and dh and dc stay.
///
/// Inputs: what is kept of the gates i, f, g, o `[T, B, 4H]`, U transposed `[4H, H]`, c(t-1) `[T, B, H]`; then, if
/// present, the mask, the dropout factors, the gradient of h `[T, B, H]` and the gradient of the
/// final state `[2, B, H]`. Outputs: dz `[T, B, 4H]`, which overwrites the gates and is the
/// gradient of x; and the gradient of the initial state `[2, B, H]`.
#[derive(Clone, Debug)]
pub struct LstmBackward {
    /// The forward op, whose gradients these are.
    pub forward: Lstm,
    /// True if the gradient of h at all steps is an input; if not, it counts as zero.
    pub d_hidden: bool,
    /// True if the gradient of the final state is an input; if not, it counts as zero.
    pub d_last: bool,
}

impl LstmBackward {
    /// Returns the input indices of the mask, the dropout factors, the gradient of h and the
    /// gradient of the final state, in this order; `None` for an absent input.
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
        copy_or_zero(d_state, d_last);
        let (dh, dc) = d_state.split_at_mut(per_step);
        for t in (0..steps).rev() {
            for e in 0..per_step {
                let (row, j) = (e / hidden, e % hidden);
                let place = t * batch + row;
                let kept = [0, 1, 2, 3].map(|gate| dz[(place * 4 + gate) * hidden + j]);
                dh[e] = dh[e] + d_hidden.map_or(F::zero(), |d| d[t * per_step + e]);
                let mut dz_gates = [F::zero(); 4];
                if is_unmasked(mask, place) {
                    let c_before = c[t * per_step + e];
                    (dz_gates, dc[e]) = self.forward.gates.back(kept, c_before, [dh[e], dc[e]]);
                }
                for (gate, value) in dz_gates.into_iter().enumerate() {
                    dz[(place * 4 + gate) * hidden + j] = value;
                }
            }
            for e in 0..per_step {
                let (row, j) = (e / hidden, e % hidden);
                if is_unmasked(mask, t * batch + row) {
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
