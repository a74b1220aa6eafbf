pub mod backward;
mod cases;

pub use cases::cases;

use crate::common::ensure;
use crate::conv::{ConvKernel, Pixels, Windows};
use crate::lstm;
use crate::recurrent::cell_kernels::with_matrix;
use crate::recurrent::step::Step;
use crate::recurrent::{Extents, copy_or_zero, is_unmasked};
use crate::{
    Binary, Cast, Columns, Concat, ConvLstmBackward, Definition, Fill, LstmGates, ScanInputs,
};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, GraphError, InPlace, Io, Limits, Op, OpError, Operand, Operands, Real, Signature,
    TensorId, TensorType, Work,
};

/// A convolutional LSTM over a whole sequence (keras/src/layers/rnn/conv_lstm.py): an
/// [`crate::Lstm`] whose product h(t-1) U is a convolution. For pixel p, step t and gate k
///
/// ```text
/// z_k(p, t) = x_k(p, t) + sum over the taps j of (h(p + j, t-1) d_k(p + j)) U_j,k
/// ```
///
/// where p + j is the pixel that tap j of p's window sees, and d_k are dropout factors, else 1.
/// Where an item is masked at t, h and c stay, and the gates are 0.
///
/// Inputs, for T steps of B items of D x H x W pixels with F channels: x `[T B, D, H, W, 4F]`, the
/// layer's input after the convolution and the bias; U `[taps, F, 4F]`; then those of
/// [`ScanInputs`], in other shapes: the state `[2 B, D, H, W, F]` (h, then c), the mask u32
/// `[T, B]`, the dropout factors `[4 B, D, H, W, F]`.
///
/// Outputs: h `[T B, D, H, W, F]`; what is kept of the gates `[T B, D, H, W, 4F]`
/// ([`Activation::kept`](crate::Activation::kept)), which overwrites x; c(t-1) `[T B, D, H, W, F]`; and the final state `[2 B, D, H, W, F]`. Gates and c(t-1) are for the
/// backward pass; gradients flow through h and the final state. All sequences may have half
/// precision; sums and the state have single precision.
#[derive(Clone, Debug)]
pub struct ConvLstm {
    /// T, the number of time steps.
    pub steps: usize,
    /// Windows over h, one for each of its pixels, with [`Windows::leading`] false.
    pub windows: Windows,
    /// Activations of the gates and the states.
    pub gates: LstmGates,
    /// The optional inputs after x and U.
    pub inputs: ScanInputs,
}

/// Extents of the sequences of a [`ConvLstm`].
#[derive(Clone, Copy, Debug)]
pub struct ConvLstmExtents {
    /// The pixels of one time step, of all items.
    pub step: Pixels,
    /// F, the channels of h.
    pub filters: usize,
}

impl ConvLstmExtents {
    /// Returns the number of elements of h at one time step: B D H W F.
    pub fn per_step(&self) -> usize {
        self.step.len() * self.filters
    }

    /// Returns the single-precision type of `times` time steps with `channels` channels:
    /// `[times B, D, H, W, channels]`.
    pub fn ty(&self, times: usize, channels: usize) -> TensorType {
        Pixels { items: times * self.step.items, ..self.step }.ty(channels)
    }
}

impl ConvLstm {
    /// Returns the extents of a sequence x `[T B, D, H, W, 4F]`.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if `x` does not have five axes or has no elements, T is 0 or
    /// does not divide the leading axis, 4 does not divide the channels, or the windows are
    /// [`Windows::leading`] or not one for each pixel.
    pub fn extents(&self, x: &TensorType) -> Result<ConvLstmExtents, OpError> {
        let (all, channels) = self.windows.sources(x)?;
        let keeps = self.windows.axes.iter().zip(all.extents).all(|(a, e)| a.windows == e);
        ensure(!self.windows.leading && keeps, || format!("{:?} over {x}", self.windows))?;
        let whole = self.steps > 0 && all.items % self.steps == 0 && channels % 4 == 0;
        ensure(whole, || format!("{x} does not hold four gates for {} steps", self.steps))?;
        let step = Pixels { items: all.items / self.steps, ..all };
        Ok(ConvLstmExtents { step, filters: channels / 4 })
    }

