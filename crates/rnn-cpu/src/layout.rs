//! Changes of layout.

use crate::entry::Entry;
use rayon::prelude::*;
use rnn_graph::{Io, Slice, SliceMut};
use rnn_ops::TransposeLeading;

/// The fast kernel of [`TransposeLeading`], for the table in `kernels.rs`.
pub const KERNELS: &[Entry] = &[entry!(TransposeLeading, |_, io| transpose_leading(io))];

/// Columns that become rows together: a cache line of each row.
const COLUMNS: usize = 16;

/// Transposes `[rows, columns, ..]` to `[columns, rows, ..]`.
fn transpose_leading(io: &mut Io<'_, f32>) {
    let [rows, columns, inner @ ..] = io.signature.inputs[0].dims() else { return };
    let extents = [*rows, *columns, inner.iter().product()];
    match (&io.inputs[0], &mut io.outputs[0]) {
        (Slice::Float(x), SliceMut::Float(y)) => transpose(x, extents, y),
        (Slice::Uint(x), SliceMut::Uint(y)) => transpose(x, extents, y),
        _ => {}
    }
}

fn transpose<T: Copy + Send + Sync>(x: &[T], [rows, columns, inner]: [usize; 3], y: &mut [T]) {
    if y.is_empty() {
        return;
    }
    let each = rows * inner;
    y.par_chunks_mut(COLUMNS * each).enumerate().for_each(|(part, y)| {
        for row in 0..rows {
            let x = &x[(row * columns + part * COLUMNS) * inner..];
            for (y, x) in y.chunks_exact_mut(each).zip(x.chunks_exact(inner)) {
                match x {
                    &[x] => y[row] = x,
                    x => y[row * inner..(row + 1) * inner].copy_from_slice(x),
                }
            }
        }
    });
}
