//! Losses of rows of predictions that are no sums of losses of single ones.

use super::{EPSILON, inside, power, slope_inside};
use crate::common::{arity, clip, dims, ensure, larger, row_iterations};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`RowLosses`] and [`RowLossesBackward`] (`shaders/loss/row_loss.wgsl`).
pub static SHADER: Shader = Shader::new(
    "row_loss",
    &[
        rnn_shaders::shared::ROWWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::shared::LOGARITHM,
        rnn_shaders::loss::ROW_LOSS,
    ],
);

/// Loss l(x, y) of a row of predictions x with labels y (keras/src/losses/losses.py). epsilon is
/// Keras's 1e-7; `[p]` is p between epsilon and 1 - epsilon; sums are over the row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowLoss {
    /// Categorical cross-entropy of probabilities: -sum of y log `[x / sum(x)]`.
    CrossEntropy,
    /// Cross-entropy of probabilities for a label that is a class, one-hot in y: -sum of y log
    /// (`[x]` / sum(`[x]`)).
    SparseCrossEntropy,
    /// Focal loss of probabilities: -sum of alpha y (1 - q)^gamma log q, q = `[x / sum(x)]`.
    Focal {
        /// The factor of the loss.
        alpha: f32,
        /// The exponent, at least 0.
        gamma: f32,
    },
    /// Kullback-Leibler divergence: sum of y log(y / x), each between epsilon and 1.
    KullbackLeibler,
    /// The negative cosine of the angle between x and y: -sum(x y) / (|x| |y|), with lengths of at
    /// least epsilon.
    CosineSimilarity,
    /// Categorical hinge loss: max(max((1 - y) x) - sum(x y) + 1, 0).
    CategoricalHinge,
    /// Tversky loss: 1 - s / (s + alpha sum((1 - x) y) + beta sum(x (1 - y)) + epsilon), s = sum(x
    /// y). With alpha and beta of 1/2 it is the Dice loss, whose epsilon counts half.
    Tversky {
        /// The weight of what is missing in x.
        alpha: f32,
        /// The weight of what is missing in y.
        beta: f32,
        /// The number that keeps the quotient finite, above 0.
        epsilon: f32,
    },
}

impl RowLoss {
    fn code(self) -> u32 {
        match self {
            Self::CrossEntropy => 0,
            Self::SparseCrossEntropy => 1,
            Self::Focal { .. } => 2,
            Self::KullbackLeibler => 3,
            Self::CosineSimilarity => 4,
            Self::CategoricalHinge => 5,
            Self::Tversky { .. } => 6,
        }
    }

    /// alpha, beta, gamma and epsilon.
    fn numbers(self) -> [f32; 4] {
        match self {
            Self::Focal { alpha, gamma } => [alpha, 0.0, gamma, EPSILON],
            Self::Tversky { alpha, beta, epsilon } => [alpha, beta, 0.0, epsilon],
            _ => [0.0, 0.0, 0.0, EPSILON],
        }
    }

    fn apply<F: Real>(self, x: &[F], y: &[F]) -> F {
        let all = || x.iter().copied().zip(y.iter().copied());
        let sum = |of: &dyn Fn(F, F) -> F| all().map(|(x, y)| of(x, y)).sum::<F>();
        let (one, total) = (F::one(), sum(&|x, _| x));
        let [alpha, beta, _, epsilon] = self.numbers().map(|number| F::of(number.into()));
        match self {
            Self::CrossEntropy => sum(&|x, y| -y * inside(x / total).ln()),
            Self::SparseCrossEntropy => {
                let total = sum(&|x, _| inside(x));
                sum(&|x, y| -y * (inside(x) / total).ln())
            }
            Self::Focal { gamma, .. } => sum(&|x, y| {
                let q = inside(x / total);
                -alpha * y * power(one - q, gamma) * q.ln()
            }),
            Self::KullbackLeibler => {
                sum(&|x, y| above_epsilon(y) * (above_epsilon(y) / above_epsilon(x)).ln())
            }
            Self::CosineSimilarity => {
                let [lengths_x, lengths_y] = [sum(&|x, _| x * x), sum(&|_, y| y * y)];
                let length = |squares: F| larger(squares.sqrt(), epsilon);
                -sum(&|x, y| x * y) / (length(lengths_x) * length(lengths_y))
            }
            Self::CategoricalHinge => {
                let wrong = highest_wrong(x, y);
                larger(wrong - sum(&|x, y| x * y) + one, F::zero())
            }
            Self::Tversky { .. } => {
                let both = sum(&|x, y| x * y);
                let missing = sum(&|x, y| alpha * (one - x) * y + beta * x * (one - y));
                one - both / (both + missing + epsilon)
            }
        }
    }

