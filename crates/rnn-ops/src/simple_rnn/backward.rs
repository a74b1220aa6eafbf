use crate::common::{dims, ensure};
use crate::recurrent::cell_kernels::{Direction, Scan};
use crate::recurrent::{copy_or_zero, extents, is_unmasked, optional_inputs, places};
use crate::simple_rnn::KERNELS;
use crate::{Definition, ScanInputs, SimpleRnn};
use rnn_core::DType;
use rnn_graph::{Cost, Io, Limits, Op, OpError, Operand, Real, Signature, TensorType, Work};

/// Gradients of x and of the initial state of a [`SimpleRnn`], computed from the last step to the
/// first:
///
/// ```text
/// dh += d_hidden(t)
/// dz(t) = dh activation'(z(t)),  dh(t-1) = d (dz(t) U^T)
/// ```
///
/// with the pre-activations z(t), and the dropout factors d, else 1. Where a row is masked, dz = 0, and dh stays.
///
/// Inputs: U transposed `[H, H]`; what is kept for the gradient `[T, B, H]`, which is h, or z where
/// the activation keeps its input ([`Activation::keeps_input`](crate::Activation::keeps_input)); then, if present, the mask, the dropout factors,
/// the gradient of h `[T, B, H]` and the gradient of the final state `[1, B, H]`. Outputs: dz
/// `[T, B, H]`, which is the gradient of x, and the gradient of the initial state `[1, B, H]`.
#[derive(Clone, Debug)]
pub struct SimpleRnnBackward {
    /// The forward op, whose gradients these are.
    pub forward: SimpleRnn,
    /// True if the gradient of h at all steps is an input; if not, it counts as zero.
    pub d_hidden: bool,
    /// True if the gradient of the final state is an input; if not, it counts as zero.
    pub d_last: bool,
}

impl SimpleRnnBackward {
    /// Returns the input indices of the mask, the dropout factors, the gradient of h and the
    /// gradient of the final state, in this order; `None` for an absent input.
    pub fn optional(&self) -> [Option<usize>; 4] {
        let ScanInputs { mask, dropout, .. } = self.forward.inputs;
        places(2, [mask, dropout, self.d_hidden, self.d_last])
    }
}

impl Definition for SimpleRnnBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let &[steps, batch, hidden] = io.dims(1) else { return };
        let (ut, kept) = (io.input(0), io.input(1));
        let [mask, rest @ ..] = self.optional();
        let mask = mask.map(|p| io.uints(p));
        let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
        let [dz, dh] = io.outputs();
        let per_step = batch * hidden;
        copy_or_zero(dh, d_last);
        for t in (0..steps).rev() {
            let step = t * per_step;
            let active = |e: usize| is_unmasked(mask, t * batch + e / hidden);
            for e in 0..per_step {
                dh[e] = dh[e] + d_hidden.map_or(F::zero(), |d| d[step + e]);
                let slope = self.forward.activation.slope(kept[step + e]);
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
