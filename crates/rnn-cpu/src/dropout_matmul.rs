//! Products with a dropout of its own for each gate: rows are processed in blocks that stay in the
//! cache, and each gate multiplies its view of a block.

use crate::entry::Entry;
use crate::gemm_at_b::{Rows, sum_outer_products};
use crate::vector;
use rayon::prelude::*;
use rnn_core::product::{Matrix, MatrixMut, Threads, multiply};
use rnn_graph::Io;
use rnn_ops::{DropoutMatmul, DropoutMatmulInput, DropoutMatmulWeights, GateExtents};
use std::ops::Range;

/// The fast kernels of [`DropoutMatmul`], [`DropoutMatmulInput`] and [`DropoutMatmulWeights`], for
/// the table in `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(DropoutMatmul, forward),
    entry!(DropoutMatmulInput, |_, io| input(io)),
    entry!(DropoutMatmulWeights, |_, io| weights(io)),
];

/// Rows per block.
const BLOCK: usize = 512;

/// Returns the rows of a block times a gate's factors; `first` is the index of the first row.
fn seen(e: &GateExtents, factors: &[f32], gate: usize, first: usize, rows: &[f32]) -> Vec<f32> {
    let mut seen = rows.to_vec();
    drop_rows(e, factors, gate, first, &mut seen);
    seen
}

fn drop_rows(e: &GateExtents, factors: &[f32], gate: usize, first: usize, rows: &mut [f32]) {
    for (i, row) in rows.chunks_exact_mut(e.features).enumerate() {
        vector::scale_by(row, of_row(e, factors, gate, first + i));
    }
}

/// Returns a gate's factors for a row.
fn of_row<'a>(e: &GateExtents, factors: &'a [f32], gate: usize, row: usize) -> &'a [f32] {
    &factors[(gate * e.period + row % e.period) * e.features..][..e.features]
}

fn forward(op: &DropoutMatmul, io: &mut Io<'_, f32>) {
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

fn input(io: &mut Io<'_, f32>) {
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

/// x times each gate's factors.
struct Seen<'a> {
    x: &'a [f32],
    factors: &'a [f32],
    extents: GateExtents,
}

impl Rows for Seen<'_> {
    fn width(&self) -> usize {
        let GateExtents { features, .. } = self.extents;
        features
    }

    fn views(&self) -> usize {
        self.extents.gates
    }

    fn gather(&self, gate: usize, rows: Range<usize>, to: &mut [f32], stride: usize) {
        let GateExtents { features, .. } = self.extents;
        let each = to.chunks_mut(stride).zip(self.memory(rows.clone()).chunks_exact(features));
        for ((to, x), row) in each.zip(rows) {
            to[..features].copy_from_slice(x);
            vector::scale_by(&mut to[..features], of_row(&self.extents, self.factors, gate, row));
        }
    }

    fn memory(&self, rows: Range<usize>) -> &[f32] {
        let features = self.extents.features;
        &self.x[rows.start * features..rows.end * features]
    }
}

fn weights(io: &mut Io<'_, f32>) {
    let Ok(extents) = DropoutMatmulWeights::extents(&io.signature.inputs) else { return };
    let (x, dy, factors) = (io.input(0), io.input(1), io.input(2));
    let seen = Seen { x, factors, extents };
    sum_outer_products(&seen, (dy, extents.gates * extents.width), io.output(), None);
}
