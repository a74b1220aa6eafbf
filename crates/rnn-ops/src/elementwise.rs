use crate::common::{arity, ensure, larger, threads};
use crate::{Case, Definition, Fill, Sample, SumRows};
use rnn_graph::{
    Cost, Graph, GraphError, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader,
    Signature, TensorId, TensorType, Work,
};

/// WGSL module of [`Binary`], [`Scale`] and [`Select`] (`shaders/elementwise.wgsl`).
pub static SHADER: Shader = Shader::new(
    "elementwise",
    &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::shared::BITS, rnn_shaders::ELEMENTWISE],
);

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
    /// a / b
    Div,
    /// The larger of a and b; NaN if one is NaN. Of equal ones the gradient goes to a.
    Max,
    /// The smaller of a and b, as [`Self::Max`].
    Min,
    /// 1 where a = b, else 0. No gradient passes through a comparison, in which NaN takes no part.
    Equal,
    /// 1 where a > b, else 0.
    Greater,
    /// 1 where a >= b, else 0.
    GreaterEqual,
}

impl Binary {
    fn of<F: Real>(self, a: F, b: F) -> F {
        let mark = |holds: bool| if holds { F::one() } else { F::zero() };
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Max => larger(a, b),
            Self::Min => -larger(-a, -b),
            Self::Equal => mark(a == b),
            Self::Greater => mark(a > b),
            Self::GreaterEqual => mark(a >= b),
        }
    }
}

impl Definition for Binary {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (a, b) = (io.input(0), io.input(1));
        for (i, out) in io.output().iter_mut().enumerate() {
            *out = self.of(a[i], b[i % b.len()]);
        }
    }
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Max => "max",
            Self::Min => "min",
            Self::Equal => "equal",
            Self::Greater => "greater",
            Self::GreaterEqual => "greater_equal",
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
            // db = -g a / b^2.
            Self::Div => {
                let da = apply(Self::Div, g, b)?;
                let product = apply(Self::Mul, da, operands.outputs[0])?;
                (da, graph.apply(Scale(-1.0), &[product])?)
            }
            Self::Max | Self::Min => {
                let zeros = Fill { shape: graph.shape(g).clone(), value: 0.0 };
                let zeros = graph.apply(zeros, &[])?;
                let from_a = match self {
                    Self::Max => graph.apply(Self::GreaterEqual, &[a, b])?,
                    _ => {
                        let above = graph.apply(Self::Greater, &[a, b])?;
                        graph.apply(Self::Equal, &[above, zeros])?
                    }
                };
                (
                    graph.apply(Select, &[from_a, g, zeros])?,
                    graph.apply(Select, &[from_a, zeros, g])?,
                )
            }
            Self::Equal | Self::Greater | Self::GreaterEqual => return Ok(vec![None, None]),
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

/// y = a where the condition is not 0, else b, elementwise; a NaN is not 0. Inputs: condition, a and b
/// of one shape. Output: of that shape. No gradient flows into the condition.
#[derive(Clone, Debug)]
pub struct Select;

impl Definition for Select {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (condition, a, b) = (io.input(0), io.input(1), io.input(2));
        for (i, y) in io.output().iter_mut().enumerate() {
            *y = if condition[i] != F::zero() { a[i] } else { b[i] };
        }
    }
}

impl Op for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [condition, a, b] = arity(inputs)?;
        ensure(condition == a && a == b, || format!("{condition} selects {a} or {b}"))?;
        Ok(vec![a.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "choose", threads(count)?)
            .bind("a", Operand::Input(0))
            .bind("b", Operand::Input(1))
            .bind("c", Operand::Input(2))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .param("period", count)
            .param("factor", 1.0)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None; 3]) };
        let condition = operands.inputs[0];
        let zeros = graph.apply(Fill { shape: graph.shape(g).clone(), value: 0.0 }, &[])?;
        let da = graph.apply(Self, &[condition, g, zeros])?;
        let db = graph.apply(Self, &[condition, zeros, g])?;
        Ok(vec![None, Some(da), Some(db)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Binary`], [`Scale`] and [`Select`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let two = |n: usize| vec![Sample::Normal(vec![n]), Sample::Normal(vec![n])];
    let repeated = |a: &[usize], b: &[usize]| [a, b].map(|s| Sample::Normal(s.to_vec())).to_vec();
    let ties = || {
        let (n, i) = (f32::NAN, f32::INFINITY);
        let a = vec![0.0, -0.0, 1.0, -1.0, i, -i, i, n, 2.0, -3.0, -2.0, 1e-30];
        let b = vec![-0.0, 0.0, 1.0, -2.0, i, i, 5.0, 1.0, n, -3.0, 7.0, -1e-30];
        vec![Sample::Floats(vec![12], a), Sample::Floats(vec![12], b)]
    };
    vec![
        Case::new("add 1", Binary::Add, two(1)).gradient(&[0, 1]),
        Case::new("sub 300", Binary::Sub, two(300)).gradient(&[0, 1]),
        Case::new("mul 257", Binary::Mul, two(257)).gradient(&[0, 1]),
        Case::new("add 4x33 + 33", Binary::Add, repeated(&[4, 33], &[33])).gradient(&[0, 1]),
        Case::new("sub 7x3x5 - 3x5", Binary::Sub, repeated(&[7, 3, 5], &[3, 5])).gradient(&[0, 1]),
        Case::new("mul 300x2 * 2", Binary::Mul, repeated(&[300, 2], &[2])).gradient(&[0, 1]),
        Case::new("div 7x33 / 33", Binary::Div, {
            vec![Sample::Normal(vec![7, 33]), Sample::Uniform(vec![33], 0.5, 2.0)]
        })
        .gradient(&[0, 1]),
        Case::new("max 300", Binary::Max, two(300)).gradient(&[0, 1]),
        Case::new("min 7x33, 33", Binary::Min, repeated(&[7, 33], &[33])).gradient(&[0, 1]),
        Case::new("equal 12", Binary::Equal, ties()),
        Case::new("greater 12", Binary::Greater, ties()),
        Case::new("greater_equal 12", Binary::GreaterEqual, ties()),
        Case::new("select 300", Select, {
            let marks = [0.0, 1.0, -0.0, 0.5, 0.0, -2.0].repeat(50);
            [vec![Sample::Floats(vec![300], marks)], two(300)].concat()
        })
        .gradient(&[1, 2]),
        Case::new("scale 255", Scale(-1.5), vec![Sample::Normal(vec![5, 51])]).gradient(&[0]),
    ]
}
