use crate::common::{arity, clip, larger, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
    iterations,
};

/// WGSL module of [`Constrain`] (`shaders/optimizer/constrain.wgsl`).
pub static SHADER: Shader = Shader::new(
    "constrain",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::optimizer::CONSTRAIN,
    ],
);

/// A constraint onto which a weight is projected after each step
/// (keras/src/constraints/constraints.py).
/// The norm |w| of a column is the root of the sum of its squares along the first axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// No negative elements: w = max(w, 0).
    NonNegative,
    /// Bounded norms of columns: w *= (rate clip(|w|, low, high) + (1 - rate) |w|) / (|w| + 1e-7).
    Norm {
        /// Lower bound of the norms.
        low: f32,
        /// Upper bound of the norms.
        high: f32,
        /// Fraction, in 0..=1, of the distance to the bound by which a step changes a norm.
        rate: f32,
    },
}

impl Constraint {
    /// Returns the constraint that reduces norms above `high` to `high`: Keras's MaxNorm with
    /// `axis=0`.
    pub fn max_norm(high: f32) -> Self {
        Self::Norm { low: 0.0, high, rate: 1.0 }
    }

    /// Returns the constraint that scales norms to 1: Keras's UnitNorm with `axis=0`.
    pub fn unit_norm() -> Self {
        Self::Norm { low: 1.0, high: 1.0, rate: 1.0 }
    }

    /// Returns the constraint that moves norms towards the range `low..=high`: Keras's MinMaxNorm
    /// with `axis=0`. A step covers the fraction `rate`, in 0..=1, of the distance.
    pub fn min_max_norm(low: f32, high: f32, rate: f32) -> Self {
        Self::Norm { low, high, rate }
    }
}

/// Projects a weight onto a constraint, in place. No inputs or outputs. Update: a weight of any
/// shape.
#[derive(Clone, Debug)]
pub struct Constrain(pub Constraint);

/// Added to norms before division, as in Keras.
const EPSILON: f64 = 1e-7;

impl Definition for Constrain {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let rows = io.signature.updates[0].dims().first().copied().unwrap_or(1).max(1);
        let [w] = io.updates();
        let columns = w.len() / rows;
        match self.0 {
            Constraint::NonNegative => w.iter_mut().for_each(|w| *w = larger(*w, F::zero())),
            Constraint::Norm { low, high, rate } => {
                let [low, high, rate] = [low, high, rate].map(|v| F::of(v.into()));
                for column in 0..columns {
                    let squares: F = w.iter().skip(column).step_by(columns).map(|&w| w * w).sum();
                    let norm = squares.sqrt();
                    let wanted = rate * clip(norm, low, high) + (F::one() - rate) * norm;
                    let factor = wanted / (F::of(EPSILON) + norm);
                    w.iter_mut().skip(column).step_by(columns).for_each(|w| *w = *w * factor);
                }
            }
        }
    }
}

impl Op for Constrain {
    fn name(&self) -> &'static str {
        "constrain"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let ([], [_]) = (arity(inputs)?, arity(updates)?);
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let len = s.updates[0].len();
        let rows = s.updates[0].dims().first().copied().unwrap_or(1).max(1);
        let (entry, count, [low, high, rate]) = match self.0 {
            Constraint::NonNegative => ("not_negative", len, [0.0; 3]),
            Constraint::Norm { low, high, rate } => ("limit_norm", len / rows, [low, high, rate]),
        };
        Ok(Launch::new(&SHADER, entry, threads(count)?)
            .iterations(2 * iterations(rows, 0))
            .bind("w", Operand::Update(0))
            .param("count", count)
            .param("rows", rows)
            .param("low", low)
            .param("high", high)
            .param("rate", rate)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 3 * s.updates[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Constrain`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    [
        ("non-negative", Constraint::NonNegative),
        ("max_norm", Constraint::max_norm(2.0)),
        ("unit_norm", Constraint::unit_norm()),
        ("min_max_norm", Constraint::min_max_norm(0.5, 1.5, 0.7)),
    ]
    .map(|(name, constraint)| {
        Case::new(format!("constrain {name}"), Constrain(constraint), vec![])
            .updates(vec![Sample::Normal(vec![5, 3, 31])])
    })
    .into()
}
