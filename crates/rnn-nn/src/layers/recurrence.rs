//! The forward pass of recurrent layers.

use super::axes::{stack, swap_leading};
use super::cell::{Cell, CellShapes, Scan};
use super::recurrent::Recurrent;
use crate::layer::{Arguments, ForwardContext, MaskFlow, Numbers, Value, Weight, WeightArguments};
use crate::onnx::{ExportError, OnnxContext, OnnxScan, ScanOptions};
use crate::{ConfigError, Layer, LayerError};
use rnn_core::{DType, Shape};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Assign, Cast, MaskItems, Pad, ReverseLeading, ScanInputs, SeenMask};
use std::sync::Arc;

/// The results of [`Recurrent::call`], in the graph.
#[derive(Clone, Copy, Debug)]
pub struct Recurred {
    /// h of the last step, or of every step, `[T, B, ..]`, with `return_sequences`.
    /// [`Value::tensor`] describes the order of axes.
    pub output: Value,
    /// The final state, `[STATES, B, ..]`, of which h is the first tensor.
    pub state: TensorId,
}

impl<C: Cell> Recurrent<C> {
    /// Adds the forward pass on the input `[T, B, ..]` to the graph. `w` holds the weights in
    /// Keras's order: W, U and, if the layer has a bias, b. The first step takes the state
    /// `initial`, `[STATES, B, ..]`. Without it the first step takes the state that a stateful
    /// layer has kept, or else zeros.
    ///
    /// # Errors
    /// Fails if the shape of an operand does not fit.
    ///
    /// # Panics
    /// Panics if `w` has too few weights, or the input fewer than two axes.
    pub fn call(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        initial: Option<TensorId>,
        w: &[TensorId],
    ) -> Result<Recurred, GraphError> {
        let ordered = self.in_order(cx, input)?;
        let axes = cx.graph.shape(ordered.tensor).dims().to_vec();
        let sample = [&axes[..1], &axes[2..]].concat();
        let fits = self.cell.shapes(&sample, self.units);
        let misfit = || cx.misfit(C::CLASS, input.tensor, self.cell.expected());
        let shapes = fits.ok_or_else(misfit)?;
        let of_state = |times| Shape::from([&[times, axes[1]], &shapes.state[..]].concat());
        let shape = of_state(C::STATES);
        let kept = self.stateful.then(|| cx.kept_state(shape.clone()));
        // The backward pass reads the state too, when the one that is kept has moved on.
        let copy = |kept| cx.graph.apply(Pad { offset: 0, full: shape.clone() }, &[kept]);
        let initial = match (initial, kept) {
            (Some(initial), _) => Some(initial),
            (None, kept) => kept.map(copy).transpose()?,
        };
        let factors = cx.drop_factors(self.recurrent_dropout, of_state(C::GATES))?;
        let optional: Vec<TensorId> =
            [initial, ordered.mask, factors].into_iter().flatten().collect();
        let scan = Scan {
            steps: axes[0],
            projected: [self.project(cx, ordered.tensor, w)?, w[1]],
            bias: w.get(2).copied(),
            inputs: ScanInputs {
                state: initial.is_some(),
                mask: ordered.mask.is_some(),
                dropout: factors.is_some(),
            },
            optional: &optional,
        };
        let (hidden, state) = self.cell.scan(cx, scan)?;
        if let Some(kept) = kept {
            cx.graph.push_node(Arc::new(Assign), &[state], &[kept])?;
        }
        let mut output = match self.return_sequences {
            true => Value { tensor: widen(cx, hidden)?, mask: input.mask },
            false => cx.graph.view(state, 0, &of_state(1).dims()[1..])?.into(),
        };
        if let Some(mask) = ordered.mask {
            if self.zero_output_for_mask {
                output.tensor = self.mask_output(cx, output.tensor, mask)?;
            } else if initial.is_some() {
                // Until its first unmasked step the output of a row is zeros, not the state that it begins
                // with.
                let seen = cx.graph.apply(SeenMask, &[mask])?;
                output.tensor = self.mask_output(cx, output.tensor, seen)?;
            }
        }
        if !self.return_sequences {
            output.tensor = swap_leading(cx, output.tensor)?;
        }
        cx.regularize(output.tensor, self.activity_regularizer.as_ref())?;
        Ok(Recurred { output, state })
    }

