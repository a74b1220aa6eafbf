//! Shared parts of the ops over whole sequences: optional inputs, launches, the gradient of U.

#[macro_use]
pub mod cell_kernels;
mod scan;
pub mod step;

use crate::common::{dims, ensure};
use crate::{Binary, DropoutMatmulWeights, Fill, Matmul, Sample};
use rnn_graph::{Graph, GraphError, Launch, OpError, Operand, Real, TensorId, TensorType};
use std::fmt;

/// Extents of a recurrence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// T, the number of time steps.
    pub steps: usize,
    /// B, the batch size.
    pub batch: usize,
    /// H, the number of hidden units.
    pub hidden: usize,
}

/// Returns the extents of a sequence `[T, B, parts H]`.
///
/// # Errors
/// Fails if it does not have three axes, or the last is not divisible by `parts`.
pub(crate) fn extents(x: &TensorType, parts: usize) -> Result<Extents, OpError> {
    let [steps, batch, columns] = dims(x)?;
    let fits = columns % parts == 0 && steps > 0;
    ensure(fits, || format!("{x} does not hold {parts} parts for some steps"))?;
    Ok(Extents { steps, batch, hidden: columns / parts })
}

/// The optional inputs of a recurrent op. The inputs that are present follow the op's other inputs
/// in the order of these fields. T is the number of time steps, B the batch size, H the number of
/// units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScanInputs {
    /// True if the state before the first step, `[S, B, H]`, is an input; if not, that state is
    /// zero. S is 2 for an LSTM (h, then c), else 1.
    pub state: bool,
    /// True if a mask, u32 `[T, B]`, is an input. Where the mask is 0, the row keeps its state at
    /// that step.
    pub mask: bool,
    /// True if dropout factors, `[gates, B, H]`, are an input. Each gate multiplies the hidden
    /// state by its own factors, which are the same at every step.
    pub dropout: bool,
}

impl ScanInputs {
    /// Returns the input indices of the state, the mask and the dropout factors, if `first` other
    /// inputs precede them; `None` for an absent input.
    pub fn places(&self, first: usize) -> [Option<usize>; 3] {
        places(first, [self.state, self.mask, self.dropout])
    }

    /// Checks the types of the present inputs.
    ///
    /// # Errors
    /// Fails if a type does not fit the extents.
    pub(crate) fn check(
        &self,
        inputs: &[TensorType],
        first: usize,
        state: [usize; 3],
        (steps, gates): (usize, usize),
    ) -> Result<(), OpError> {
        let places = self.places(first);
        let wanted = first + places.iter().flatten().count();
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let [_, batch, hidden] = state;
        let types = [
            TensorType::f32(state),
            TensorType::u32([steps, batch]),
            TensorType::f32([gates, batch, hidden]),
        ];
        for (place, ty) in places.into_iter().zip(types) {
            if let Some(place) = place {
                ensure(inputs[place] == ty, || {
                    format!("input {place} is {}, not {ty}", inputs[place])
                })?;
            }
        }
        Ok(())
    }
}

/// Writes the names of the inputs that are present, each after a blank, for the names of cases.
impl fmt::Display for ScanInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [(self.state, " state"), (self.mask, " mask"), (self.dropout, " dropout")];
        named.iter().filter(|(present, _)| *present).try_for_each(|(_, name)| f.write_str(name))
    }
}

/// Returns the operand indices of `N` optional operands that follow `first` other operands. Operand
/// i exists if `present[i]` is true; the result is `None` for an absent operand.
pub fn places<const N: usize>(first: usize, present: [bool; N]) -> [Option<usize>; N] {
    let mut next = first;
    present.map(|present| {
        next += usize::from(present);
        present.then(|| next - 1)
    })
}

