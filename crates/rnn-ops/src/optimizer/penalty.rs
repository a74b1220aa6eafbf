use crate::common::{LANES, arity, ensure, pairwise_sum, row_iterations};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`Penalty`] and [`PenaltyBackward`] (`shaders/optimizer/penalty.wgsl`).
pub static SHADER: Shader = Shader::new(
    "penalty",
    &[rnn_shaders::shared::ROWWISE, rnn_shaders::shared::BITS, rnn_shaders::optimizer::PENALTY],
);

/// Maximum number of partial sums.
const PARTS: usize = 256;

/// y = l1 sum |w| + l2 sum w^2, the sums over all elements
/// (keras/src/regularizers/regularizers.py). Input: w of any shape. Output: y `[1]`.
#[derive(Clone, Debug)]
pub struct Penalty {
    /// Factor of the sum of the magnitudes; 0 for no such penalty.
    pub l1: f32,
    /// Factor of the sum of the squares; 0 for no such penalty.
    pub l2: f32,
}

/// Gradient of w of a [`Penalty`]: dw = dy (l1 sign(w) + 2 l2 w), where sign(0) is 0. Inputs: w of
/// any shape, dy `[1]`. Output: dw, of w's shape. The field is the forward op.
#[derive(Clone, Debug)]
pub struct PenaltyBackward(pub Penalty);

impl Penalty {
    fn launch(&self, entry: &'static str, grid: Grid, count: usize, parts: usize) -> Launch {
        Launch::new(&SHADER, entry, grid)
            .iterations(row_iterations(count.div_ceil(parts)))
            .param("count", count)
            .param("parts", parts)
            .param("l1", self.l1)
            .param("l2", self.l2)
    }
}

impl Definition for Penalty {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (l1, l2) = (F::of(self.l1.into()), F::of(self.l2.into()));
        let sizes = io.input(0).iter().map(|&w| l1 * w.abs() + l2 * w * w);
        io.output()[0] = pairwise_sum(sizes);
    }
}

impl Op for Penalty {
    fn name(&self) -> &'static str {
        "penalty"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [_] = arity(inputs)?;
        Ok(vec![TensorType::f32([1])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.inputs[0].len();
        let parts = count.div_ceil(LANES).clamp(1, PARTS);
        let sum = self.launch("sum_part", Grid::cover(parts)?, count, parts);
        let all = self.launch("sum_parts", Grid::cover(1)?, parts, 1);
        Ok(Work {
            scratch: vec![parts],
            launches: vec![
                sum.bind("w", Operand::Input(0)).bind("out", Operand::Scratch(0)),
                all.bind("w", Operand::Scratch(0)).bind("out", Operand::Output(0)),
            ],
        })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let op = PenaltyBackward(self.clone());
        Ok(vec![Some(graph.apply(op, &[operands.inputs[0], g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for PenaltyBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (l1, l2) = (F::of(self.0.l1.into()), F::of(self.0.l2.into()));
        let (w, g) = (io.input(0), io.input(1)[0]);
        for (dw, &w) in io.output().iter_mut().zip(w) {
            let sign = if w == F::zero() { w } else { w.signum() };
            *dw = g * (l1 * sign + (l2 + l2) * w);
        }
    }
}

impl Op for PenaltyBackward {
    fn name(&self) -> &'static str {
        "penalty_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [w, g] = arity(inputs)?;
        ensure(g.len() == 1, || format!("the gradient of a penalty is {g}"))?;
        Ok(vec![w.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.inputs[0].len();
        let groups = count.div_ceil(LANES);
        Ok(self
            .0
            .launch("backward", Grid::cover(groups)?, count, groups)
            .bind("w", Operand::Input(0))
            .bind("gradient", Operand::Input(1))
            .bind("out", Operand::Output(0))
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Penalty`] and [`PenaltyBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let normal = |n: usize| Sample::Normal(vec![n]);
    let mut cases = Vec::new();
    for (n, l1, l2) in [(1, 0.1, 0.0), (300, 0.0, 0.01), (20_000, 0.01, 0.02)] {
        let op = Penalty { l1, l2 };
        let back = PenaltyBackward(op.clone());
        let name = format!("penalty_backward {n} l1 {l1} l2 {l2}");
        cases.push(Case::new(name, back, vec![normal(n), normal(1)]));
        let name = format!("penalty {n} l1 {l1} l2 {l2}");
        cases.push(Case::new(name, op, vec![normal(n)]).gradient(&[0]));
    }
    cases
}
