use crate::common::ensure;
use crate::conv_lstm::ConvLstm;
use crate::recurrent::cell_kernels::with_matrix;
use crate::recurrent::{copy_or_zero, is_unmasked, places};
use crate::{Definition, ScanInputs};
use rnn_core::DType;
use rnn_graph::{
    Cost, InPlace, Io, Limits, Op, OpError, Operand, Real, Signature, TensorType, Work,
};

/// Gradients of x and of the initial state of a [`ConvLstm`], computed from the last step to the
/// first. The gates are treated as in [`crate::LstmBackward`], and
///
/// ```text
/// dh(q, t-1) = sum over the gates k, and over the windows p and taps j that see pixel q, of
///              d_k(q) (dz_k(p, t) U_j,k^T)
/// ```
///
/// with the symbols of [`ConvLstm`]. Where an item is masked, dz = 0, and dh and dc stay.
///
/// Inputs: what is kept of the gates `[T B, D, H, W, 4F]`, U `[taps, F, 4F]`, c(t-1)
/// `[T B, D, H, W, F]`; then, if present, the mask u32 `[T, B]`, the dropout factors `[4 B, D, H, W, F]`, the gradient of h
/// `[T B, D, H, W, F]` and the gradient of the final state `[2 B, D, H, W, F]`. Outputs: dz
/// `[T B, D, H, W, 4F]`, which overwrites the gates and is the gradient of x; and the gradient of
/// the initial state `[2 B, D, H, W, F]`.
#[derive(Clone, Debug)]
pub struct ConvLstmBackward {
    /// The forward op, whose gradients these are.
    pub forward: ConvLstm,
    /// True if the gradient of h at all steps is an input; if not, it counts as zero.
    pub d_hidden: bool,
    /// True if the gradient of the final state is an input; if not, it counts as zero.
    pub d_last: bool,
}

impl ConvLstmBackward {
    /// Returns the input indices of the mask, the dropout factors, the gradient of h and the
    /// gradient of the final state, in this order; `None` for an absent input.
    pub fn optional(&self) -> [Option<usize>; 4] {
        let ScanInputs { mask, dropout, .. } = self.forward.inputs;
        places(3, [mask, dropout, self.d_hidden, self.d_last])
    }
}

impl Definition for ConvLstmBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(e) = self.forward.extents(&io.signature.inputs[0]) else { return };
        let (u, c, filters, per_step) = (io.input(1), io.input(2), e.filters, e.per_step());
        let [mask, rest @ ..] = self.optional();
        let mask = mask.map(|p| io.uints(p));
        let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
        let [dz, d_state] = io.outputs();
        copy_or_zero(d_state, d_last);
        let (dh, dc) = d_state.split_at_mut(per_step);
        for t in (0..self.forward.steps).rev() {
            let unmasked = |item: usize| is_unmasked(mask, t * e.step.items + item);
            for at in 0..per_step {
                let (pixel, j) = (at / filters, at % filters);
                let row = t * e.step.len() + pixel;
                dh[at] = dh[at] + d_hidden.map_or(F::zero(), |d| d[t * per_step + at]);
                let values = [0, 1, 2, 3].map(|gate| dz[(row * 4 + gate) * filters + j]);
                let mut of_gates = [F::zero(); 4];
                if unmasked(e.step.place(pixel).0) {
                    let c_before = c[t * per_step + at];
                    (of_gates, dc[at]) =
                        self.forward.gates.back(values, c_before, [dh[at], dc[at]]);
                }
                for (gate, value) in of_gates.into_iter().enumerate() {
                    dz[(row * 4 + gate) * filters + j] = value;
                }
            }
            for (pixel, _) in e.step.places().enumerate().filter(|(_, place)| unmasked(place.0)) {
                dh[pixel * filters..(pixel + 1) * filters].fill(F::zero());
            }
            for (pixel, (item, place)) in e.step.places().enumerate() {
                if !unmasked(item) {
                    continue;
                }
                let row = t * e.step.len() + pixel;
                for (tap, seen) in self.forward.windows.seen(place, e.step.extents) {
                    for k in 0..filters {
                        let to = e.step.at(item, seen) * filters + k;
                        for column in 0..4 * filters {
                            let factor =
                                dropout.map_or(F::one(), |d| d[column / filters * per_step + to]);
                            let weight = u[(tap * filters + k) * 4 * filters + column];
                            dh[to] = dh[to] + factor * dz[row * 4 * filters + column] * weight;
                        }
                    }
                }
            }
        }
    }
}

impl Op for ConvLstmBackward {
    fn name(&self) -> &'static str {
        "conv_lstm_backward"
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
        let e = self.forward.extents(&inputs[0])?;
        let kernel = [self.forward.windows.taps(), e.filters, 4 * e.filters];
        ensure(inputs[1].dims() == kernel, || format!("U is {}, not {kernel:?}", inputs[1]))?;
        let sequence = e.ty(self.forward.steps, e.filters).of(inputs[0].dtype);
        ensure(inputs[2] == sequence, || format!("c is {}, not {sequence}", inputs[2]))?;
        if let Some(d_hidden) = self.optional()[2].map(|place| &inputs[place]) {
            ensure(*d_hidden == sequence, || format!("the gradient of h is {d_hidden}"))?;
        }
        Ok(vec![inputs[0].clone(), e.ty(2, e.filters)])
    }

    /// One launch per step, and one for the gradient of the initial state.
    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let e = self.forward.extents(&s.inputs[0])?;
        let half = s.inputs[0].dtype == DType::F16;
        let step = self.forward.step(&e, half)?;
        let launch = |t| {
            let launch = step.backward(0..4, t)?;
            let launch = self.forward.windows.describe(launch, e.step.extents);
            Ok(self.forward.gates.bind_backward(launch, self.optional()))
        };
        let launches = (0..=self.forward.steps).rev().map(launch);
        let launches = launches.collect::<Result<Vec<_>, OpError>>()?.into_iter();
        with_matrix(launches, (Operand::Input(1), s.inputs[1].len()), half)
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (pixels, u) = (s.outputs[0].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * pixels * u + 8 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}
