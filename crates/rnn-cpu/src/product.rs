//! Matrix products: a safe interface to the gemm crate.
#![allow(unsafe_code, reason = "gemm takes raw pointers; the bounds are asserted beside the call")]

/// A factor of [`multiply`]: a matrix in a slice. The element at a row and a column is `data[row *
/// row_stride + column * column_stride]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// The elements.
    pub data: &'a [f32],
    /// Distance between rows, in floats.
    pub row_stride: usize,
    /// Distance between columns, in floats.
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Returns the matrix `[rows, columns]` that `data` holds row by row.
    pub fn row_major(data: &'a [f32], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// Returns the matrix `[rows, columns]` that `data` holds column by column.
    pub fn column_major(data: &'a [f32], rows: usize) -> Self {
        Self { data, row_stride: 1, column_stride: rows }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
        last < self.data.len()
    }
}

/// The output of [`multiply`]: a matrix whose rows begin every `row_stride` floats.
pub struct MatrixMut<'a> {
    /// The elements.
    pub data: &'a mut [f32],
    /// Distance between rows, in floats.
    pub row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// Returns the matrix `[rows, columns]` that `data` holds row by row.
    pub fn row_major(data: &'a mut [f32], columns: usize) -> Self {
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
pub fn multiply(
    out: MatrixMut<'_>,
    accumulate: bool,
    (a, b): (Matrix<'_>, Matrix<'_>),
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
            data.chunks_mut(row_stride).take(m).for_each(|row| row[..n].fill(0.0));
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
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
