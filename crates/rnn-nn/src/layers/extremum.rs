use super::merging::{either, mask_steps, one_shape, others};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Concat, MaxPool, Padding, Scale, Windows};

/// A layer that takes the largest, or the smallest, of the elements at each place of inputs of one
/// shape. [`Maximum`] and [`Minimum`] create it. Unlike in Keras shapes are not broadcast: the call
/// of a model on other shapes fails.
///
/// Of equal elements the gradient goes to that of the first input. If an element is NaN, so is the
/// result. What is masked in an input does not count; a step that is masked in all inputs is that of
/// the first (`_apply_merge_op_and_or_mask` in keras/src/layers/merging/base_merge.py). If all
/// inputs have masks, a step of the output is unmasked if it is unmasked in at least one; otherwise
/// the output has no mask.
#[derive(Clone, Debug)]
pub struct Extremum {
    largest: bool,
}

/// Creates a layer that takes the largest element of all inputs, one or more of one shape: y =
/// max(x_1, x_2, ..) (keras/src/layers/merging/maximum.py).
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Maximum() -> Extremum {
    Extremum { largest: true }
}

/// Creates a layer that takes the smallest element of all inputs, one or more of one shape: y =
/// min(x_1, x_2, ..) (keras/src/layers/merging/minimum.py).
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Minimum() -> Extremum {
    Extremum { largest: false }
}

impl Layer for Extremum {
    fn class(&self) -> &'static str {
        if self.largest { "Maximum" } else { "Minimum" }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        _: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(input)
    }

    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        let outputs = one_shape(inputs).map(|shape| vec![shape]);
        outputs.ok_or_else(|| LayerError::of(self.class(), "inputs of one shape", inputs))
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        _: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let mut output = inputs[0];
        for &input in &inputs[1..] {
            let (mut x, mut so_far) = (input.tensor, output.tensor);
            if let Some(own) = input.mask {
                x = select(cx, own, x, so_far)?;
            }
            // Behind the same mask both are equal now where it masks.
            if let Some(own) = output.mask.filter(|_| output.mask != input.mask) {
                so_far = select(cx, own, so_far, x)?;
            }
            let mask = either(cx, &[output, input])?;
            output = Value { tensor: self.of(cx, so_far, x)?, mask };
        }
        Ok(vec![output])
    }

    fn merges(&self) -> bool {
        true
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Either
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        Ok(vec![cx.node_of_inputs(if self.largest { "Max" } else { "Min" }, &[])])
    }

    /// What is masked does not count.
    fn uses_mask(&self) -> bool {
        true
    }

    fn arguments(&mut self, _: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Ok(())
    }
}

impl Extremum {
    /// The larger or smaller of two tensors of one shape, element by element: the largest pixel of
    /// windows of two, of which the first counts where they are equal.
    fn of(
        &self,
        cx: &mut ForwardContext<'_>,
        a: TensorId,
        b: TensorId,
    ) -> Result<TensorId, GraphError> {
        let shape = cx.graph.shape(a).clone();
        let elements = shape.len();
        let misfit = || cx.misfit(self.class(), a, "inputs of one shape");
        let shapes = [(2, 1, 1), (1, 1, 1), (1, 1, 1)];
        let pairs = Windows::over([2, 1, 1], shapes, Padding::Valid, true).ok_or_else(misfit)?;
        let mut rows = Vec::new();
        for x in [a, b] {
            let x = self.signed(cx, x)?;
            rows.push(cx.graph.reshape(x, [1, elements])?);
        }
        let both = cx.graph.apply(Concat, &rows)?;
        let both = cx.graph.reshape(both, [2, 1, 1, 1, elements])?;
        let largest = cx.graph.push(MaxPool(pairs), &[both])?[0];
        let largest = cx.graph.reshape(largest, shape)?;
        self.signed(cx, largest)
    }

    /// The smallest is the negated largest of what is negated.
    fn signed(&self, cx: &mut ForwardContext<'_>, x: TensorId) -> Result<TensorId, GraphError> {
        if self.largest { Ok(x) } else { cx.graph.apply(Scale(-1.0), &[x]) }
    }
}

/// a at unmasked steps, b at masked ones.
fn select(
    cx: &mut ForwardContext<'_>,
    mask: TensorId,
    a: TensorId,
    b: TensorId,
) -> Result<TensorId, GraphError> {
    let masked = others(cx, mask)?;
    let (a, b) = (mask_steps(cx, a, mask)?, mask_steps(cx, b, masked)?);
    cx.graph.apply(Binary::Add, &[a, b])
}