    /// Derivatives of `apply` with respect to x.
    fn slopes<F: Real>(self, x: &[F], y: &[F]) -> Vec<F> {
        let all = || x.iter().copied().zip(y.iter().copied());
        let sum = |of: &dyn Fn(F, F) -> F| all().map(|(x, y)| of(x, y)).sum::<F>();
        let (one, total) = (F::one(), sum(&|x, _| x));
        let [alpha, beta, _, epsilon] = self.numbers().map(|number| F::of(number.into()));
        // Of a function of the shares p = x / sum(x), by its derivative for each of them.
        let of_shares = |slope: &dyn Fn(F, F) -> F| -> Vec<F> {
            let turned = sum(&|x, y| x / total * slope(x / total, y));
            all().map(|(x, y)| (slope(x / total, y) - turned) / total).collect()
        };
        match self {
            Self::CrossEntropy => of_shares(&|p, y| -slope_inside(p) * y / inside(p)),
            Self::SparseCrossEntropy => {
                let [inner, mass] = [sum(&|x, _| inside(x)), sum(&|_, y| y)];
                let slope = |(x, y)| slope_inside(x) * (mass / inner - y / inside(x));
                all().map(slope).collect()
            }
            Self::Focal { gamma, .. } => of_shares(&|p, y| {
                let q = inside(p);
                let of_factor = match gamma {
                    0.0 => F::zero(),
                    gamma => F::of(gamma.into()) * power(one - q, gamma - 1.0) * q.ln(),
                };
                slope_inside(p) * alpha * y * (of_factor - power(one - q, gamma) / q)
            }),
            Self::KullbackLeibler => {
                let inner = |x: F| if above_epsilon(x) == x { one } else { F::zero() };
                all().map(|(x, y)| -inner(x) * above_epsilon(y) / above_epsilon(x)).collect()
            }
            Self::CosineSimilarity => {
                let squares = sum(&|x, _| x * x);
                let length = larger(squares.sqrt(), epsilon);
                let length_y = larger(sum(&|_, y| y * y).sqrt(), epsilon);
                let turns = if squares.sqrt() < epsilon { F::zero() } else { one };
                let along = turns * sum(&|x, y| x * y) / (length * length);
                all().map(|(x, y)| (along * x - y) / (length * length_y)).collect()
            }
            Self::CategoricalHinge => {
                let wrong = highest_wrong(x, y);
                let excess = wrong - sum(&|x, y| x * y) + one;
                let attains = |x: F, y: F| if (one - y) * x == wrong { one } else { F::zero() };
                let ties = sum(&attains);
                let slope = |(x, y)| match excess < F::zero() {
                    true => F::zero(),
                    false if excess.is_nan() => excess,
                    false => attains(x, y) * (one - y) / ties - y,
                };
                all().map(slope).collect()
            }
            Self::Tversky { .. } => {
                let both = sum(&|x, y| x * y);
                let missing = sum(&|x, y| alpha * (one - x) * y + beta * x * (one - y));
                let whole = both + missing + epsilon;
                let grows = |y: F| y - alpha * y + beta * (one - y);
                all().map(|(_, y)| (both * grows(y) - y * whole) / (whole * whole)).collect()
            }
        }
    }
}

fn above_epsilon<F: Real>(p: F) -> F {
    clip(p, F::of(EPSILON.into()), F::one())
}

/// The largest prediction of what is not labelled.
fn highest_wrong<F: Real>(x: &[F], y: &[F]) -> F {
    let wrong = x.iter().zip(y).map(|(&x, &y)| (F::one() - y) * x);
    wrong.fold(F::neg_infinity(), |a, b| larger(a, b))
}

/// The losses l of all rows of predictions x with labels y. Inputs: x and y `[B, C]`. Output: the
/// losses `[B]`. Gradients flow to x alone.
#[derive(Clone, Copy, Debug)]
pub struct RowLosses(pub RowLoss);

/// Gradient of x of [`RowLosses`]: d_loss times the derivative of l. Inputs: x and y `[B, C]`,
/// d_loss `[B]`. Output: dx `[B, C]`.
#[derive(Clone, Copy, Debug)]
pub struct RowLossesBackward(pub RowLoss);

fn launch(of: RowLoss, entry: &'static str, s: &Signature) -> Result<Launch, OpError> {
    let [rows, columns] = dims(&s.inputs[0])?;
    let [alpha, beta, gamma, epsilon] = of.numbers();
    Ok(Launch::new(&SHADER, entry, Grid::cover(rows)?)
        .iterations(2 * row_iterations(columns))
        .constant("KIND", of.code())
        .bind("predictions", Operand::Input(0))
        .bind("labels", Operand::Input(1))
        .bind("out", Operand::Output(0))
        .param("rows", rows)
        .param("columns", columns)
        .param("alpha", alpha)
        .param("beta", beta)
        .param("gamma", gamma)
        .param("epsilon", epsilon))
}