    /// Visits the arguments that are of Keras's cell.
    pub(super) fn cell_arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required(C::UNITS, &mut self.units)?;
        self.cell.arguments(a)?;
        a.optional("use_bias", &mut self.use_bias)?;
        a.number("dropout", &mut self.dropout, Numbers::Rate)?;
        a.number("recurrent_dropout", &mut self.recurrent_dropout, Numbers::Rate)?;
        a.ignored(&["implementation", "seed"]);
        a.weight("kernel", &mut self.kernel)?;
        a.weight("recurrent", &mut self.recurrent)?;
        a.weight("bias", &mut self.bias)
    }

    /// Visits the arguments that are of Keras's layer around a cell.
    pub(super) fn scan_arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("return_sequences", &mut self.return_sequences)?;
        a.optional("return_state", &mut self.return_state)?;
        a.optional("go_backwards", &mut self.go_backwards)?;
        a.optional("stateful", &mut self.stateful)?;
        a.optional("zero_output_for_mask", &mut self.zero_output_for_mask)?;
        a.ignored(&["unroll"]);
        a.in_training("activity_regularizer", &mut self.activity_regularizer)
    }

    /// The tensors of the final state `[STATES, B, ..]`, if the layer returns them.
    pub(super) fn returned_states(
        &self,
        cx: &mut ForwardContext<'_>,
        state: TensorId,
    ) -> Result<Vec<Value>, GraphError> {
        let shape = cx.graph.shape(state).dims()[1..].to_vec();
        let elements: usize = shape.iter().product();
        let one = |index| {
            let one = cx.graph.view(state, index * elements, shape.as_slice())?;
            let one = swap_leading(cx, one)?;
            // Keras regularizes all that a layer returns (keras/src/layers/layer.py).
            cx.regularize(one, self.activity_regularizer.as_ref())?;
            Ok(one.into())
        };
        (0..if self.return_state { C::STATES } else { 0 }).map(one).collect()
    }

    /// The number of weights, which does not depend on the input.
    pub(super) fn count_weights(&self) -> usize {
        2 + usize::from(self.use_bias)
    }

    fn shapes(&self, input: &[usize]) -> Result<CellShapes, LayerError> {
        let fits = self.cell.shapes(input, self.units);
        fits.ok_or_else(|| LayerError::new(C::CLASS, self.cell.expected(), input))
    }

    fn in_order(&self, cx: &mut ForwardContext<'_>, input: Value) -> Result<Value, GraphError> {
        if !self.go_backwards {
            return Ok(input);
        }
        let mut reverse = |t: TensorId| cx.graph.apply(ReverseLeading, &[t]);
        Ok(Value { tensor: reverse(input.tensor)?, mask: input.mask.map(reverse).transpose()? })
    }

    /// x W + b for all steps.
    fn project(
        &self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let drops = self.cell.input_drops(self.recurrent_dropout > 0.0);
        let factors = [&[drops], &cx.graph.shape(x).dims()[1..]].concat();
        let factors = cx.drop_factors(self.dropout, factors)?;
        let bias = self.use_bias.then(|| cx.graph.view(w[2], 0, [C::GATES * self.units]));
        self.cell.project(cx, x, [Some(w[0]), bias.transpose()?, factors])
    }

    /// Zeros where a mask `[T, B]` says so, of a single output where it does of the last step.
    fn mask_output(
        &self,
        cx: &mut ForwardContext<'_>,
        output: TensorId,
        mask: TensorId,
    ) -> Result<TensorId, GraphError> {
        let [steps, batch] = [0, 1].map(|axis| cx.graph.shape(mask).dims()[axis]);
        let mask = match self.return_sequences {
            true => mask,
            false => cx.graph.view(mask, (steps - 1) * batch, [batch])?,
        };
        mask_rows(cx, output, mask)
    }
}

