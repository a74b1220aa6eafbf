use crate::common::{arity, ensure};
use crate::{Activation, Case, Definition, Sample};
use rnn_graph::{
    Cost, Grid, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

pub static SHADER: Shader = Shader::new(
    "tally",
    &[
        include_str!("../../../shaders/flat.wgsl"),
        include_str!("../../../shaders/tree_sum.wgsl"),
        include_str!("../../../shaders/tally.wgsl"),
    ],
);

/// Thresholds of the area under the ROC curve (keras/src/metrics/confusion_metrics.py, AUC).
const AUC_THRESHOLDS: usize = 200;
/// A probability p lies in bucket ceil(p BUCKETS) - 1, above as many thresholds and one.
const BUCKETS: usize = AUC_THRESHOLDS - 1;

/// Running sums over the examples of an epoch, from which its metrics follow: loss B, how many of
/// the examples are right, and their number B; then for each class how many are rightly taken for
/// it, are taken for it, and belong to it; then, if there are but two classes, for each bucket of
/// probabilities how many negative and positive examples lie in it.
///
/// Inputs: predictions and labels `[B, ..]`, loss `[1]`. Update: sums `[len]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// There are no classes: none is right.
    Regression,
    /// Each prediction is the logit of one class, the positive one; an example is right in part.
    Binary,
    /// The largest prediction of an example is its class.
    Categorical,
}

impl Tally {
    /// The number of sums, of examples of so many predictions.
    pub fn len(self, width: usize) -> usize {
        3 + self.counters(width)
    }

    fn counters(self, width: usize) -> usize {
        match self {
            Self::Regression => 0,
            Self::Binary => 3 + 2 * BUCKETS,
            Self::Categorical => 3 * width,
        }
    }

    /// The classes that an example, or a part of it, is taken for and belongs to.
    fn classes<F: Real>(self, x: &[F], y: &[F]) -> [Option<usize>; 2] {
        // The first of equals.
        let largest =
            |v: &[F]| (1..v.len()).fold(0, |best, i| if v[i] > v[best] { i } else { best });
        match self {
            Self::Regression => [None; 2],
            Self::Binary => [(x[0] > F::zero()).then_some(0), (y[0] > F::of(0.5)).then_some(0)],
            Self::Categorical => [Some(largest(x)), Some(largest(y))],
        }
    }
}

fn bucket<F: Real>(logit: F) -> usize {
    let above = Activation::Sigmoid.apply(logit) * F::of(BUCKETS as f64);
    (0..BUCKETS - 1).take_while(|&b| above > F::of(b as f64 + 1.0)).count()
}

/// Examples, and predictions of each.
fn extents(x: &TensorType) -> (usize, usize) {
    let examples = x.dims().first().copied().unwrap_or(1).max(1);
    (examples, x.len() / examples)
}

impl Definition for Tally {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (examples, width) = extents(&io.signature.inputs[0]);
        let (x, y, loss) = (io.input(0), io.input(1), io.input(2)[0]);
        let [sums] = io.updates();
        let mut add = |at: usize, value: F| sums[at] = sums[at] + value;
        add(0, loss * F::of(examples as f64));
        add(2, F::of(examples as f64));
        let part = match self {
            Self::Regression => return,
            Self::Binary => 1,
            Self::Categorical => width,
        };
        let mut right = 0;
        for (x, y) in x.chunks_exact(part).zip(y.chunks_exact(part)) {
            let [taken, actual] = self.classes(x, y);
            right += usize::from(taken == actual);
            for (column, class) in [(1, taken), (2, actual)] {
                class.into_iter().for_each(|c| add(3 + 3 * c + column, F::one()));
            }
            taken.filter(|_| taken == actual).into_iter().for_each(|c| add(3 + 3 * c, F::one()));
            if *self == Self::Binary {
                add(6 + 2 * bucket(x[0]) + usize::from(actual.is_some()), F::one());
            }
        }
        add(1, F::of(right as f64 * part as f64 / width as f64));
    }
}

impl Op for Tally {
    fn name(&self) -> &'static str {
        "tally"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let ([x, y, loss], [sums]) = (arity(inputs)?, arity(updates)?);
        ensure(x == y && !x.is_empty(), || format!("predictions {x}, labels {y}"))?;
        let len = self.len(extents(x).1);
        ensure(loss.len() == 1 && sums.len() == len, || format!("loss {loss}, sums {sums}"))?;
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
            .param("classes", if *self == Self::Categorical { width } else { 1 })
            .param("counters", self.counters(width))
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
        (Tally::Regression, "regression"),
        (Tally::Binary, "binary"),
        (Tally::Categorical, "categorical"),
    ] {
        for (examples, width) in [(1, 1), (300, 1), (61, 7), (3, 300)] {
            // In the middle of a bucket, so that rounding moves none to another.
            let logit = |i: usize| {
                let p = ((i * 83 % BUCKETS) as f32 + 0.5) / BUCKETS as f32;
                (p / (1.0 - p)).ln() + 1e-4
            };
            let shape = vec![examples, width];
            let inputs = vec![
                Sample::Floats(shape.clone(), (0..examples * width).map(logit).collect()),
                Sample::Uniform(shape, 0.0, 1.0),
                Sample::Normal(vec![1]),
            ];
            let sums = vec![Sample::Uniform(vec![op.len(width)], 0.0, 9.0)];
            let name = format!("tally {name} {examples}x{width}");
            cases.push(Case::new(name, op, inputs).updates(sums));
        }
    }
    cases
}
