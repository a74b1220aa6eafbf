use super::axes::{AxisArgument, place};
use super::operations::{merged, merged_shape};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::{Attribute::Int, ValueName};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Concat, Fill, MaskItems, Scale, StepMask};

/// A layer that combines inputs, element by element, into one output. [`Add`], [`Multiply`],
/// [`Average`] and [`Subtract`] create it. Where shapes differ, extents of 1 are broadcast, and inputs
/// with fewer axes get more behind the batch.
///
/// If all inputs have masks, a step of the output is unmasked if it is unmasked in at least one
/// (keras/src/layers/merging/base_merge.py); otherwise the output has no mask. In a product, a
/// masked step of an input counts as 1, and a step that is masked in all inputs becomes 0
/// (keras/src/layers/merging/multiply.py).
#[derive(Clone, Debug)]
pub struct Elementwise {
    class: &'static str,
    with: Binary,
    mean: bool,
}

/// Creates a layer that adds all inputs, one or more: y = x_1 + x_2 + ..
/// (keras/src/layers/merging/add.py).
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Add() -> Elementwise {
    Elementwise { class: "Add", with: Binary::Add, mean: false }
}

/// Creates a layer that multiplies all inputs, one or more: y = x_1 x_2 ..
/// (keras/src/layers/merging/multiply.py).
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Multiply() -> Elementwise {
    Elementwise { class: "Multiply", with: Binary::Mul, mean: false }
}

/// Creates a layer that averages all n inputs, one or more: y = (x_1 + x_2 + ..) / n
/// (keras/src/layers/merging/average.py).
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Average() -> Elementwise {
    Elementwise { class: "Average", with: Binary::Add, mean: true }
}

/// Creates a layer that subtracts the second of two inputs from the first, x_1 - x_2
/// (keras/src/layers/merging/subtract.py).
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Subtract() -> Elementwise {
    Elementwise { class: "Subtract", with: Binary::Sub, mean: false }
}

