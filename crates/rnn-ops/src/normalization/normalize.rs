use crate::common::{arity, ensure, pairwise_sum, row_iterations};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`Normalize`] and [`NormalizeBackward`] (`shaders/normalization/normalize.wgsl`).
pub static SHADER: Shader = Shader::new(
    "normalize",
    &[rnn_shaders::shared::ROWWISE, rnn_shaders::normalization::NORMALIZE],
);

/// y = (x - mean) s with s = 1 / sqrt(variance + epsilon), where mean and variance are over the
/// last axis (keras/src/layers/normalization/layer_normalization.py).
///
/// Input: x `[.., F]`. Outputs: y `[.., F]`; s `[..]`, for the backward pass. Gradients flow
/// through y.
#[derive(Clone, Debug)]
pub struct Normalize {
    /// Added to the variance, so that s stays finite.
    pub epsilon: f32,
}

/// Gradient of x of a [`Normalize`]: dx = s (dy - mean(dy) - y mean(dy y)), with means over the
/// last axis. Inputs: y and dy `[.., F]`, s `[..]`. Output: dx `[.., F]`.
#[derive(Clone, Debug)]
pub struct NormalizeBackward;

fn mean<F: Real>(values: impl ExactSizeIterator<Item = F>) -> F {
    let count = F::of(values.len() as f64);
    pairwise_sum(values) / count
}

impl Definition for Normalize {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, width) = (io.input(0), io.signature.inputs[0].shape.last());
        let [y, scale] = io.outputs();
        for ((x, y), scale) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(scale) {
            let center = mean(x.iter().copied());
            let variance = mean(x.iter().map(|&x| (x - center) * (x - center)));
            *scale = (variance + F::of(self.epsilon.into())).sqrt().recip();
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - center) * *scale);
        }
    }
}

impl Op for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let (_, rows) = x.dims().split_last().ok_or_else(|| OpError::shape("a scalar"))?;
        Ok(vec![x.clone(), TensorType::f32(rows)])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let shape = &s.outputs[0].shape;
        Ok(Launch::new(&SHADER, "forward", Grid::cover(shape.rows())?)
            .iterations(row_iterations(shape.last()))
            .bind("x", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .bind("scale", Operand::Output(1))
            .param("rows", shape.rows())
            .param("columns", shape.last())
            .param("epsilon", self.epsilon)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let inputs = [operands.outputs[0], g, operands.outputs[1]];
        Ok(vec![Some(graph.apply(NormalizeBackward, &inputs)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 5 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for NormalizeBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (y, dy, scale) = (io.input(0), io.input(1), io.input(2));
        let width = io.signature.inputs[0].shape.last();
        for (r, dx) in io.output().chunks_exact_mut(width).enumerate() {
            let (y, dy) = (&y[r * width..(r + 1) * width], &dy[r * width..(r + 1) * width]);
            let center = mean(dy.iter().copied());
            let along = mean(dy.iter().zip(y).map(|(&dy, &y)| dy * y));
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = scale[r] * (dy - center - y * along);
            }
        }
    }
}

impl Op for NormalizeBackward {
    fn name(&self) -> &'static str {
        "normalize_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [y, dy, scale] = arity(inputs)?;
        let fits = y == dy && scale.len() == y.shape.rows();
        ensure(fits, || format!("y {y}, dy {dy}, s {scale}"))?;
        Ok(vec![y.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let shape = &s.outputs[0].shape;
        Ok(Launch::new(&SHADER, "backward", Grid::cover(shape.rows())?)
            .iterations(row_iterations(shape.last()))
            .bind("x", Operand::Input(0))
            .bind("gradient", Operand::Input(1))
            .bind("scale_in", Operand::Input(2))
            .bind("out", Operand::Output(0))
            .param("rows", shape.rows())
            .param("columns", shape.last())
            .param("epsilon", 0.0)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 6 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Normalize`] and [`NormalizeBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let normal = |shape: &[usize]| Sample::Normal(shape.to_vec());
    let mut cases = Vec::new();
    for (rows, columns) in [(3, 7), (5, 64), (4, 129)] {
        let name = format!("normalize {rows}x{columns}");
        let op = Normalize { epsilon: 1e-3 };
        cases.push(Case::new(name, op, vec![normal(&[rows, columns])]).gradient(&[0]));
        let scale = Sample::Uniform(vec![rows], 0.5, 2.0);
        let inputs = vec![normal(&[rows, columns]), normal(&[rows, columns]), scale];
        let name = format!("normalize_backward {rows}x{columns}");
        cases.push(Case::new(name, NormalizeBackward, inputs));
    }
    cases
}
