//! Batch normalization: sums over parts of the rows in parallel, then the parts in order.

use crate::entry::Entry;
use crate::vector::add;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Affine, BatchNormalize, BatchNormalizeBackward};
use std::ops::Range;

/// The fast kernels of [`BatchNormalize`], [`BatchNormalizeBackward`] and [`Affine`], for the table
/// in `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(BatchNormalize, forward),
    entry!(BatchNormalizeBackward, |_, io| backward(io)),
    entry!(Affine, |_, io| affine(io)),
];

const ROWS: usize = 1024;

/// Sums the `width` terms of each row.
fn sum_rows(rows: usize, width: usize, term: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = (0..rows.div_ceil(ROWS))
        .into_par_iter()
        .map(|part| {
            let mut sum = vec![0.0; width];
            (part * ROWS..rows.min((part + 1) * ROWS)).for_each(|row| term(row, &mut sum));
            sum
        })
        .collect();
    let mut total = vec![0.0; width];
    parts.iter().for_each(|part| add(&mut total, part));
    total
}

/// The rows that a mask `[N, G]` keeps, by groups of columns; without a mask all rows.
struct UnmaskedRows<'a> {
    mask: Option<&'a [u32]>,
    groups: usize,
    rows_of_item: usize,
    columns_of_group: usize,
}

impl<'a> UnmaskedRows<'a> {
    fn of(io: &Io<'a, f32>, mask: usize, [rows, width]: [usize; 2]) -> Self {
        let Some([items, groups]) = io.signature.inputs.get(mask).map(|ty| ty.dims()) else {
            return Self { mask: None, groups: 1, rows_of_item: 1, columns_of_group: width };
        };
        let (rows_of_item, columns_of_group) = (rows / items, width / groups);
        Self { mask: Some(io.uints(mask)), groups: *groups, rows_of_item, columns_of_group }
    }

    fn is_unmasked(&self, row: usize, group: usize) -> bool {
        let at = row / self.rows_of_item * self.groups + group;
        self.mask.is_none_or(|mask| mask[at] != 0)
    }

    /// Iterates over the columns of the groups in which a row is unmasked.
    fn columns(&self, row: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let groups = (0..self.groups).filter(move |&group| self.is_unmasked(row, group));
        groups.map(|group| group * self.columns_of_group..(group + 1) * self.columns_of_group)
    }
}

fn forward(op: &BatchNormalize, io: &mut Io<'_, f32>) {
    let (x, width) = (io.input(0), io.signature.inputs[0].shape.last());
    let rows = x.len() / width;
    let unmasked = UnmaskedRows::of(io, 1, [rows, width]);
    let row = |i: usize| &x[i * width..(i + 1) * width];
    let mut all = [rows as f32];
    let [y, scale, mean, variance, counts] = match unmasked.mask {
        None => {
            let [y, scale, mean, variance] = io.outputs();
            [y, scale, mean, variance, &mut all]
        }
        Some(_) => {
            let outputs: [&mut [f32]; 5] = io.outputs();
            let sums = sum_rows(rows, unmasked.groups, |i, sum| {
                let groups =
                    sum.iter_mut().enumerate().filter(|(g, _)| unmasked.is_unmasked(i, *g));
                groups.for_each(|(_, sum)| *sum += 1.0);
            });
            // Keras's backend.epsilon(), added to the number of rows.
            outputs[4].iter_mut().zip(sums).for_each(|(count, sum)| *count = sum + 1e-7);
            outputs
        }
    };
    let divide = |sums: &mut [f32]| {
        for (sums, count) in sums.chunks_exact_mut(unmasked.columns_of_group).zip(&*counts) {
            sums.iter_mut().for_each(|sum| *sum /= count);
        }
    };
    mean.copy_from_slice(&sum_rows(rows, width, |i, sum| {
        unmasked.columns(i).for_each(|c| add(&mut sum[c.clone()], &row(i)[c]));
    }));
    divide(mean);
    let mean = &*mean;
    variance.copy_from_slice(&sum_rows(rows, width, |i, sum| {
        for c in unmasked.columns(i) {
            for ((sum, x), m) in sum[c.clone()].iter_mut().zip(&row(i)[c.clone()]).zip(&mean[c]) {
                *sum += (x - m) * (x - m);
            }
        }
    }));
    divide(variance);
    for (s, v) in scale.iter_mut().zip(&*variance) {
        *s = 1.0 / (v + op.epsilon).sqrt();
    }
    let scale = &*scale;
    y.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            for (((y, x), m), s) in y.iter_mut().zip(x).zip(mean).zip(scale) {
                *y = (x - m) * s;
            }
        }
    });
}

fn backward(io: &mut Io<'_, f32>) {
    let (y, dy, scale) = (io.input(0), io.input(1), io.input(2));
    let width = scale.len();
    let rows = y.len() / width;
    let unmasked = UnmaskedRows::of(io, 3, [rows, width]);
    let row = |i: usize| i * width..(i + 1) * width;
    let mut means = sum_rows(rows, 2 * width, |i, sum| {
        let (total, along) = sum.split_at_mut(width);
        let (y, dy) = (&y[row(i)], &dy[row(i)]);
        add(total, dy);
        along.iter_mut().zip(y).zip(dy).for_each(|((sum, y), dy)| *sum += y * dy);
    });
    let all = [rows as f32];
    let counts = if unmasked.mask.is_some() { io.input(4) } else { &all };
    for (c, mean) in means.iter_mut().enumerate() {
        *mean /= counts[c % width / unmasked.columns_of_group];
    }
    let (mean, along) = means.split_at(width);
    let dx = io.output().par_chunks_mut(ROWS * width);
    let parts = dx.zip(y.par_chunks(ROWS * width).zip(dy.par_chunks(ROWS * width)));
    parts.enumerate().for_each(|(part, (dx, (y, dy)))| {
        for (i, dx) in dx.chunks_exact_mut(width).enumerate() {
            let at = row(i);
            let (y, dy) = (&y[at.clone()], &dy[at]);
            for (dx, (dy, s)) in dx.iter_mut().zip(dy.iter().zip(scale)) {
                *dx = s * dy;
            }
            for c in unmasked.columns(part * ROWS + i).flatten() {
                dx[c] = scale[c] * (dy[c] - mean[c] - y[c] * along[c]);
            }
        }
    });
}

fn affine(io: &mut Io<'_, f32>) {
    let (x, a, b) = (io.input(0), io.input(1), io.input(2));
    let width = a.len();
    io.output().par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            for (((y, x), a), b) in y.iter_mut().zip(x).zip(a).zip(b) {
                *y = x * a + b;
            }
        }
    });
}
