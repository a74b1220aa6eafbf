use super::merging::{MERGED, add_axes_onnx, either, mask_steps, others};
use super::operations::{merged, merged_shape};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::Binary;

/// A layer that takes the largest, or the smallest, of the elements at each place of its inputs.
/// [`Maximum`] and [`Minimum`] create it. Where shapes differ, extents of 1 are broadcast, and inputs
/// with fewer axes get more behind the batch.
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

/// Creates a layer that takes the largest element of all inputs, one or more: y =
/// max(x_1, x_2, ..) (keras/src/layers/merging/maximum.py).
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Maximum() -> Extremum {
    Extremum { largest: true }
}

/// Creates a layer that takes the smallest element of all inputs, one or more: y =
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
        let outputs = merged_shape(inputs).map(|shape| vec![shape]);
        outputs.ok_or_else(|| LayerError::of(self.class(), MERGED, inputs))
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        _: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let fitted = merged(cx, inputs)?;
        let misfit = || cx.misfit(self.class(), inputs[0].tensor, MERGED);
        let inputs = &fitted.ok_or_else(misfit)?[..];
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
            let op = if self.largest { Binary::Max } else { Binary::Min };
            output = Value { tensor: cx.graph.apply(op, &[so_far, x])?, mask };
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
        add_axes_onnx(cx);
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