    /// Returns the launch parameters of one step.
    ///
    /// # Errors
    /// Fails if the cell has no modules for this precision.
    pub(crate) fn step(&self, e: &ConvLstmExtents, half: bool) -> Result<Step, OpError> {
        let extents = Extents { steps: self.steps, batch: e.step.items, hidden: e.filters };
        let shader = &lstm::KERNELS.of(half)?.step;
        let terms = self.windows.taps() * e.filters;
        Ok(Step { shader, extents, rows: e.step.len(), terms, transposed: false })
    }

    /// Adds the gradient of U: that of one convolution over all h(t-1) with the gradients dz(t).
    fn recurrent_gradient(
        &self,
        graph: &mut Graph,
        (hidden, dz): (TensorId, TensorId),
        [state, dropout]: [Option<TensorId>; 2],
    ) -> Result<TensorId, OpError> {
        let e = self.extents(&graph[dz].ty)?;
        let (mut hidden, mut dz) = (hidden, dz);
        if dropout.is_some() && graph[dz].ty.dtype == DType::F16 {
            let mut widen = |t| graph.apply(Cast(DType::F32), &[t]);
            (hidden, dz) = (widen(hidden)?, widen(dz)?);
        }
        let mut add = |h: TensorId, steps: usize, from: usize| -> Result<TensorId, GraphError> {
            let h = graph.view(h, 0, e.ty(steps, e.filters).shape)?;
            let dz = graph.view(dz, 4 * from * e.per_step(), e.ty(steps, 4 * e.filters).shape)?;
            let kernel = ConvKernel { windows: self.windows };
            let Some(dropout) = dropout else { return graph.apply(kernel, &[h, dz]) };
            let mut gates = Vec::new();
            for gate in 0..4 {
                let one = e.ty(1, e.filters).shape;
                let factors = graph.view(dropout, gate * e.per_step(), one.clone())?;
                let by_step = graph.reshape(h, [&[steps], one.dims()].concat())?;
                let seen = graph.apply(Binary::Mul, &[by_step, factors])?;
                let seen = graph.reshape(seen, e.ty(steps, e.filters).shape)?;
                let columns = Columns { start: gate * e.filters, width: e.filters };
                let dz = graph.apply(columns, &[dz])?;
                gates.push(graph.apply(kernel.clone(), &[seen, dz])?);
            }
            graph.apply(Concat, &gates)
        };
        let later = (self.steps > 1).then(|| add(hidden, self.steps - 1, 1)).transpose();
        let first = state.map(|state| add(state, 1, 0)).transpose();
        Ok(match (later?, first?) {
            (Some(a), Some(b)) => graph.apply(Binary::Add, &[a, b])?,
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => {
                let shape = [self.windows.taps(), e.filters, 4 * e.filters].into();
                graph.apply(Fill { shape, value: 0.0 }, &[])?
            }
        })
    }
}