/// Converts an output of the layer to single precision.
fn widen(cx: &mut ForwardContext<'_>, x: TensorId) -> Result<TensorId, GraphError> {
    match cx.graph[x].ty.dtype {
        DType::F16 => cx.graph.apply(Cast(DType::F32), &[x]),
        _ => Ok(x),
    }
}

/// Zeros where the mask says so; all of a sample's state is one item.
fn mask_rows(
    cx: &mut ForwardContext<'_>,
    output: TensorId,
    mask: TensorId,
) -> Result<TensorId, GraphError> {
    let shape = cx.graph.shape(output).clone();
    let items = cx.graph.shape(mask).dims().to_vec();
    let width = shape.len() / items.iter().product::<usize>();
    let rows = cx.graph.reshape(output, [&items[..], &[width]].concat())?;
    let rows = cx.graph.apply(MaskItems, &[rows, mask])?;
    cx.graph.reshape(rows, shape)
}

impl<C: Cell> Layer for Recurrent<C> {
    fn class(&self) -> &'static str {
        C::CLASS
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let shapes = self.shapes(input)?;
        let mut all = vec![
            Weight::new("kernel", &shapes.kernel, &self.kernel),
            Weight::new("recurrent_kernel", &shapes.recurrent_kernel, &self.recurrent),
        ];
        let (shape, initializer) = self.cell.bias(self.units, &self.bias.initializer);
        let bias = WeightArguments { initializer, ..self.bias.clone() };
        all.extend(self.use_bias.then(|| Weight::new("bias", &shape, &bias)));
        Ok(all.into_iter().map(|weight| weight.of("cell")).collect())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let state = self.shapes(input)?.state;
        Ok(if self.return_sequences { [&input[..1], &state].concat() } else { state })
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(self.call(cx, input, None, w)?.output)
    }

    /// Behind the output the tensors of the final state, if they are returned. Behind the sequence
    /// there may be those of the initial state.
    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        let misfit = || LayerError::of(C::CLASS, "a sequence, and no or all states", inputs);
        let (&sequence, states) = inputs.split_first().ok_or_else(misfit)?;
        let state = self.shapes(sequence)?.state;
        let begins = states.is_empty() || states.len() == C::STATES;
        if !begins || states.iter().any(|given| **given != state) {
            return Err(misfit());
        }
        let more = if self.return_state { C::STATES } else { 0 };
        Ok([vec![self.output_shape(sequence)?], vec![state; more]].concat())
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        w: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let Some((&input, states)) = inputs.split_first() else { return Ok(vec![]) };
        let initial = (!states.is_empty()).then(|| stack(cx, states)).transpose()?;
        // Keras 3 does not hand a mask to a layer that is given states; behind it there is one.
        let masked = if initial.is_some() { Value { mask: None, ..input } } else { input };
        let Recurred { mut output, state } = self.call(cx, masked, initial, w)?;
        output.mask = input.mask.filter(|_| self.return_sequences);
        let states = self.returned_states(cx, state)?;
        Ok([vec![output], states].concat())
    }

    fn mask_flow(&self) -> MaskFlow {
        if self.return_sequences { MaskFlow::Passes } else { MaskFlow::Ends }
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        if self.stateful {
            return Err(cx.refuse("it keeps its state between batches; use return_state"));
        }
        let Self { units, use_bias, go_backwards, return_sequences, .. } = *self;
        let options = ScanOptions { units, use_bias, go_backwards, return_sequences };
        let OnnxScan { sequence, states } = self.cell.onnx(cx, options)?;
        let output = sequence.or_else(|| states.first().cloned());
        let states = if self.return_state { states } else { vec![] };
        Ok(output.into_iter().chain(states).collect())
    }

    fn uses_mask(&self) -> bool {
        true
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        self.cell_arguments(a)?;
        self.scan_arguments(a)
    }
}
