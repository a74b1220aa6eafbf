use crate::common::{THREADS, arity, dims, ensure, exceeds};
use crate::{Activation, Case, Definition, Sample};
use rnn_graph::{
    Cost, Grid, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType,
    Work, iterations,
};

/// WGSL module of [`UpdateMetricSums`] (`shaders/loss/metric_sums.wgsl`).
pub static SHADER: Shader = Shader::new(
    "metric_sums",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::shared::ACTIVATIONS,
        rnn_shaders::shared::TREE_SUM,
        rnn_shaders::loss::METRIC_SUMS,
    ],
);

/// Number of buckets of probabilities. A probability p lies in bucket ceil(p BUCKETS) - 1. Keras's
/// AUC has 200 thresholds (keras/src/metrics/confusion_metrics.py), which bound 199 buckets.
const BUCKETS: usize = rnn_shaders::constant(rnn_shaders::loss::METRIC_SUMS, "BUCKETS");

/// The kind of predictions. It decides what [`UpdateMetricSums`] counts for the metrics of an
/// epoch, besides the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricSums {
    /// Regression: there are no classes, and nothing is counted as correct.
    Regression,
    /// Binary classification: each prediction is the logit of the positive class, and is correct if
    /// it is above 0 exactly where its label is above 0.5. A row counts as the fraction of its
    /// predictions that are correct.
    Binary,
    /// Classification: the class of a row is the index of its largest prediction, and its true
    /// class the index of its largest label; of equal ones, the first.
    Categorical,
}

impl MetricSums {
    /// Number of sums before the counters of classes and buckets. They are loss, correct rows,
    /// examples and counted rows.
    pub const LEADING: usize = 4;

    /// Returns the length of the tensor of sums, for rows of `width` predictions:
    /// [`Self::LEADING`], plus 3 + 2 x 199 for [`Self::Binary`], or 3 x `width` for
    /// [`Self::Categorical`].
    pub fn len(self, width: usize) -> usize {
        Self::LEADING + self.counters(width)
    }

    fn counters(self, width: usize) -> usize {
        match self {
            Self::Regression => 0,
            Self::Binary => 3 + 2 * BUCKETS,
            Self::Categorical => 3 * width,
        }
    }

    /// Returns the predicted and the true class of a row, or of one prediction of a row.
    fn classes<F: Real>(self, x: &[F], y: &[F]) -> [Option<usize>; 2] {
        // The first of equal predictions; NaN is no class.
        let largest =
            |v: &[F]| (1..v.len()).fold(0, |best, i| if exceeds(v[i], v[best]) { i } else { best });
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

/// Adds a batch to the running sums of an epoch, from which its metrics are computed. A row is an
/// example or, in a sequence, one time step of an example.
///
/// The sums are, in order: the loss times B; the correct rows; B; the rows that the mask does not
/// exclude; then for each class three counts: rows rightly predicted as the class, rows predicted
/// as it, rows that belong to it. For [`MetricSums::Binary`] the positive class alone is counted,
/// by predictions instead of rows; then follow, for each of 199 buckets of probabilities, the
/// numbers of predictions whose label is negative and positive. A probability p lies in bucket
/// ceil(199 p) - 1, as bounded by the 200 thresholds of Keras's AUC
/// (keras/src/metrics/confusion_metrics.py). For [`MetricSums::Regression`] the correct and the
/// counted rows stay as they are.
///
/// Inputs: predictions and labels, each `[B, C]`, or `[B T, C]` with all steps of an example
/// together; the loss `[1]`; optionally the mask u32 `[T, B]`. Update: the sums,
/// [`MetricSums::len`] floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateMetricSums {
    /// The kind of predictions.
    pub of: MetricSums,
    /// B, the batch size.
    pub examples: usize,
}

impl Definition for UpdateMetricSums {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Self { of, examples } = *self;
        let Ok([rows, width]) = dims(&io.signature.inputs[0]) else { return };
        let (x, y, loss) = (io.input(0), io.input(1), io.input(2)[0]);
        let mask = (io.inputs.len() > 3).then(|| io.uints(3));
        let [sums] = io.updates();
        let mut add = |at: usize, value: F| sums[at] = sums[at] + value;
        add(0, loss * F::of(examples as f64));
        add(2, F::of(examples as f64));
        let part = match of {
            MetricSums::Regression => return,
            MetricSums::Binary => 1,
            MetricSums::Categorical => width,
        };
        let steps = rows / examples;
        let is_unmasked =
            |row: usize| mask.is_none_or(|mask| mask[row % steps * examples + row / steps] != 0);
        let (mut right, mut counted) = (0, 0);
        for (row, (x, y)) in x.chunks_exact(width).zip(y.chunks_exact(width)).enumerate() {
            for (x, y) in x.chunks_exact(part).zip(y.chunks_exact(part)) {
                if !is_unmasked(row) {
                    continue;
                }
                let [taken, actual] = of.classes(x, y);
                counted += 1;
                right += usize::from(taken == actual);
                let mut count = |at: usize| add(MetricSums::LEADING + at, F::one());
                for (column, class) in [(1, taken), (2, actual)] {
                    class.into_iter().for_each(|c| count(3 * c + column));
                }
                taken.filter(|_| taken == actual).into_iter().for_each(|c| count(3 * c));
                if of == MetricSums::Binary {
                    count(3 + 2 * bucket(x[0]) + usize::from(actual.is_some()));
                }
            }
        }
        for (at, parts) in [(1, right), (3, counted)] {
            add(at, F::of((parts * part) as f64 / width as f64));
        }
    }
}