impl Definition for ConvLstm {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(e) = self.extents(&io.signature.inputs[0]) else { return };
        let (u, filters, per_step) = (io.input(1), e.filters, e.per_step());
        let [state, mask, dropout] = self.inputs.places(2);
        let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
        let mask = mask.map(|p| io.uints(p));
        let [h, gates, c, last] = io.outputs();
        copy_or_zero(last, state);
        let (h_last, c_last) = last.split_at_mut(per_step);
        for t in 0..self.steps {
            let h_before = h_last.to_vec();
            for (pixel, (item, place)) in e.step.places().enumerate() {
                for j in 0..filters {
                    let row = t * e.step.len() + pixel;
                    let z = [0, 1, 2, 3].map(|gate| {
                        let column = gate * filters + j;
                        let taps = self.windows.seen(place, e.step.extents);
                        let sum: F = taps
                            .map(|(tap, seen)| {
                                let from = e.step.at(item, seen) * filters;
                                let factor = |k: usize| {
                                    dropout.map_or(F::one(), |d| d[gate * per_step + from + k])
                                };
                                let weight =
                                    |k: usize| u[(tap * filters + k) * 4 * filters + column];
                                (0..filters)
                                    .map(|k| h_before[from + k] * factor(k) * weight(k))
                                    .sum::<F>()
                            })
                            .sum();
                        gates[row * 4 * filters + column] + sum
                    });
                    let at = pixel * filters + j;
                    c[t * per_step + at] = c_last[at];
                    let mut kept = [F::zero(); 4];
                    if is_unmasked(mask, t * e.step.items + item) {
                        let values = self.gates.values(z);
                        [h_last[at], c_last[at]] = self.gates.step(values, c_last[at]);
                        kept = self.gates.kept(z, values);
                    }
                    for (gate, value) in kept.into_iter().enumerate() {
                        gates[(row * 4 + gate) * filters + j] = value;
                    }
                    h[t * per_step + at] = h_last[at];
                }
            }
        }
    }
}

impl Op for ConvLstm {
    fn name(&self) -> &'static str {
        "conv_lstm"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn in_place(&self) -> Option<InPlace> {
        Some(InPlace { input: 0, output: 1 })
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let places = self.inputs.places(2);
        let wanted = 2 + places.iter().flatten().count();
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let e = self.extents(&inputs[0])?;
        let state = e.ty(2, e.filters);
        let types = [
            (Some(1), TensorType::f32([self.windows.taps(), e.filters, 4 * e.filters])),
            (places[0], state.clone()),
            (places[1], TensorType::u32([self.steps, e.step.items])),
            (places[2], e.ty(4, e.filters)),
        ];
        for (place, ty) in types {
            let fits = place.is_none_or(|place| inputs[place] == ty);
            ensure(fits, || format!("an input of {inputs:?} should be {ty}"))?;
        }
        let sequence = e.ty(self.steps, e.filters).of(inputs[0].dtype);
        Ok(vec![sequence.clone(), inputs[0].clone(), sequence, state])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let e = self.extents(&s.inputs[0])?;
        let half = s.inputs[0].dtype == DType::F16;
        let step = self.step(&e, half)?;
        let launch = |t| {
            let launch = step.forward(0..4, t, self.inputs.dropout)?;
            let launch = self.windows.describe(launch, e.step.extents);
            Ok(self.gates.bind_forward(launch, self.inputs.places(2)))
        };
        let launches = (0..self.steps).map(launch).collect::<Result<Vec<_>, OpError>>()?;
        with_matrix(launches.into_iter(), (Operand::Input(1), s.inputs[1].len()), half)
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
        let [state, mask, dropout] =
            self.inputs.places(2).map(|place| place.map(|p| operands.inputs[p]));
        let mut inputs = vec![gates, operands.inputs[1], c];
        inputs.extend([mask, dropout, d_hidden, d_last].into_iter().flatten());
        let (d_hidden, d_last) = (d_hidden.is_some(), d_last.is_some());
        let op = ConvLstmBackward { forward: self.clone(), d_hidden, d_last };
        let result = graph.push(op, &inputs)?;
        let du = self.recurrent_gradient(graph, (hidden, result[0]), [state, dropout])?;
        let mut all = vec![Some(result[0]), Some(du)];
        all.extend(state.map(|_| Some(result[1])));
        all.resize(operands.inputs.len(), None);
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let (pixels, u) = (s.inputs[0].shape.rows() as u64, s.inputs[1].len() as u64);
        Cost { flops: 2 * pixels * u + 8 * s.outputs[1].len() as u64, bytes: s.bytes() }
    }
}
