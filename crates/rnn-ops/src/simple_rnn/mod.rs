pub mod backward;
mod cases;

pub use cases::cases;

use crate::common::{dims, ensure};
use crate::recurrent::cell_kernels::{CellKernels, Direction, Scan};
use crate::recurrent::{
    ScanInputs, copy_or_zero, extents, is_unmasked, optional_inputs, recurrent_gradient,
};
use crate::{
    Activation, Binary, Cast, Definition, DropoutMatmul, Matmul, Pad, SimpleRnnBackward,
    TransposeLeading,
};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Io, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId, TensorType,
    Work,
};

/// Kernels of the SimpleRNN cell, for sequences of single and half precision. The state of a unit
/// is h.
pub static KERNELS: CellKernels = cell_kernels!(
    "simple_rnn" and half, rnn_shaders::simple_rnn::CELL);

/// A fully connected recurrent layer over a whole sequence (keras/src/layers/rnn/simple_rnn.py):
/// h(t) = activation(x(t) + (h(t-1) d) U), with the dropout factors d, else 1. Where a row is
/// masked at t, h(t) = h(t-1). T is the number of steps, B the batch size, H the number of units.
///
/// Inputs: x `[T, B, H]`, the layer's input after the product with the kernel and the bias; U
/// `[H, H]`; then those of [`ScanInputs`], with a state `[1, B, H]`. Outputs: h `[T, B, H]` and the
/// final state `[1, B, H]`. All sequences may have half precision; sums and the state have single
/// precision.
#[derive(Clone, Debug)]
pub struct SimpleRnn {
    /// Activation of the new state.
    pub activation: Activation,
    /// The optional inputs after x and U.
    pub inputs: ScanInputs,
}

impl SimpleRnn {
    /// Adds x(t) + (h(t-1) d) U of all steps, and returns it. It is computed again for a backward
    /// pass whose activation keeps its input, since the forward pass stores h alone.
    fn pre_activations(&self, graph: &mut Graph, operands: &Operands) -> Result<TensorId, OpError> {
        let [state, _, dropout] =
            self.inputs.places(2).map(|place| place.map(|p| operands.inputs[p]));
        let (mut x, mut hidden) = (operands.inputs[0], operands.outputs[0]);
        let stored = graph[hidden].ty.dtype;
        let [steps, batch, units] = dims(&graph[hidden].ty)?;
        if stored == DType::F16 {
            x = graph.apply(Cast(DType::F32), &[x])?;
            hidden = graph.apply(Cast(DType::F32), &[hidden])?;
        }
        // h(t-1): the initial state, then all but the last step.
        let full = graph.shape(hidden).clone();
        let mut before = None;
        if steps > 1 {
            let earlier = graph.view(hidden, 0, [steps - 1, batch, units])?;
            let pad = Pad { offset: batch * units, full: full.clone() };
            before = Some(graph.apply(pad, &[earlier])?);
        }
        if let Some(state) = state {
            let first = graph.apply(Pad { offset: 0, full }, &[state])?;
            before = Some(match before {
                Some(later) => graph.apply(Binary::Add, &[later, first])?,
                None => first,
            });
        }
        let mut z = x;
        if let Some(before) = before {
            let u = operands.inputs[1];
            let product = match dropout {
                Some(d) => {
                    let op = DropoutMatmul { bias: false, output: DType::F32 };
                    graph.apply(op, &[before, u, d])?
                }
                None => graph.apply(Matmul::default(), &[before, u])?,
            };
            z = graph.apply(Binary::Add, &[x, product])?;
        }
        Ok(if stored == DType::F16 { graph.apply(Cast(stored), &[z])? } else { z })
    }
}

impl Definition for SimpleRnn {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let &[steps, batch, hidden] = io.dims(0) else { return };
        let (x, u) = (io.input(0), io.input(1));
        let [state, mask, dropout] = self.inputs.places(2);
        let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
        let mask = mask.map(|p| io.uints(p));
        let [h, last] = io.outputs();
        copy_or_zero(last, state);
        let per_step = batch * hidden;
        for t in 0..steps {
            let before = last.to_vec();
            for e in 0..per_step {
                let (row, j) = (e / hidden, e % hidden);
                if is_unmasked(mask, t * batch + row) {
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
        let kept = match self.activation.keeps_input() {
            true => self.pre_activations(graph, operands)?,
            false => hidden,
        };
        let mut inputs = vec![u_transposed, kept];
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