impl Op for UpdateMetricSums {
    fn name(&self) -> &'static str {
        "metric_sums"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let (three, masks) = inputs.split_at(inputs.len().min(3));
        let ([x, y, loss], [sums]) = (arity(three)?, arity(updates)?);
        let [rows, width] = dims(x)?;
        let whole = self.examples > 0 && rows.is_multiple_of(self.examples);
        ensure(x == y && !x.is_empty() && whole, || {
            format!("predictions {x}, labels {y} of {} examples", self.examples)
        })?;
        let len = self.of.len(width);
        ensure(loss.len() == 1 && sums.len() == len, || format!("loss {loss}, sums {sums}"))?;
        let fits = match masks {
            [] => true,
            [mask] => *mask == TensorType::u32([rows / self.examples, self.examples]),
            _ => false,
        };
        ensure(fits, || format!("masks {masks:?} for predictions {x}"))?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let [rows, width] = dims(&s.inputs[0])?;
        let masked = s.inputs.len() > 3;
        // An absent mask is never read; any tensor can be bound in its place.
        let mask = Operand::Input(if masked { 3 } else { 0 });
        let counters = self.of.counters(width);
        // The elements that have a class of their own.
        let parts = match self.of {
            MetricSums::Regression => 0,
            MetricSums::Binary => rows * width,
            MetricSums::Categorical => rows,
        };
        // A thread loops over one of 256 parts of the rows, and for some counters over all parts.
        let of_256 =
            iterations(width, 0) + iterations(counters.div_ceil(THREADS), iterations(THREADS, 0));
        let around = 2 * iterations(THREADS.ilog2() as usize, 0) + 1;
        let rounds = limits.loop_iterations.saturating_sub(around) / (1 + of_256);
        let most = usize::try_from(rounds).unwrap_or(usize::MAX).max(1).saturating_mul(THREADS);
        let grid = Grid::new(1, 1, 1)?;
        let launch = |first: usize| {
            let end = parts.min(first.saturating_add(most));
            Launch::new(&SHADER, "add", grid)
                .iterations(iterations((end - first).div_ceil(THREADS), of_256) + around)
                .constant("KIND", self.of as u32)
                .constant("HAS_MASK", u8::from(masked))
                .bind("predictions", Operand::Input(0))
                .bind("labels", Operand::Input(1))
                .bind("loss", Operand::Input(2))
                .bind("mask", mask)
                .bind("out", Operand::Update(0))
                .param("examples", self.examples)
                .param("rows", rows)
                .param("width", width)
                .param("classes", if self.of == MetricSums::Categorical { width } else { 1 })
                .param("counters", counters)
                .param("first", first)
                .param("end", end)
        };
        Ok((0..parts.max(1)).step_by(most).map(launch).collect::<Vec<_>>().into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 2 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`UpdateMetricSums`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (of, name) in [
        (MetricSums::Regression, "regression"),
        (MetricSums::Binary, "binary"),
        (MetricSums::Categorical, "categorical"),
    ] {
        for (examples, steps, width) in
            [(1, 1, 1), (300, 1, 1), (61, 1, 7), (3, 1, 300), (4, 5, 1), (70, 9, 3)]
        {
            // In the middle of a bucket, so that rounding moves no logit to another.
            let logit = |i: usize| {
                let p = ((i * 83 % BUCKETS) as f32 + 0.5) / BUCKETS as f32;
                (p / (1.0 - p)).ln() + 1e-4
            };
            let rows = examples * steps;
            let shape = vec![rows, width];
            let mut inputs = vec![
                Sample::Floats(shape.clone(), (0..rows * width).map(logit).collect()),
                Sample::Uniform(shape, 0.0, 1.0),
                Sample::Normal(vec![1]),
            ];
            let mask = || {
                let unmasked = (0..rows).map(|i| u32::from(i % 3 != 1)).collect();
                Sample::Exactly(vec![steps, examples], unmasked)
            };
            inputs.extend((steps > 1).then(mask));
            let sums = vec![Sample::Uniform(vec![of.len(width)], 0.0, 9.0)];
            let name = format!("metric_sums {name} {examples}x{steps}x{width}");
            cases.push(Case::new(name, UpdateMetricSums { of, examples }, inputs).updates(sums));
        }
    }
    cases
}