/// Adds to `launch` the constants and bindings of the mask and the dropout factors, which every
/// recurrent kernel has. `mask` and `dropout` are their input indices, `None` if absent. An absent
/// input sets a constant to false, so that the kernel does not read the other input that is bound
/// instead.
pub fn optional_inputs(launch: Launch, [mask, dropout]: [Option<usize>; 2]) -> Launch {
    // Absent inputs are never read; the matrix is bound in their place, or another input that the
    // kernel does not write.
    let or_any = |place: Option<usize>| Operand::Input(place.unwrap_or(1));
    launch
        .constant("HAS_MASK", u8::from(mask.is_some()))
        .constant("HAS_DROPOUT", u8::from(dropout.is_some()))
        .bind("mask", or_any(mask))
        .bind("dropout", or_any(dropout))
}

/// Copies `from`, a state or the gradient of a state, into `to`. If `from` is `None`, fills `to`
/// with zeros.
///
/// # Panics
/// Panics if the two slices differ in length.
pub fn copy_or_zero<F: Real>(to: &mut [F], from: Option<&[F]>) {
    match from {
        Some(from) => to.copy_from_slice(from),
        None => to.fill(F::zero()),
    }
}

/// Returns true if there is no mask, or if its element at index `at` is not 0.
///
/// # Panics
/// Panics if the mask has no such element.
pub fn is_unmasked(mask: Option<&[u32]>, at: usize) -> bool {
    mask.is_none_or(|mask| mask[at] != 0)
}

/// Adds to `graph` the gradient of a recurrent matrix U, and returns it: the sum over the steps t
/// of h(t-1)^T dz(t), as one product over the steps after the first and one for the first.
///
/// `hidden` is h `[T, B, H]`; `dz` is the gradient of the pre-activations `[T, B, G]`, where G is
/// the number of gates times H; `state` is the initial state, whose first `[B, H]` elements are h
/// before the first step, and `None` stands for zeros; `dropout` holds the factors of h,
/// `[gates, B, H]`, if any. The result is `[H, G]`.
///
/// # Errors
/// Fails with [`OpError`] if the shapes do not agree.
pub fn recurrent_gradient(
    graph: &mut Graph,
    hidden: TensorId,
    dz: TensorId,
    state: Option<TensorId>,
    dropout: Option<TensorId>,
) -> Result<TensorId, OpError> {
    let [steps, batch, units] = dims(&graph[hidden].ty)?;
    let gates = graph.shape(dz).last();
    let product = Matmul { transpose_a: true, ..Matmul::default() };
    let mut add = |a: TensorId, steps: usize, dz_from: usize| -> Result<TensorId, GraphError> {
        let a = graph.view(a, 0, [steps, batch, units])?;
        let b = graph.view(dz, dz_from * batch * gates, [steps, batch, gates])?;
        match dropout {
            Some(factors) => graph.apply(DropoutMatmulWeights, &[a, b, factors]),
            None => graph.apply(product.clone(), &[a, b]),
        }
    };
    let later = (steps > 1).then(|| add(hidden, steps - 1, 1)).transpose();
    let first = state.map(|state| add(state, 1, 0)).transpose();
    Ok(match (later?, first?) {
        (Some(a), Some(b)) => graph.apply(Binary::Add, &[a, b])?,
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => graph.apply(Fill { shape: [units, gates].into(), value: 0.0 }, &[])?,
    })
}

/// Returns samples of the optional inputs `with` of a scan, in their order: a state
/// `[states, batch, hidden]`, a mask `[steps, batch]` and dropout factors `[gates, batch, hidden]`.
/// The mask is 0 at about a third of its elements, and if there are several rows, at all steps of
/// the last row.
pub fn scan_samples(
    with: ScanInputs,
    [states, steps, batch, hidden]: [usize; 4],
    gates: usize,
) -> Vec<Sample> {
    let mask = (0..steps * batch)
        .map(|i| u32::from((i * 7 + i / 3) % 3 != 0 && i % batch + 1 < batch.max(2)));
    let mut samples = Vec::new();
    samples.extend(with.state.then(|| Sample::Uniform(vec![states, batch, hidden], -1.0, 1.0)));
    samples.extend(with.mask.then(|| Sample::Exactly(vec![steps, batch], mask.collect())));
    samples.extend(with.dropout.then(|| Sample::Uniform(vec![gates, batch, hidden], 0.0, 2.0)));
    samples
}
