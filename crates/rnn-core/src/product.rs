//! Matrix products: a safe interface to the gemm crate.
#![allow(unsafe_code, reason = "gemm takes raw pointers; the bounds are asserted beside the call")]

/// Numbers whose matrices can be multiplied: f32 and f64.
pub trait Number: Copy + Sync + Send + 'static + private::Sealed {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Number for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
}

impl Number for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
}

/// A factor of [`multiply`]: a matrix in a slice. The element at a row and a column is `data[row *
/// row_stride + column * column_stride]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T = f32> {
    /// The elements.
    pub data: &'a [T],
    /// Distance between rows, in elements.
    pub row_stride: usize,
    /// Distance between columns, in elements.
    pub column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Returns the matrix `[rows, columns]` that `data` holds row by row.
    pub fn row_major(data: &'a [T], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// Returns the matrix `[rows, columns]` that `data` holds column by column.
    pub fn column_major(data: &'a [T], rows: usize) -> Self {
        Self { data, row_stride: 1, column_stride: rows }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
        last < self.data.len()
    }
}

/// The output of [`multiply`]: a matrix whose rows begin every `row_stride` elements.
pub struct MatrixMut<'a, T = f32> {
    /// The elements.
    pub data: &'a mut [T],
    /// Distance between rows, in elements.
    pub row_stride: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// Returns the matrix `[rows, columns]` that `data` holds row by row.
    pub fn row_major(data: &'a mut [T], columns: usize) -> Self {
        Self { data, row_stride: columns }
    }
}

/// The threads that a product may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// All threads of the pool.
    All,
    /// The caller's thread alone.
    One,
}

/// Computes out = a b, or out += a b if `accumulate` is true. a is `[m, k]`, b is `[k, n]` and out
/// is `[m, n]`. If k is 0, the product is zero. If m or n is 0, it does nothing.
///
/// # Panics
/// Panics if a slice is shorter than the extents require, or if the rows of out overlap.
pub fn multiply<T: Number>(
    out: MatrixMut<'_, T>,
    accumulate: bool,
    (a, b): (Matrix<'_, T>, Matrix<'_, T>),
    (m, n, k): (usize, usize, usize),
    threads: Threads,
) {
    if m == 0 || n == 0 {
        return;
    }
    let MatrixMut { data, row_stride } = out;
    assert!(row_stride >= n && (m - 1) * row_stride + n <= data.len(), "the output of a product");
    if k == 0 {
        if !accumulate {
            data.chunks_mut(row_stride).take(m).for_each(|row| row[..n].fill(T::ZERO));
        }
        return;
    }
    assert!(a.covers(m, k) && b.covers(k, n), "the operands of a product");
    let parallelism = match threads {
        Threads::All => gemm::Parallelism::Rayon(0),
        Threads::One => gemm::Parallelism::None,
    };
    // SAFETY: every element that gemm touches lies inside the slices, as asserted above, and
    // the output is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            data.as_mut_ptr(),
            1,
            row_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extents that no register block divides. The last product is large enough for several threads
    /// and for operands that are packed; Miri takes a second for a product of any size.
    const EXTENTS: &[(usize, usize, usize)] = if cfg!(miri) {
        &[(1, 7, 3), (9, 18, 5)]
    } else {
        &[(1, 1, 1), (1, 7, 3), (17, 1, 5), (3, 5, 1), (7, 18, 6), (33, 31, 65), (129, 257, 301)]
    };

    /// A matrix in an allocation that ends with its last element: a sanitizer sees every access
    /// beyond it.
    struct Exact {
        data: Box<[f32]>,
        row_stride: usize,
        column_stride: usize,
    }

    impl Exact {
        /// Small integers, whose sums of products are exact.
        fn new((rows, columns): (usize, usize), row_stride: usize, column_stride: usize) -> Self {
            let len = (rows - 1) * row_stride + (columns - 1) * column_stride + 1;
            let data = (0..len).map(|i| ((7 * i + len) % 11) as f32 - 5.0).collect();
            Self { data, row_stride, column_stride }
        }

        fn matrix(&self) -> Matrix<'_> {
            let Self { data, row_stride, column_stride } = self;
            Matrix { data, row_stride: *row_stride, column_stride: *column_stride }
        }

        fn at(&self, row: usize, column: usize) -> f32 {
            self.data[row * self.row_stride + column * self.column_stride]
        }
    }

    /// By rows, by columns, and with gaps between the rows.
    fn layouts((rows, columns): (usize, usize)) -> [Exact; 3] {
        let extents = (rows, columns);
        [
            Exact::new(extents, columns, 1),
            Exact::new(extents, 1, rows),
            Exact::new(extents, columns + 3, 1),
        ]
    }

    #[test]
    fn products_of_slices_of_the_exact_length_are_those_of_loops() {
        for &(m, n, k) in EXTENTS {
            for (a, b) in layouts((m, k)).iter().zip(&layouts((k, n))).chain([
                (&Exact::new((m, k), k, 1), &Exact::new((k, n), 1, k)),
                (&Exact::new((m, k), 1, m + 2), &Exact::new((k, n), n + 5, 1)),
            ]) {
                // Miri would take minutes for the pool of threads.
                let all = if cfg!(miri) { Threads::One } else { Threads::All };
                for (accumulate, gap, threads) in
                    [(false, 0, Threads::One), (true, 3, Threads::One), (true, 1, all)]
                {
                    let before = Exact::new((m, n), n + gap, 1);
                    let mut data = before.data.clone();
                    let out = MatrixMut { data: &mut data, row_stride: n + gap };
                    multiply(out, accumulate, (a.matrix(), b.matrix()), (m, n, k), threads);
                    let expected = |at: usize| {
                        let (row, column) = (at / (n + gap), at % (n + gap));
                        if column >= n {
                            return before.data[at];
                        }
                        let sum: f32 = (0..k).map(|i| a.at(row, i) * b.at(i, column)).sum();
                        if accumulate { before.data[at] + sum } else { sum }
                    };
                    let expected: Vec<f32> = (0..data.len()).map(expected).collect();
                    assert!(*data == *expected, "{m} x {n} x {k}, accumulate: {accumulate}");
                }
            }
        }
    }

    #[test]
    fn an_empty_sum_is_zero_and_an_empty_product_nothing() {
        let empty = Matrix::row_major(&[], 0);
        let mut data = [1.0, 2.0, 3.0, 4.0, 5.0];
        let out = MatrixMut { data: &mut data, row_stride: 3 };
        multiply(out, false, (empty, empty), (2, 2, 0), Threads::One);
        assert_eq!(data, [0.0, 0.0, 3.0, 0.0, 0.0]);
        multiply(MatrixMut::row_major(&mut [], 0), false, (empty, empty), (0, 3, 1), Threads::One);
    }

    #[test]
    #[should_panic(expected = "the operands of a product")]
    fn a_slice_that_is_too_short_is_refused() {
        let (a, b) = (Exact::new((3, 4), 4, 1), Exact::new((4, 2), 2, 1));
        let short = Matrix { data: &b.data[1..], ..b.matrix() };
        let mut data = [0.0; 6];
        let out = MatrixMut::row_major(&mut data, 2);
        multiply(out, false, (a.matrix(), short), (3, 2, 4), Threads::One);
    }
}
