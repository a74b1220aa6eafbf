use crate::common::{arity, threads};
use crate::{Binary, Case, Definition, Sample, Scale};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};
use rnn_shaders::UNARY;
use rnn_shaders::shared::{BITS, ELEMENTWISE, EXPONENTIAL};

/// WGSL module of [`Unary`] (`shaders/unary.wgsl`).
pub static SHADER: Shader = Shader::new("unary", &[ELEMENTWISE, BITS, EXPONENTIAL, UNARY]);

/// A function of each element. Input and output: any shape. [`Activation`](crate::Activation) has
/// the functions that layers take as activations, among them the exponential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// |x|
    Abs,
    /// 1 where x > 0, -1 where x < 0, else 0. It has no gradient.
    Sign,
    /// The natural logarithm; NaN where x < 0.
    Log,
    /// The square root; NaN where x < 0.
    Sqrt,
    /// The largest whole number that is not above x. It has no gradient.
    Floor,
    /// The nearest whole number, of two the even one. It has no gradient.
    Round,
}

impl Unary {
    fn of<F: Real>(self, x: F) -> F {
        match self {
            Self::Abs => x.abs(),
            Self::Sign if x == F::zero() => F::zero(),
            Self::Sign => x.signum(),
            Self::Log => x.ln(),
            Self::Sqrt => x.sqrt(),
            Self::Floor => x.floor(),
            Self::Round => {
                let below = x.floor();
                let half = F::of(0.5);
                match x - below {
                    rest if rest < half => below,
                    rest if rest > half => below + F::one(),
                    // An even number has a whole half.
                    _ if (below * half).fract() == F::zero() => below,
                    _ => below + F::one(),
                }
            }
        }
    }
}

impl Definition for Unary {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        for (y, &x) in io.output().iter_mut().zip(x) {
            *y = self.of(x);
        }
    }
}

impl Op for Unary {
    fn name(&self) -> &'static str {
        match self {
            Self::Abs => "abs",
            Self::Sign => "sign",
            Self::Log => "log",
            Self::Sqrt => "sqrt",
            Self::Floor => "floor",
            Self::Round => "round",
        }
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "unary", threads(count)?)
            .constant("FUNCTION", *self as u32)
            .bind("x", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let x = operands.inputs[0];
        Ok(vec![match self {
            Self::Abs => {
                let sign = graph.apply(Self::Sign, &[x])?;
                Some(graph.apply(Binary::Mul, &[g, sign])?)
            }
            Self::Log => Some(graph.apply(Binary::Div, &[g, x])?),
            Self::Sqrt => {
                let half = graph.apply(Scale(0.5), &[g])?;
                Some(graph.apply(Binary::Div, &[half, operands.outputs[0]])?)
            }
            Self::Sign | Self::Floor | Self::Round => None,
        }])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Unary`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let positive = || vec![Sample::Uniform(vec![3, 257], 0.1, 9.0)];
    let any = || vec![Sample::Uniform(vec![3, 257], -4.0, 4.0)];
    let edges = vec![0.0, -0.0, 1.0, 1e-40, 2.5, -2.5, 3.5, 3e38, f32::INFINITY, -1e-30];
    let mut cases = vec![
        Case::new("abs 3x257", Unary::Abs, any()).gradient(&[0]),
        Case::new("sign 3x257", Unary::Sign, any()),
        Case::new("log 3x257", Unary::Log, positive()).gradient(&[0]),
        Case::new("sqrt 3x257", Unary::Sqrt, positive()).gradient(&[0]),
        Case::new("floor 3x257", Unary::Floor, any()),
        Case::new("round 3x257", Unary::Round, any()),
    ];
    for op in [Unary::Abs, Unary::Sign, Unary::Floor, Unary::Round] {
        let name = format!("{} of edges", op.name());
        let ordinary = edges.iter().copied().filter(|x: &f32| x.is_normal() || *x == 0.0);
        let ordinary: Vec<f32> = ordinary.collect();
        cases.push(Case::new(name, op, vec![Sample::Floats(vec![ordinary.len()], ordinary)]));
    }
    let small = Sample::Floats(vec![5], vec![1e-36, 1e-12, 1.0, 1e12, 3e38]);
    cases.push(Case::new("log of edges", Unary::Log, vec![small]));
    cases
}
