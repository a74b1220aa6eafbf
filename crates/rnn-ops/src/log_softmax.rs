use crate::common::{arity, ensure, larger, row_iterations};
use crate::softmax::SHADER;
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Signature,
    TensorId, TensorType, Work,
};

/// The logarithm of the softmax: y_c = x_c - log(sum_k e^(x_k)), where c and k are indices of the
/// last axis. Input: x `[.., C]`. Output: y `[.., C]`. The largest x of a row is subtracted first,
/// so that nothing overflows.
#[derive(Clone, Debug)]
pub struct LogSoftmax;

impl Definition for LogSoftmax {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, width) = (io.input(0), io.signature.inputs[0].shape.last());
        for (y, x) in io.output().chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let highest = x.iter().fold(F::neg_infinity(), |a, &b| larger(a, b));
            let sum: F = x.iter().map(|&x| (x - highest).exp()).sum();
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x - highest - sum.ln();
            }
        }
    }
}

/// Returns the launch of an entry of softmax.wgsl over the rows of a tensor.
fn launch(entry: &'static str, s: &Signature) -> Result<Launch, OpError> {
    let shape = &s.outputs[0].shape;
    Ok(Launch::new(&SHADER, entry, Grid::cover(shape.rows())?)
        .iterations(row_iterations(shape.last()))
        .bind("x", Operand::Input(0))
        .bind("out", Operand::Output(0))
        .param("rows", shape.rows())
        .param("columns", shape.last()))
}

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch("log_forward", s)?.into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let inputs = [operands.outputs[0], g];
        Ok(vec![Some(graph.apply(LogSoftmaxBackward, &inputs)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Gradient of x of a [`LogSoftmax`]: dx_c = dy_c - e^(y_c) sum_k dy_k. Inputs: y and dy `[.., C]`.
/// Output: dx `[.., C]`.
#[derive(Clone, Debug)]
pub struct LogSoftmaxBackward;

impl Definition for LogSoftmaxBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (y, dy, width) = (io.input(0), io.input(1), io.signature.inputs[0].shape.last());
        for (r, dx) in io.output().chunks_exact_mut(width).enumerate() {
            let row = r * width..(r + 1) * width;
            let sum: F = dy[row.clone()].iter().copied().sum();
            for (dx, i) in dx.iter_mut().zip(row) {
                *dx = dy[i] - y[i].exp() * sum;
            }
        }
    }
}

impl Op for LogSoftmaxBackward {
    fn name(&self) -> &'static str {
        "log_softmax_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [y, gradient] = arity(inputs)?;
        ensure(y == gradient, || format!("{y} and {gradient} differ"))?;
        Ok(vec![y.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch("log_backward", s)?.bind("gradient", Operand::Input(1)).into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`LogSoftmax`] and [`LogSoftmaxBackward`], for
/// [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, columns) in [(1, 1), (5, 7), (3, 200)] {
        let shape = vec![rows, columns];
        let x = Sample::Uniform(shape.clone(), -30.0, 30.0);
        let name = format!("log_softmax {rows}x{columns}");
        cases.push(Case::new(name, LogSoftmax, vec![x]).gradient(&[0]));
        let inputs = vec![Sample::Uniform(shape.clone(), -9.0, 0.0), Sample::Normal(shape)];
        let name = format!("log_softmax backward {rows}x{columns}");
        cases.push(Case::new(name, LogSoftmaxBackward, inputs));
    }
    cases
}
