mod orthogonal;

use orthogonal::orthogonal;
use rnn_core::Rng;

/// The distribution of the initial values of a weight, as Keras defines it (random_initializers.py
/// and constant_initializers.py in keras/src/initializers).
///
/// fan_in and fan_out of a kernel `[.., in, out]` are `in` and `out`, each times the product of the
/// extents before them; of a vector both are its length. Truncated normal numbers lie within two
/// standard deviations; the variance given here is that after truncation.
#[derive(Clone, Debug, PartialEq)]
pub enum Initializer {
    /// 0 everywhere.
    Zeros,
    /// 1 everywhere.
    Ones,
    /// This value everywhere.
    Constant(f64),
    /// The bias `[4 units]` of an LSTM: 1 for the forget gate, the second quarter, and the values
    /// of this initializer for the other gates.
    UnitForgetBias(Box<Initializer>),
    /// Uniform from -a to a, where a = `sqrt(6 / (fan_in + fan_out))`.
    GlorotUniform,
    /// Truncated normal of mean 0 and variance `2 / (fan_in + fan_out)`.
    GlorotNormal,
    /// Uniform from -a to a, where a = `sqrt(6 / fan_in)`.
    HeUniform,
    /// Truncated normal of mean 0 and variance `2 / fan_in`.
    HeNormal,
    /// Uniform from -a to a, where a = `sqrt(3 / fan_in)`.
    LecunUniform,
    /// Truncated normal of mean 0 and variance `1 / fan_in`.
    LecunNormal,
    /// A random matrix with orthonormal columns, or rows if it has more columns than rows: the
    /// factor Q of a matrix of normal numbers. Its columns are the last axis of the weight.
    Orthogonal,
    /// 1 on the diagonal and 0 elsewhere, in a matrix whose columns are the last axis of the
    /// weight.
    Identity,
    /// Uniform from the lower bound, the first number, to the upper bound.
    Uniform(f64, f64),
    /// Normal with this mean, the first number, and this standard deviation.
    Normal(f64, f64),
    /// Normal with this mean, the first number, and this standard deviation; values further than
    /// two standard deviations from the mean are drawn again.
    TruncatedNormal(f64, f64),
}

/// The standard deviation of a unit normal truncated at two.
const TRUNCATED_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initializer {
    /// Returns values for a weight of the extents `shape`, row-major, drawn from `rng`. A shape
    /// with an extent of 0 has none.
    pub fn draw(&self, shape: &[usize], rng: &mut Rng) -> Vec<f32> {
        let len: usize = shape.iter().product();
        let columns = shape.last().copied().unwrap_or(1);
        let rows = len / columns.max(1);
        let (fan_in, fan_out) = fans(shape);
        let uniform = |limit: f64| Self::Uniform(-limit, limit);
        let normal =
            |variance: f64| Self::TruncatedNormal(0.0, variance.sqrt() / TRUNCATED_DEVIATION);
        let mut each = |value: &mut dyn FnMut(&mut Rng) -> f64| -> Vec<f32> {
            (0..len).map(|_| value(rng) as f32).collect()
        };
        match self {
            Self::Zeros => vec![0.0; len],
            Self::Ones => vec![1.0; len],
            &Self::Constant(value) => vec![value as f32; len],
            Self::UnitForgetBias(others) => {
                let mut values = others.draw(shape, rng);
                values[len / 4..len / 2].fill(1.0);
                values
            }
            Self::GlorotUniform => uniform((6.0 / (fan_in + fan_out)).sqrt()).draw(shape, rng),
            Self::GlorotNormal => normal(2.0 / (fan_in + fan_out)).draw(shape, rng),
            Self::HeUniform => uniform((6.0 / fan_in).sqrt()).draw(shape, rng),
            Self::HeNormal => normal(2.0 / fan_in).draw(shape, rng),
            Self::LecunUniform => uniform((3.0 / fan_in).sqrt()).draw(shape, rng),
            Self::LecunNormal => normal(1.0 / fan_in).draw(shape, rng),
            Self::Orthogonal => orthogonal(rows, columns, rng),
            Self::Identity => {
                (0..len).map(|i| f32::from(u8::from(i / columns == i % columns))).collect()
            }
            &Self::Uniform(low, high) => each(&mut |rng| rng.uniform_in(low, high)),
            &Self::Normal(mean, deviation) => each(&mut |rng| mean + deviation * rng.normal()),
            &Self::TruncatedNormal(mean, deviation) => each(&mut |rng| {
                let mut value = rng.normal();
                while value.abs() > 2.0 {
                    value = rng.normal();
                }
                mean + deviation * value
            }),
        }
    }
}

fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [] => (1.0, 1.0),
        [length] => (length as f64, length as f64),
        [ref field @ .., inputs, outputs] => {
            let field: usize = field.iter().product();
            ((field * inputs) as f64, (field * outputs) as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_draws_have_their_variance() {
        let (fan_in, fan_out) = (3.0 * 40.0, 3.0 * 70.0);
        for (initializer, variance) in [
            (Initializer::GlorotUniform, 2.0 / (fan_in + fan_out)),
            (Initializer::GlorotNormal, 2.0 / (fan_in + fan_out)),
            (Initializer::HeUniform, 2.0 / fan_in),
            (Initializer::HeNormal, 2.0 / fan_in),
            (Initializer::LecunUniform, 1.0 / fan_in),
            (Initializer::LecunNormal, 1.0 / fan_in),
            (Initializer::Normal(0.0, 0.05), 0.0025),
        ] {
            let w = initializer.draw(&[3, 40, 70], &mut Rng::new(5, 0));
            let found = w.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / w.len() as f64;
            assert!((found / variance - 1.0).abs() < 0.05, "{initializer:?}: {found}");
        }
    }

    #[test]
    fn a_forget_bias_leaves_the_other_gates() {
        let bias = Initializer::UnitForgetBias(Box::new(Initializer::Constant(0.5)));
        let values = bias.draw(&[8], &mut Rng::new(1, 0));
        assert_eq!(values, [0.5, 0.5, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
        let identity = Initializer::Identity.draw(&[2, 3], &mut Rng::new(1, 0));
        assert_eq!(identity, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn glorot_fills_its_range() {
        let w = Initializer::GlorotUniform.draw(&[32, 512], &mut Rng::new(3, 0));
        let limit = (6.0f32 / 544.0).sqrt();
        let largest = w.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        assert!(largest <= limit && largest > 0.99 * limit);
    }
}
