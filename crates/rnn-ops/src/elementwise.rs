use crate::common::{arity, ensure, nested, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

pub static SHADER: Shader = Shader::new(
    "elementwise",
    &[
        include_str!("../../../shaders/flat.wgsl"),
        include_str!("../../../shaders/elementwise.wgsl"),
    ],
);

/// An elementwise operation on two tensors of one shape.
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
                Self::Add => a[i] + b[i],
                Self::Sub => a[i] - b[i],
                Self::Mul => a[i] * b[i],
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
        ensure(a == b, || format!("{a} and {b} differ"))?;
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
        Ok(match self {
            Self::Add => vec![Some(g), Some(g)],
            Self::Sub => vec![Some(g), Some(graph.apply(Scale(-1.0), &[g]).map_err(nested)?)],
            Self::Mul => vec![
                Some(graph.apply(Self::Mul, &[g, b]).map_err(nested)?),
                Some(graph.apply(Self::Mul, &[g, a]).map_err(nested)?),
            ],
        })
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// y = factor * x
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
        Ok(vec![Some(graph.apply(self.clone(), &[g]).map_err(nested)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

pub fn cases() -> Vec<Case> {
    let two = |n: usize| vec![Sample::Normal(vec![n]), Sample::Normal(vec![n])];
    vec![
        Case::new("add 1", Binary::Add, two(1)).gradient(&[0, 1]),
        Case::new("sub 300", Binary::Sub, two(300)).gradient(&[0, 1]),
        Case::new("mul 257", Binary::Mul, two(257)).gradient(&[0, 1]),
        Case::new("scale 255", Scale(-1.5), vec![Sample::Normal(vec![5, 51])]).gradient(&[0]),
    ]
}
