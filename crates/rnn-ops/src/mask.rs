//! Masks: u32 `[T, B]`, 0 where row b is masked at step t, and not 0 where it is unmasked.

use crate::common::{arity, dims, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    Slice, TensorId, TensorType, Work, iterations,
};

/// WGSL module of [`StepMask`], [`MaskItems`] and [`SeenMask`] (`shaders/mask.wgsl`).
pub static SHADER: Shader =
    Shader::new("mask", &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::MASK]);

fn launch(entry: &'static str, count: usize, width: usize) -> Result<Launch, OpError> {
    Ok(Launch::new(&SHADER, entry, threads(count)?)
        .iterations(iterations(width, 0))
        .bind("out", Operand::Output(0))
        .param("count", count)
        .param("width", width))
}

/// A mask that is 0 at padding and 1 elsewhere. Input: floats `[.., F]` or tokens u32 `[..]`.
/// Output: u32 `[..]`.
///
/// Floats are padding where all F elements equal `padding` (keras/src/layers/core/masking.py); a
/// token is padding where it equals `padding` (`mask_zero` of keras/src/layers/core/embedding.py).
#[derive(Clone, Debug)]
pub struct StepMask {
    /// The padding value. For tokens it is rounded towards zero, and a negative number counts as 0.
    pub padding: f32,
}

impl StepMask {
    fn width(x: &TensorType) -> usize {
        if x.dtype == DType::F32 { x.shape.last() } else { 1 }
    }
}

impl Definition for StepMask {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let width = Self::width(&io.signature.inputs[0]);
        let x = io.inputs[0];
        let [mask] = io.uint_outputs();
        for (i, mask) in mask.iter_mut().enumerate() {
            let item = i * width..(i + 1) * width;
            *mask = u32::from(match x {
                Slice::Float(x) => x[item].iter().any(|&v| v != F::of(self.padding.into())),
                Slice::Uint(x) => x[item].iter().any(|&v| v != self.padding as u32),
            });
        }
    }
}

impl Op for StepMask {
    fn name(&self) -> &'static str {
        "step_mask"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let axes = x.dims();
        let items = if x.dtype == DType::F32 { axes.split_last().map(|s| s.1) } else { Some(axes) };
        let items = items.ok_or_else(|| OpError::shape("a scalar has no items"))?;
        Ok(vec![TensorType::u32(items)])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let floats = s.inputs[0].dtype == DType::F32;
        Ok(launch("step_mask", s.outputs[0].len(), Self::width(&s.inputs[0]))?
            .constant("FLOATS", u8::from(floats))
            .bind("x", Operand::Input(0))
            .param("value", self.padding)
            .into())
    }

    no_gradient!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// y = x where the mask is not 0, else 0. Inputs: x `[.., F]`, mask u32 with one element for each
/// row of x. Output: y `[.., F]`.
#[derive(Clone, Debug)]
pub struct MaskItems;

impl Definition for MaskItems {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let width = io.signature.inputs[0].shape.last();
        let (x, mask) = (io.input(0), io.uints(1));
        for (i, y) in io.output().iter_mut().enumerate() {
            *y = if mask[i / width] != 0 { x[i] } else { F::zero() };
        }
    }
}

impl Op for MaskItems {
    fn name(&self) -> &'static str {
        "mask_items"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, mask] = arity(inputs)?;
        let fits = x.shape.rows() == mask.len() && mask.dtype == DType::U32;
        ensure(fits, || format!("{mask} for the items of {x}"))?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch("mask_items", s.outputs[0].len(), s.inputs[0].shape.last())?
            .bind("x", Operand::Input(0))
            .bind("mask", Operand::Input(1))
            .param("value", 0.0)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        Ok(vec![Some(graph.apply(Self, &[g, operands.inputs[1]])?), None])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// seen(t, b) = m(0, b) | m(1, b) | .. | m(t, b), which is not 0 once row b has been unmasked at a
/// step up to t. A mask of zeros and ones gives zeros and ones. Input: mask m u32 `[T, B]`. Output:
/// seen u32 `[T, B]`.
#[derive(Clone, Debug)]
pub struct SeenMask;

impl Definition for SeenMask {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (mask, batch) = (io.uints(0), io.signature.inputs[0].shape.last());
        let [seen] = io.uint_outputs();
        for i in 0..mask.len() {
            let before = if i >= batch { seen[i - batch] } else { 0 };
            seen[i] = before | mask[i];
        }
    }
}

impl Op for SeenMask {
    fn name(&self) -> &'static str {
        "seen_mask"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [mask] = arity(inputs)?;
        dims::<2>(mask)?;
        ensure(mask.dtype == DType::U32, || format!("{mask} is no mask"))?;
        Ok(vec![mask.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let [steps, batch] = dims(&s.inputs[0])?;
        Ok(launch("seen", batch, steps)?.bind("mask", Operand::Input(0)).param("value", 0.0).into())
    }

    no_gradient!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`StepMask`], [`MaskItems`] and [`SeenMask`], for
/// [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let tokens = Sample::Below(vec![7, 5], 2);
    let floats = Sample::Floats(vec![3, 2, 2], [0.0, 1.5, 0.0, 0.0].repeat(3));
    // NaN equals nothing, so it is no padding.
    let not_a_number = Sample::Floats(vec![2, 2, 1], vec![f32::NAN, 0.0, 1.0, f32::NAN]);
    let late = Sample::Exactly(vec![4, 3], vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0]);
    vec![
        Case::new("step_mask tokens", StepMask { padding: 1.0 }, vec![tokens.clone()]),
        Case::new("step_mask floats", StepMask { padding: 0.0 }, vec![floats]),
        Case::new("step_mask NaN", StepMask { padding: f32::NAN }, vec![not_a_number]),
        Case::new("mask_items 7x5x33", MaskItems, vec![Sample::Normal(vec![7, 5, 33]), tokens])
            .gradient(&[0]),
        Case::new("seen_mask 4x3", SeenMask, vec![late]),
    ]
}