impl Definition for RowLosses {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, y, columns) = (io.input(0), io.input(1), io.signature.inputs[0].shape.last());
        let rows = x.chunks_exact(columns).zip(y.chunks_exact(columns));
        for (loss, (x, y)) in io.output().iter_mut().zip(rows) {
            *loss = self.0.apply(x, y);
        }
    }
}

impl Op for RowLosses {
    fn name(&self) -> &'static str {
        "row_loss"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, y] = arity(inputs)?;
        let [rows, _] = dims(x)?;
        ensure(x == y && !x.is_empty(), || format!("predictions {x}, labels {y}"))?;
        Ok(vec![TensorType::f32([rows])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch(self.0, "forward", s)?.into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let inputs = [operands.inputs[0], operands.inputs[1], g];
        let dx = graph.apply(RowLossesBackward(self.0), &inputs)?;
        Ok(vec![Some(dx), None])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 20 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for RowLossesBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let columns = io.signature.inputs[0].shape.last();
        let (x, y, d_loss) = (io.input(0), io.input(1), io.input(2));
        let rows = x.chunks_exact(columns).zip(y.chunks_exact(columns)).zip(d_loss);
        for (dx, ((x, y), &d_loss)) in io.output().chunks_exact_mut(columns).zip(rows) {
            for (dx, slope) in dx.iter_mut().zip(self.0.slopes(x, y)) {
                *dx = slope * d_loss;
            }
        }
    }
}

impl Op for RowLossesBackward {
    fn name(&self) -> &'static str {
        "row_loss_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, y, d_loss] = arity(inputs)?;
        let [rows, _] = dims(x)?;
        ensure(x == y && d_loss.len() == rows, || {
            format!("predictions {x}, labels {y}, gradient {d_loss}")
        })?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch(self.0, "backward", s)?.bind("d_loss", Operand::Input(2)).into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 30 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Losses by name, with the range of predictions that they take.
pub(crate) fn kinds() -> [(&'static str, RowLoss, [f32; 2]); 9] {
    let focal = |gamma| RowLoss::Focal { alpha: 0.25, gamma };
    let tversky = RowLoss::Tversky { alpha: 0.3, beta: 0.7, epsilon: EPSILON };
    [
        ("cross-entropy of probabilities", RowLoss::CrossEntropy, [0.02, 0.98]),
        ("sparse cross-entropy of probabilities", RowLoss::SparseCrossEntropy, [0.02, 0.98]),
        ("categorical focal", focal(2.0), [0.02, 0.98]),
        ("categorical focal of a root", focal(0.5), [0.02, 0.98]),
        ("categorical unfocused", focal(0.0), [0.02, 0.98]),
        ("divergence", RowLoss::KullbackLeibler, [0.02, 0.98]),
        ("cosine similarity", RowLoss::CosineSimilarity, [-3.0, 3.0]),
        ("categorical hinge", RowLoss::CategoricalHinge, [-3.0, 3.0]),
        ("tversky", tversky, [0.0, 1.0]),
    ]
}

/// Returns the test cases of [`RowLosses`] and [`RowLossesBackward`], for
/// [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, of, [low, high]) in kinds() {
        for (rows, columns) in [(1, 2), (33, 5), (3, 129)] {
            let shape = || vec![rows, columns];
            let both = vec![
                Sample::Uniform(shape(), low, high),
                // Away from the ends, at which a divergence has a kink.
                Sample::Uniform(shape(), 0.01, 0.99),
            ];
            let all = [both.clone(), vec![Sample::Normal(vec![rows])]].concat();
            let size = format!("{rows}x{columns}");
            cases.push(Case::new(format!("{name} {size}"), RowLosses(of), both).gradient(&[0]));
            let back = Case::new(format!("{name} backward {size}"), RowLossesBackward(of), all);
            // The slope of a share has few digits where little is left of a difference.
            cases.push(back.tolerance(1e-5));
        }
        // One-hot labels; shares that are clipped, equal wrong ones, and what has no length.
        let x = vec![1.0, 0.0, 0.0, 0.5, 0.5, 0.0, 1e-9, 2.0, 0.5, 0.0, 0.0, 0.0];
        let y = vec![0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        // Nothing can be shared out of nothing.
        let rows = match of {
            RowLoss::CrossEntropy | RowLoss::Focal { .. } => 3,
            _ => 4,
        };
        let edges = [x, y].map(|v| Sample::Floats(vec![rows, 3], v[..3 * rows].to_vec())).to_vec();
        let back = [edges.clone(), vec![Sample::Normal(vec![rows])]].concat();
        cases.push(Case::new(format!("{name} of edges"), RowLosses(of), edges));
        cases.push(Case::new(format!("{name} backward of edges"), RowLossesBackward(of), back));
    }
    cases
}
