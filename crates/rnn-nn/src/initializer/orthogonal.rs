use rnn_core::Rng;
use rnn_core::product::{Matrix, MatrixMut, Threads, multiply};

/// So few vectors are orthonormalized one by one.
const FEW: usize = 16;

/// A random matrix `[rows, columns]`, row-major, with orthonormal columns (rows, if it is wide): the
/// factor Q of normal numbers where R has a positive diagonal, as Keras keeps it.
pub(super) fn orthogonal(rows: usize, columns: usize, rng: &mut Rng) -> Vec<f32> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<f64> = (0..count * length).map(|_| rng.normal()).collect();
    // The second time removes what rounding has left (Giraud, Langou and Rozloznik, 2005).
    for _ in 0..2 {
        orthonormalize(&mut vectors, length);
    }
    if rows < columns {
        return vectors.into_iter().map(|x| x as f32).collect();
    }
    let at = |i: usize| vectors[i % columns * length + i / columns] as f32;
    (0..rows * columns).map(at).collect()
}

/// Gram and Schmidt's method on vectors of this length, one behind the other: the second half is
/// orthogonalized against the first as a product of matrices.
fn orthonormalize(vectors: &mut [f64], length: usize) {
    let count = vectors.len() / length.max(1);
    if count <= FEW {
        return orthonormalize_one_by_one(vectors, length);
    }
    let (first, second) = vectors.split_at_mut(count / 2 * length);
    orthonormalize(first, length);
    project_out(second, first, length);
    orthonormalize(second, length);
}

/// vectors -= (vectors done^T) done, where the rows of `done` are orthonormal.
fn project_out(vectors: &mut [f64], done: &[f64], length: usize) {
    let (count, others) = (vectors.len() / length, done.len() / length);
    let mut shares = vec![0.0; count * others];
    let factors = (Matrix::row_major(&*vectors, length), Matrix::column_major(done, length));
    let out = MatrixMut::row_major(&mut shares, others);
    multiply(out, false, factors, (count, others, length), Threads::All);
    shares.iter_mut().for_each(|share| *share = -*share);
    let factors = (Matrix::row_major(&shares, others), Matrix::row_major(done, length));
    let out = MatrixMut::row_major(vectors, length);
    multiply(out, true, factors, (count, length, others), Threads::All);
}

fn orthonormalize_one_by_one(vectors: &mut [f64], length: usize) {
    for begin in (0..vectors.len()).step_by(length.max(1)) {
        let (done, rest) = vectors.split_at_mut(begin);
        let v = &mut rest[..length];
        for u in done.chunks_exact(length) {
            let share = dot(u, v);
            v.iter_mut().zip(u).for_each(|(v, u)| *v -= share * u);
        }
        let norm = dot(v, v).sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
    }
}

/// Eight sums, so that vector instructions can add them.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_side_is_orthonormal() {
        for (rows, columns) in [(1, 1), (16, 64), (70, 70), (130, 33), (33, 130)] {
            let q = orthogonal(rows, columns, &mut Rng::new(3, 0));
            let (count, length) = (rows.min(columns), rows.max(columns));
            let at = |vector: usize, i: usize| {
                q[if rows < columns { vector * columns + i } else { i * columns + vector }]
            };
            for a in 0..count {
                for b in 0..count {
                    let dot: f64 = (0..length).map(|i| f64::from(at(a, i) * at(b, i))).sum();
                    let want = f64::from(u8::from(a == b));
                    assert!((dot - want).abs() < 1e-6, "{rows} x {columns}: {a}, {b}: {dot}");
                }
            }
        }
    }

    /// The definition: each vector less its shares of those before it, of length 1.
    #[test]
    fn halves_change_nothing() {
        let (count, length) = (70, 90);
        let mut rng = Rng::new(7, 1);
        let mut halves: Vec<f64> = (0..count * length).map(|_| rng.normal()).collect();
        let mut one_by_one = halves.clone();
        for _ in 0..2 {
            orthonormalize(&mut halves, length);
            orthonormalize_one_by_one(&mut one_by_one, length);
        }
        for (a, b) in halves.iter().zip(&one_by_one) {
            assert!((a - b).abs() < 1e-13, "{a} and {b}");
        }
    }
}
