pub mod backward;
mod cases;
pub mod gates;
mod kernels;

pub use cases::cases;
pub use kernels::KERNELS;

use crate::common::ensure;
use crate::recurrent::cell_kernels::{Direction, Scan};
use crate::recurrent::{
    Extents, ScanInputs, copy_or_zero, extents, is_unmasked, recurrent_gradient,
};
use crate::{Definition, LstmBackward, LstmGates, TransposeLeading};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, InPlace, Io, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId,
    TensorType, Work,
};

/// A long short-term memory over a whole sequence (keras/src/layers/rnn/lstm.py), with the gates in
/// Keras's order i, f, c, o. T is the number of steps, B the batch size, H the number of units:
///
/// ```text
/// z_k(t) = x_k(t) + (h(t-1) d_k) U_k     for each gate k; d_k are its dropout factors, else 1
/// i, f, o = recurrent_activation(z_i, z_f, z_o),  g = activation(z_c)
/// c(t) = f c(t-1) + i g
/// h(t) = o activation(c(t))
/// ```
///
/// Where a row is masked at t, h(t) = h(t-1), c(t) = c(t-1), and the gates are 0.
///
/// Inputs: x `[T, B, 4H]`, the layer's input after the product with the kernel and the bias; U
/// `[H, 4H]`; then those of [`ScanInputs`], with a state `[2, B, H]`: h, then c.
///
/// Outputs: h `[T, B, H]`; what is kept of the gates i, f, g, o `[T, B, 4H]`
/// ([`Activation::kept`](crate::Activation::kept)), also of masked rows, which overwrites x; c(t-1)
/// `[T, B, H]`; and the final state `[2, B, H]`. Gates and c(t-1) are for the backward pass;
/// gradients flow through h and the final state. All sequences may have half precision; sums
/// and the state have single precision.
#[derive(Clone, Debug)]
pub struct Lstm {
    /// Activations of the gates and the states.
    pub gates: LstmGates,
    /// The optional inputs after x and U.
    pub inputs: ScanInputs,
}

impl Lstm {
    /// Returns the input indices of the state, the mask and the dropout factors, in this order;
    /// `None` for an absent input.
    pub fn optional(&self) -> [Option<usize>; 3] {
        self.inputs.places(2)
    }
}

impl Definition for Lstm {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(Extents { steps, batch, hidden }) = extents(&io.signature.outputs[1], 4) else {
            return;
        };
        let u = io.input(1);
        let [state, mask, dropout] = self.optional();
        let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
        let mask = mask.map(|p| io.uints(p));
        let [h, gates, c, last] = io.outputs();
        let per_step = batch * hidden;
        copy_or_zero(last, state);
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
                c[t * per_step + e] = c_last[e];
                let mut kept = [F::zero(); 4];
                if is_unmasked(mask, t * batch + row) {
                    let gates = self.gates.values(z);
                    [h_last[e], c_last[e]] = self.gates.step(gates, c_last[e]);
                    kept = self.gates.kept(z, gates);
                }
                for (gate, value) in kept.into_iter().enumerate() {
                    gates[((t * batch + row) * 4 + gate) * hidden + j] = value;
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
        let [x, u, ..] = inputs else { return Err(OpError::shape("it takes x and U")) };
        let Extents { steps, batch, hidden } = extents(x, 4)?;
        ensure(u.dims() == [hidden, 4 * hidden], || {
            format!("U is {u}, not [{hidden}x{}]", 4 * hidden)
        })?;
        self.inputs.check(inputs, 2, [2, batch, hidden], (steps, 4))?;
        let sequence = TensorType::f32([steps, batch, hidden]).of(x.dtype);
        let last = TensorType::f32([2, batch, hidden]);
        Ok(vec![sequence.clone(), x.clone(), sequence, last])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let scan = Scan {
            direction: Direction::Forward,
            extents: extents(&s.outputs[1], 4)?,
            dropout: self.inputs.dropout,
            half: s.outputs[1].dtype == DType::F16,
        };
        let bind = |launch| self.gates.bind_forward(launch, self.optional());
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
        let [state, mask, dropout] = self.optional().map(|place| place.map(|p| operands.inputs[p]));
        let u_transposed = graph.apply(TransposeLeading, &[operands.inputs[1]])?;
        let mut inputs = vec![gates, u_transposed, c];
        inputs.extend([mask, dropout, d_hidden, d_last].into_iter().flatten());
        let op = LstmBackward {
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
        let (x, u) = (s.outputs[1].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * x * u + 10 * s.outputs[2].len() as u64, bytes: s.bytes() }
    }
}
