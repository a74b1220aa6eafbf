//! Matrix products: tall ones by `gemm_tall` and `gemm_at_b`, others by the gemm crate.

use crate::blocks::MIN_COLUMNS;
use crate::entry::Entry;
use crate::gemm_at_b::{Plain, sum_outer_products};
use crate::gemm_tall::{Epilogue, GatheredRows, RowProduct};
use crate::geometry::GateColumns;
use crate::packed::UNROLL;
use crate::vector;
use rayon::prelude::*;
use rnn_core::product::{Matrix, MatrixMut, Threads, multiply};
use rnn_graph::Io;
use rnn_ops::{Matmul, MatmulWeights, SumRows};

/// The fast kernels of [`Matmul`], [`MatmulWeights`] and [`SumRows`], for the table in
/// `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(Matmul, run),
    entry!(MatmulWeights, |_, io| weights(io)),
    entry!(SumRows, |_, io: &mut Io<'_, f32>| sum_rows(io.input(0), io.output())),
];

/// Rows from which on a product counts as tall.
const TALL: usize = 2048;
/// Maximum number of sums of outer products that a part of the rows keeps, in floats.
const MAX_SUMS: usize = 1 << 18;

/// Returns the rows that a thread finishes while its caches hold them.
fn rows_of_part(columns: usize) -> usize {
    ((1 << 14) / columns.max(1)).clamp(24, 256).next_multiple_of(24)
}

/// Returns true if A^T B, with A of `rows` rows and m columns, is summed in parts of the rows.
fn sums_parts(rows: usize, m: usize, n: usize) -> bool {
    rows >= TALL && m * n <= MAX_SUMS
}

fn run(op: &Matmul, io: &mut Io<'_, f32>) {
    let s = io.signature;
    let (a_type, b_type) = (&s.inputs[0], &s.inputs[1]);
    let (rows, columns) = (a_type.shape.rows(), a_type.shape.last());
    let (a, b) = (io.input(0), io.input(1));
    let plain = Matmul { transpose_a: true, ..Matmul::default() };
    if *op == plain && sums_parts(rows, columns, b_type.shape.last()) {
        let b = (b, b_type.shape.last());
        return sum_outer_products(&Plain(a, columns), b, io.output(), None);
    }
    let (m, k, a) = match op.transpose_a {
        false => (rows, columns, Matrix::row_major(a, columns)),
        true => (columns, rows, Matrix::column_major(a, columns)),
    };
    let (n, b) = match op.transpose_b {
        false => (b_type.shape.last(), Matrix::row_major(b, b_type.shape.last())),
        true => (b_type.shape.rows(), Matrix::column_major(b, k)),
    };
    let epilogue = Epilogue::new(op.bias.then(|| io.input(2)), op.activation);
    let (out, all) = (io.output(), GateColumns::all(n));
    if m >= TALL && n >= MIN_COLUMNS && k.is_multiple_of(UNROLL) && !op.transpose_a {
        let right = pack(b, (k, n));
        let part = rows_of_part(n);
        let parts = a.data.par_chunks(part * k).zip(out.par_chunks_mut(part * n));
        parts.for_each(|(a, out)| {
            let starts: Vec<usize> = (0..a.len()).step_by(k).collect();
            let left = GatheredRows { data: a, starts: &starts, rows: starts.len(), depth: k };
            right.put(left, epilogue, (out, all));
        });
        return;
    }
    out.par_chunks_mut(rows_of_part(n) * n).for_each(|out| epilogue.begin(out, all));
    multiply(MatrixMut::row_major(out, n), true, (a, b), (m, n, k), Threads::All);
    out.par_chunks_mut(1 << 14).for_each(|out| epilogue.end(out));
}

/// Computes the gradients of a kernel and a bias, reading dy once.
fn weights(io: &mut Io<'_, f32>) {
    let [a_type, b_type] = &io.signature.inputs[..] else { return };
    let (rows, m, n) = (a_type.shape.rows(), a_type.shape.last(), b_type.shape.last());
    let (a, b) = (io.input(0), io.input(1));
    let [dw, db] = io.outputs();
    if sums_parts(rows, m, n) {
        return sum_outer_products(&Plain(a, m), (b, n), dw, Some(db));
    }
    let product = (Matrix::column_major(a, m), Matrix::row_major(b, n));
    multiply(MatrixMut::row_major(dw, n), false, product, (m, n, rows), Threads::All);
    sum_rows(b, db);
}

/// Sums parts of the rows in parallel, then the parts in order.
fn sum_rows(x: &[f32], out: &mut [f32]) {
    const ROWS_PER_PART: usize = 1024;
    let width = out.len();
    let parts: Vec<Vec<f32>> = x
        .par_chunks(ROWS_PER_PART * width)
        .map(|rows| {
            let mut sum = vec![0.0; width];
            rows.chunks_exact(width).for_each(|row| vector::add(&mut sum, row));
            sum
        })
        .collect();
    out.fill(0.0);
    parts.iter().for_each(|part| vector::add(out, part));
}

fn pack(b: Matrix<'_>, (k, n): (usize, usize)) -> RowProduct {
    if b.column_stride == 1 {
        return RowProduct::new(k, n, |row| b.data.chunks_exact(n).nth(row));
    }
    let mut rows = vec![0.0; k * n];
    for (column, from) in b.data.chunks_exact(k).enumerate() {
        let to = rows.chunks_exact_mut(n).map(|row| &mut row[column]);
        to.zip(from).for_each(|(to, &value)| *to = value);
    }
    RowProduct::new(k, n, |row| rows.chunks_exact(n).nth(row))
}