impl Layer for Elementwise {
    fn class(&self) -> &'static str {
        self.class
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
        let counts = if self.with == Binary::Sub { 2..=2 } else { 1..=usize::MAX };
        let expected = match self.with {
            Binary::Sub => "two inputs, of which each axis has one extent or is 1",
            _ => MERGED,
        };
        let outputs = merged_shape(inputs).filter(|_| counts.contains(&inputs.len()));
        outputs.map(|shape| vec![shape]).ok_or_else(|| LayerError::of(self.class, expected, inputs))
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        _: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let fitted = merged(cx, inputs)?;
        let misfit = || cx.misfit(self.class, inputs[0].tensor, MERGED);
        let inputs = &fitted.ok_or_else(misfit)?[..];
        let mask = either(cx, inputs)?;
        let mut operands = inputs.iter().map(|input| input.tensor).collect::<Vec<TensorId>>();
        if self.with == Binary::Mul {
            // Where masks differ, what is masked in one input does not change the others'.
            for (operand, input) in operands.iter_mut().zip(inputs) {
                if let Some(own) = input.mask.filter(|_| mask != input.mask) {
                    *operand = one_where_masked(cx, *operand, own)?;
                }
            }
        }
        let mut tensor = operands[0];
        for &other in &operands[1..] {
            tensor = cx.graph.apply(self.with, &[tensor, other])?;
        }
        if self.mean {
            tensor = cx.graph.apply(Scale(1.0 / inputs.len() as f32), &[tensor])?;
        }
        if let (Binary::Mul, Some(mask)) = (self.with, mask) {
            tensor = mask_steps(cx, tensor, mask)?;
        }
        Ok(vec![Value { tensor, mask }])
    }

    fn merges(&self) -> bool {
        true
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Either
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        add_axes_onnx(cx);
        Ok(vec![match (self.with, self.mean) {
            (_, true) => cx.node_of_inputs("Mean", &[]),
            (Binary::Sub, _) => cx.node_of_inputs("Sub", &[]),
            (Binary::Mul, _) => {
                let others: Vec<ValueName> =
                    cx.inputs.iter().skip(1).map(|input| input.value.clone()).collect();
                let first = cx.x()?;
                others.iter().fold(first, |product, x| cx.node("Mul", &[&product, x], &[]))
            }
            _ => cx.node_of_inputs("Sum", &[]),
        }])
    }

    /// Of a product masked steps count as 1.
    fn uses_mask(&self) -> bool {
        self.with == Binary::Mul
    }

    fn arguments(&mut self, _: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// A layer that concatenates its inputs along one axis: `[.., A]`, `[.., B]` -> `[.., A + B]` for
/// the last. All other extents must agree (keras/src/layers/merging/concatenate.py).
///
/// If sequences `[T, F]` are concatenated along their features, a step is unmasked if it is
/// unmasked in at least one input; along time, the masks are concatenated too. An input without a
/// mask counts as unmasked; masks of other tensors are refused. Unlike in Keras, axes are counted
/// without the batch.
#[derive(Clone, Debug)]
pub struct Concatenate {
    /// From the last, if negative; the batch does not count.
    axis: isize,
}

impl Concatenate {
    /// Creates a layer that concatenates its inputs along the last axis, as Keras does by default.
    pub fn new() -> Self {
        Self { axis: -1 }
    }

    /// Creates a layer that concatenates along the axis `axis`: 0 is the first after the batch,
    /// Keras's 1; -1 is the last, -2 the one before it. An axis that the inputs do not have is
    /// refused when a model calls the layer.
    pub fn axis(axis: isize) -> Self {
        Self { axis }
    }

    fn place(&self, rank: usize) -> Option<usize> {
        place(self.axis, rank)
    }

    /// The shape of the output.
    fn together(&self, inputs: &[&[usize]]) -> Option<Vec<usize>> {
        let mut shape = inputs.first()?.to_vec();
        let axis = self.place(shape.len())?;
        for input in &inputs[1..] {
            let extent = shape[axis];
            shape[axis] = *input.get(axis)?;
            if shape != *input {
                return None;
            }
            shape[axis] += extent;
        }
        Some(shape)
    }
}

impl Default for Concatenate {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for Concatenate {
    fn class(&self) -> &'static str {
        "Concatenate"
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
        let expected = "inputs of one shape but for the axis along which they are put together";
        let together = self.together(inputs);
        Ok(vec![together.ok_or_else(|| LayerError::of("Concatenate", expected, inputs))?])
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        _: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let first = inputs[0];
        let rank = cx.graph.shape(first.tensor).rank() - 1;
        let misfit = || cx.misfit("Concatenate", first.tensor, "another axis");
        let place = self.place(rank).ok_or_else(misfit)?;
        let masked = inputs.iter().any(|input| input.mask.is_some());
        let mask = match place {
            _ if !masked => None,
            _ if rank != 2 => {
                let wanted = "masks of sequences [T, F] alone, as Keras does";
                return Err(cx.misfit("Concatenate", first.tensor, wanted));
            }
            0 => Some(joined(cx, inputs)?),
            _ => either(cx, inputs)?,
        };
        // Of two axes and more the first stands in front of the batch.
        let axis = if place == 0 && rank > 1 { 0 } else { place + 1 };
        // Everything from that axis on is one row.
        let mut shape = cx.graph.shape(first.tensor).dims().to_vec();
        let before: usize = shape[..axis].iter().product();
        let mut rows = Vec::new();
        shape[axis] = 0;
        for input in inputs {
            let ty = cx.graph.shape(input.tensor).clone();
            shape[axis] += ty.dims()[axis];
            rows.push(cx.graph.reshape(input.tensor, [before, ty.len() / before])?);
        }
        let all = cx.graph.apply(Concat, &rows)?;
        let tensor = cx.graph.reshape(all, shape)?;
        Ok(vec![Value { tensor, mask }])
    }

    fn merges(&self) -> bool {
        true
    }

    /// Of the two axes of a sequence `[T, F]`, which alone has a mask here.
    fn mask_flow(&self) -> MaskFlow {
        match self.place(2) {
            Some(0) => MaskFlow::ConcatenatedSteps,
            _ => MaskFlow::ConcatenatedFeatures,
        }
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let axis = AxisArgument::of(self.axis).0;
        Ok(vec![cx.node_of_inputs("Concat", &[("axis", Int(axis as i64))])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        AxisArgument::visit(a, &mut self.axis)
    }
}

/// What layers merge that broadcast.
pub(super) const MERGED: &str = "inputs of which each axis has one extent or is 1";

/// Gives the inputs of a merging layer as many axes as the one with the most, in an ONNX graph.
pub(super) fn add_axes_onnx(cx: &mut OnnxContext<'_>) {
    let rank = cx.inputs.iter().map(|input| input.dims.len()).max().unwrap_or(0);
    let mut inputs = cx.inputs.clone();
    for input in inputs.iter_mut().filter(|input| input.dims.len() < rank) {
        let dims = [&vec![1; rank - input.dims.len()], &input.dims[..]].concat();
        input.value = cx.reshape(&input.value, &dims);
        input.dims = dims;
    }
    cx.inputs = inputs;
}

/// The steps that are unmasked in one of the inputs; `None`, if an input has no mask.
pub(super) fn either(
    cx: &mut ForwardContext<'_>,
    inputs: &[Value],
) -> Result<Option<TensorId>, GraphError> {
    let mut masks: Vec<TensorId> = Vec::new();
    for input in inputs {
        match input.mask {
            None => return Ok(None),
            Some(mask) if masks.contains(&mask) => {}
            Some(mask) => masks.push(mask),
        }
    }
    if let [mask] = masks[..] {
        return Ok(Some(mask));
    }
    let marks = masks.into_iter().map(|mask| marks(cx, mask)).collect::<Result<Vec<_>, _>>()?;
    let marks = cx.graph.apply(Concat, &marks)?;
    cx.graph.apply(StepMask { padding: 0.0 }, &[marks]).map(Some)
}

/// The masks of sequences one behind the other.
fn joined(cx: &mut ForwardContext<'_>, inputs: &[Value]) -> Result<TensorId, GraphError> {
    let (mut rows, mut steps, mut batch) = (Vec::new(), 0, 0);
    for input in inputs {
        let axes = cx.graph.shape(input.tensor).dims().to_vec();
        let own = match input.mask {
            Some(mask) => marks(cx, mask)?,
            None => {
                cx.graph.apply(Fill { shape: [axes[0], axes[1], 1].into(), value: 1.0 }, &[])?
            }
        };
        rows.push(cx.graph.reshape(own, [1, axes[0] * axes[1]])?);
        (steps, batch) = (steps + axes[0], axes[1]);
    }
    let all = cx.graph.apply(Concat, &rows)?;
    let marks = cx.graph.reshape(all, [steps, batch, 1])?;
    cx.graph.apply(StepMask { padding: 0.0 }, &[marks])
}

/// 1 where the mask `[T, B]` is not 0, else 0: `[T, B, 1]`.
fn marks(cx: &mut ForwardContext<'_>, mask: TensorId) -> Result<TensorId, GraphError> {
    let shape = [cx.graph.shape(mask).dims(), &[1]].concat();
    let ones = cx.graph.apply(Fill { shape: shape.into(), value: 1.0 }, &[])?;
    cx.graph.apply(MaskItems, &[ones, mask])
}

/// The mask that masks what this one does not.
pub(super) fn others(cx: &mut ForwardContext<'_>, mask: TensorId) -> Result<TensorId, GraphError> {
    let unmasked = marks(cx, mask)?;
    cx.graph.apply(StepMask { padding: 1.0 }, &[unmasked])
}

/// x `[T, B, ..]` with zeros at masked steps.
pub(super) fn mask_steps(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    mask: TensorId,
) -> Result<TensorId, GraphError> {
    let shape = cx.graph.shape(x).clone();
    let axes = cx.graph.shape(mask).dims().to_vec();
    let steps = cx.graph.reshape(x, [axes[0], axes[1], shape.len() / (axes[0] * axes[1])])?;
    let masked = cx.graph.apply(MaskItems, &[steps, mask])?;
    cx.graph.reshape(masked, shape)
}

/// x `[T, B, ..]` with ones at masked steps, where nothing flows back.
fn one_where_masked(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    mask: TensorId,
) -> Result<TensorId, GraphError> {
    let ones = cx.graph.apply(Fill { shape: cx.graph.shape(x).clone(), value: 1.0 }, &[])?;
    let there = mask_steps(cx, ones, mask)?;
    let masked = cx.graph.apply(Binary::Sub, &[ones, there])?;
    let x = mask_steps(cx, x, mask)?;
    cx.graph.apply(Binary::Add, &[x, masked])
}
