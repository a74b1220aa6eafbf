use rnn_core::Rng;

/// How a weight gets its first values, as Keras defines them
/// (keras/src/initializers/random_initializers.py).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// 0 everywhere.
    Zeros,
    /// 0, but 1 in the second of four equal parts: an LSTM's bias with `unit_forget_bias`.
    UnitForgetBias,
    /// Uniform within `sqrt(6 / (rows + columns))`.
    GlorotUniform,
    /// The orthogonal factor of a normal matrix.
    Orthogonal,
    /// Uniform between two bounds.
    Uniform(f64, f64),
}

impl Initializer {
    /// Values for a weight of this shape, row-major.
    pub fn draw(self, shape: &[usize], rng: &mut Rng) -> Vec<f32> {
        let len = shape.iter().product();
        let columns = shape.last().copied().unwrap_or(1);
        let rows = len / columns.max(1);
        let mut uniform =
            |low, high| (0..len).map(|_| rng.uniform_in(low, high) as f32).collect::<Vec<_>>();
        match self {
            Self::Zeros => vec![0.0; len],
            Self::UnitForgetBias => {
                (0..len).map(|i| if i / (len / 4).max(1) == 1 { 1.0 } else { 0.0 }).collect()
            }
            Self::GlorotUniform => {
                let limit = (6.0 / (rows + columns) as f64).sqrt();
                uniform(-limit, limit)
            }
            Self::Uniform(low, high) => uniform(low, high),
            Self::Orthogonal => orthogonal(rows, columns, rng),
        }
    }
}

/// Orthonormal columns (rows, if the matrix is wide) by Gram-Schmidt, done twice so that rounding
/// does not spoil it. With R's diagonal positive this is the Q that Keras keeps.
fn orthogonal(rows: usize, columns: usize, rng: &mut Rng) -> Vec<f32> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut v: Vec<f64> = (0..length).map(|_| rng.normal()).collect();
        for _ in 0..2 {
            for u in &vectors {
                let dot: f64 = u.iter().zip(&v).map(|(a, b)| a * b).sum();
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= dot * u);
            }
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.iter_mut().for_each(|x| *x /= norm);
        }
        vectors.push(v);
    }
    let at = |r: usize, c: usize| if rows >= columns { vectors[c][r] } else { vectors[r][c] };
    (0..rows)
        .flat_map(|r| (0..columns).map(move |c| (r, c)))
        .map(|(r, c)| at(r, c) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_rows_are_orthonormal() {
        let (rows, columns) = (16, 64);
        let q = Initializer::Orthogonal.draw(&[rows, columns], &mut Rng::new(3, 0));
        for a in 0..rows {
            for b in 0..rows {
                let dot: f32 = (0..columns).map(|c| q[a * columns + c] * q[b * columns + c]).sum();
                assert!((dot - f32::from(u8::from(a == b))).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn glorot_fills_its_range() {
        let w = Initializer::GlorotUniform.draw(&[32, 512], &mut Rng::new(3, 0));
        let limit = (6.0f32 / 544.0).sqrt();
        let largest = w.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        assert!(largest <= limit && largest > 0.99 * limit);
    }
}
