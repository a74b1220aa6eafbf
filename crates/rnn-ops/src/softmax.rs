use crate::common::{arity, ensure, larger, row_iterations};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`Softmax`] and [`SoftmaxBackward`] (`shaders/softmax.wgsl`).
pub static SHADER: Shader = Shader::new(
    "softmax",
    &[
        rnn_shaders::shared::ROWWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::SOFTMAX,
    ],
);

/// y_c = e^(x_c) / sum_k e^(x_k), where c and k are indices of the last axis. Input: x `[.., C]`.
/// Output: y `[.., C]`. The largest x of a row is subtracted first, so that nothing overflows.
#[derive(Clone, Debug)]
pub struct Softmax;

impl Definition for Softmax {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, width) = (io.input(0), io.signature.inputs[0].shape.last());
        for (y, x) in io.output().chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let highest = x.iter().fold(F::neg_infinity(), |a, &b| larger(a, b));
            let sum: F = x.iter().map(|&x| (x - highest).exp()).sum();
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - highest).exp() / sum;
            }
        }
    }
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let shape = &s.outputs[0].shape;
        Ok(Launch::new(&SHADER, "forward", Grid::cover(shape.rows())?)
            .iterations(row_iterations(shape.last()))
            .bind("x", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .param("rows", shape.rows())
            .param("columns", shape.last())
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let inputs = [operands.outputs[0], g];
        Ok(vec![Some(graph.apply(SoftmaxBackward, &inputs)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Gradient of x of a [`Softmax`]: dx_c = y_c (dy_c - sum_k dy_k y_k). Inputs: y and dy `[.., C]`.
/// Output: dx `[.., C]`.
#[derive(Clone, Debug)]
pub struct SoftmaxBackward;

impl Definition for SoftmaxBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (y, dy, width) = (io.input(0), io.input(1), io.signature.inputs[0].shape.last());
        for (r, dx) in io.output().chunks_exact_mut(width).enumerate() {
            let row = r * width..(r + 1) * width;
            let dot: F = y[row.clone()].iter().zip(&dy[row.clone()]).map(|(&y, &g)| y * g).sum();
            for (dx, i) in dx.iter_mut().zip(row) {
                *dx = y[i] * (dy[i] - dot);
            }
        }
    }
}

impl Op for SoftmaxBackward {
    fn name(&self) -> &'static str {
        "softmax_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [y, gradient] = arity(inputs)?;
        ensure(y == gradient, || format!("{y} and {gradient} differ"))?;
        Ok(vec![y.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let shape = &s.outputs[0].shape;
        Ok(Launch::new(&SHADER, "backward", Grid::cover(shape.rows())?)
            .iterations(row_iterations(shape.last()))
            .bind("x", Operand::Input(0))
            .bind("gradient", Operand::Input(1))
            .bind("out", Operand::Output(0))
            .param("rows", shape.rows())
            .param("columns", shape.last())
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Softmax`] and [`SoftmaxBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, columns) in [(1, 1), (5, 7), (3, 200)] {
        let shape = vec![rows, columns];
        let x = Sample::Uniform(shape.clone(), -5.0, 5.0);
        let name = format!("softmax {rows}x{columns}");
        cases.push(Case::new(&*name, Softmax, vec![x]).gradient(&[0]));
        let inputs = vec![Sample::Uniform(shape.clone(), 0.0, 1.0), Sample::Normal(shape)];
        cases.push(Case::new(
            format!("softmax backward {rows}x{columns}"),
            SoftmaxBackward,
            inputs,
        ));
    }
    cases
}
