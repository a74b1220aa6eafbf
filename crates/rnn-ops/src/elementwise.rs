use crate::common::{arity, ensure, threads};
use crate::{Case, Definition, Sample, SumRows};
use rnn_graph::{
    Cost, Graph, GraphError, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader,
    Signature, TensorId, TensorType, Work,
};

/// WGSL module of [`Binary`] and [`Scale`] (`shaders/elementwise.wgsl`).
pub static SHADER: Shader =
    Shader::new("elementwise", &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::ELEMENTWISE]);

/// An elementwise operation on a `[.., s]` and b `[s]`, of one element type. s stands for any
/// number of axes, also none; b is broadcast along the leading axes that it lacks. Output: of a's
/// shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
}

impl Definition for Binary {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (a, b) = (io.input(0), io.input(1));
        for (i, out) in io.output().iter_mut().enumerate() {
            *out = match self {
                Self::Add => a[i] + b[i % b.len()],
                Self::Sub => a[i] - b[i % b.len()],
                Self::Mul => a[i] * b[i % b.len()],
            };
        }
    }
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
        }
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [a, b] = arity(inputs)?;
        let fits = a.dtype == b.dtype && a.dims().ends_with(b.dims()) && !b.is_empty();
        ensure(fits, || format!("{a} does not end as {b}"))?;
        Ok(vec![a.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "binary", threads(count)?)
            .constant("OPERATION", *self as u32)
            .bind("a", Operand::Input(0))
            .bind("b", Operand::Input(1))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .param("period", s.inputs[1].len())
            .param("factor", 1.0)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let (a, b) = (operands.inputs[0], operands.inputs[1]);
        let mut apply = |op: Self, x, y| graph.apply(op, &[x, y]);
        let (da, db) = match self {
            Self::Add => (g, g),
            Self::Sub => (g, graph.apply(Scale(-1.0), &[g])?),
            Self::Mul => (apply(Self::Mul, g, b)?, apply(Self::Mul, g, a)?),
        };
        Ok(vec![Some(da), Some(sum_repeats(graph, db, b)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Adds the sum over the axes that `like` lacks: the gradient of a broadcast.
fn sum_repeats(graph: &mut Graph, x: TensorId, like: TensorId) -> Result<TensorId, GraphError> {
    let (len, shape) = (graph.shape(x).len(), graph.shape(like).clone());
    if len == shape.len() {
        return graph.reshape(x, shape);
    }
    let rows = graph.reshape(x, [len / shape.len(), shape.len()])?;
    let sum = graph.apply(SumRows, &[rows])?;
    graph.reshape(sum, shape)
}

/// y = factor x, elementwise; the field is the factor. Input and output: any shape.
#[derive(Clone, Debug)]
pub struct Scale(pub f32);

impl Definition for Scale {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        for (y, &x) in io.output().iter_mut().zip(x) {
            *y = F::of(self.0.into()) * x;
        }
    }
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "scale", threads(count)?)
            .bind("a", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .param("period", 1u32)
            .param("factor", self.0)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        _: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(self.clone(), &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Binary`] and [`Scale`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let two = |n: usize| vec![Sample::Normal(vec![n]), Sample::Normal(vec![n])];
    let repeated = |a: &[usize], b: &[usize]| [a, b].map(|s| Sample::Normal(s.to_vec())).to_vec();
    vec![
        Case::new("add 1", Binary::Add, two(1)).gradient(&[0, 1]),
        Case::new("sub 300", Binary::Sub, two(300)).gradient(&[0, 1]),
        Case::new("mul 257", Binary::Mul, two(257)).gradient(&[0, 1]),
        Case::new("add 4x33 + 33", Binary::Add, repeated(&[4, 33], &[33])).gradient(&[0, 1]),
        Case::new("sub 7x3x5 - 3x5", Binary::Sub, repeated(&[7, 3, 5], &[3, 5])).gradient(&[0, 1]),
        Case::new("mul 300x2 * 2", Binary::Mul, repeated(&[300, 2], &[2])).gradient(&[0, 1]),
        Case::new("scale 255", Scale(-1.5), vec![Sample::Normal(vec![5, 51])]).gradient(&[0]),
    ]
}
