//! Products with dropout of their own for each gate: rows are taken in blocks that stay in the
//! cache, and each gate multiplies its view of a block.

use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::vector;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{DropoutMatmul, DropoutMatmulInput, DropoutMatmulWeights, GateExtents};

/// Rows of a block.
const BLOCK: usize = 512;

/// The rows of a block as one gate sees them; `first` is the place of the first row.
fn seen(e: &GateExtents, factors: &[f32], gate: usize, first: usize, rows: &[f32]) -> Vec<f32> {
    let mut seen = rows.to_vec();
    drop_rows(e, factors, gate, first, &mut seen);
    seen
}

fn drop_rows(e: &GateExtents, factors: &[f32], gate: usize, first: usize, rows: &mut [f32]) {
    let of_gate = &factors[gate * e.period * e.features..][..e.period * e.features];
    for (i, row) in rows.chunks_exact_mut(e.features).enumerate() {
        let at = (first + i) % e.period * e.features;
        vector::scale_by(row, &of_gate[at..at + e.features]);
    }
}

pub fn forward(op: &DropoutMatmul, io: &mut Io<'_, f32>) {
    let Ok(e) = DropoutMatmul::extents(&io.signature.inputs) else { return };
    let (x, w, factors) = (io.input(0), io.input(1), io.input(2));
    let bias = op.bias.then(|| io.input(3));
    let columns = e.gates * e.width;
    let blocks = x.par_chunks(BLOCK * e.features).zip(io.output().par_chunks_mut(BLOCK * columns));
    blocks.enumerate().for_each(|(block, (x, y))| {
        if let Some(bias) = bias {
            y.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(bias));
        }
        let rows = x.len() / e.features;
        for gate in 0..e.gates {
            let seen = seen(&e, factors, gate, block * BLOCK, x);
            let out = MatrixMut { data: &mut y[gate * e.width..], row_stride: columns };
            let w = Matrix::row_major(&w[gate * e.width..], columns);
            let product = (Matrix::row_major(&seen, e.features), w);
            multiply(out, bias.is_some(), product, (rows, e.width, e.features), Threads::One);
        }
    });
}

pub fn input(io: &mut Io<'_, f32>) {
    let Ok(e) = DropoutMatmulInput::extents(&io.signature.inputs) else { return };
    let (dy, w, factors) = (io.input(0), io.input(1), io.input(2));
    let columns = e.gates * e.width;
    let blocks = dy.par_chunks(BLOCK * columns).zip(io.output().par_chunks_mut(BLOCK * e.features));
    blocks.enumerate().for_each(|(block, (dy, dx))| {
        let rows = dx.len() / e.features;
        let mut part = vec![0.0; dx.len()];
        dx.fill(0.0);
        for gate in 0..e.gates {
            let dy = Matrix::row_major(&dy[gate * e.width..], columns);
            let w = Matrix::column_major(&w[gate * e.width..], columns);
            let out = MatrixMut::row_major(&mut part, e.features);
            multiply(out, false, (dy, w), (rows, e.features, e.width), Threads::One);
            drop_rows(&e, factors, gate, block * BLOCK, &mut part);
            vector::add(dx, &part);
        }
    });
}

/// Rows whose products are summed by one thread.
const PART: usize = 16 * BLOCK;

/// Each gate's sum over each part of the rows, then the parts in order.
pub fn weights(io: &mut Io<'_, f32>) {
    let Ok(e) = DropoutMatmulWeights::extents(&io.signature.inputs) else { return };
    let (x, dy, factors) = (io.input(0), io.input(1), io.input(2));
    let (columns, rows) = (e.gates * e.width, io.signature.inputs[0].shape.rows());
    let tasks: Vec<(usize, usize)> =
        (0..rows).step_by(PART).flat_map(|first| (0..e.gates).map(move |g| (first, g))).collect();
    let sum_part = |&(first, gate): &(usize, usize)| {
        let mut sum = vec![0.0; e.features * e.width];
        let end = rows.min(first + PART);
        for from in (first..end).step_by(BLOCK) {
            let to = end.min(from + BLOCK);
            let seen = seen(&e, factors, gate, from, &x[from * e.features..to * e.features]);
            let product = (
                Matrix::column_major(&seen, e.features),
                Matrix::row_major(&dy[from * columns + gate * e.width..], columns),
            );
            let out = MatrixMut::row_major(&mut sum, e.width);
            multiply(out, true, product, (e.features, e.width, to - from), Threads::One);
        }
        sum
    };
    let sums: Vec<Vec<f32>> = tasks.par_iter().map(sum_part).collect();
    let out = io.output();
    out.fill(0.0);
    for (&(_, gate), sum) in tasks.iter().zip(&sums) {
        for (row, sum) in out.chunks_exact_mut(columns).zip(sum.chunks_exact(e.width)) {
            vector::add(&mut row[gate * e.width..(gate + 1) * e.width], sum);
        }
    }
}
