use crate::common::{arity, ensure};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Grid, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

pub static SHADER: Shader = Shader::new(
    "metrics",
    &[
        include_str!("../../../shaders/flat.wgsl"),
        include_str!("../../../shaders/tree_sum.wgsl"),
        include_str!("../../../shaders/metrics.wgsl"),
    ],
);

/// sums += (loss B, right, B) for a batch of B examples, where `right` counts those that are
/// classified as their labels say. Over an epoch sums[0] / sums[2] is the mean loss, as Keras
/// weighs it, and sums[1] / sums[2] the accuracy.
///
/// Inputs: predictions and labels `[B, ..]`, loss `[1]`. Update: sums `[3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metrics {
    /// There are no classes: none is right.
    Regression,
    /// Each prediction is the logit of a class of its own; an example is right in part.
    Binary,
    /// The largest prediction of an example is its class.
    Categorical,
}

impl Metrics {
    fn right<F: Real>(self, x: &[F], y: &[F]) -> F {
        // The first of equals.
        let largest =
            |v: &[F]| (1..v.len()).fold(0, |best, i| if v[i] > v[best] { i } else { best });
        match self {
            Self::Regression => F::zero(),
            Self::Binary => {
                let right = |(x, y): &(&F, &F)| (**x > F::zero()) == (**y > F::of(0.5));
                F::of(x.iter().zip(y).filter(right).count() as f64 / x.len() as f64)
            }
            Self::Categorical => F::of(f64::from(u8::from(largest(x) == largest(y)))),
        }
    }
}

/// Examples, and predictions of each.
fn extents(x: &TensorType) -> (usize, usize) {
    let examples = x.dims().first().copied().unwrap_or(1).max(1);
    (examples, x.len() / examples)
}

impl Definition for Metrics {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (examples, width) = extents(&io.signature.inputs[0]);
        let (x, y, loss) = (io.input(0), io.input(1), io.input(2)[0]);
        let rows = x.chunks_exact(width).zip(y.chunks_exact(width));
        let right: F = rows.map(|(x, y)| self.right(x, y)).sum();
        let [sums] = io.updates();
        let count = F::of(examples as f64);
        sums[0] = sums[0] + loss * count;
        sums[1] = sums[1] + right;
        sums[2] = sums[2] + count;
    }
}

impl Op for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let ([x, y, loss], [sums]) = (arity(inputs)?, arity(updates)?);
        ensure(x == y && !x.is_empty(), || format!("predictions {x}, labels {y}"))?;
        ensure(loss.len() == 1 && sums.len() == 3, || format!("loss {loss}, sums {sums}"))?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (examples, width) = extents(&s.inputs[0]);
        Ok(Launch::new(&SHADER, "add", Grid::new(1, 1, 1)?)
            .constant("KIND", *self as u32)
            .bind("predictions", Operand::Input(0))
            .bind("labels", Operand::Input(1))
            .bind("loss", Operand::Input(2))
            .bind("out", Operand::Update(0))
            .param("examples", examples)
            .param("width", width)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 2 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (op, name) in [
        (Metrics::Regression, "regression"),
        (Metrics::Binary, "binary"),
        (Metrics::Categorical, "categorical"),
    ] {
        for (examples, width) in [(1, 1), (300, 1), (61, 7)] {
            let inputs = vec![
                Sample::Normal(vec![examples, width]),
                Sample::Uniform(vec![examples, width], 0.0, 1.0),
                Sample::Normal(vec![1]),
            ];
            let sums = vec![Sample::Uniform(vec![3], 0.0, 9.0)];
            let name = format!("metrics {name} {examples}x{width}");
            cases.push(Case::new(name, op, inputs).updates(sums));
        }
    }
    cases
}
