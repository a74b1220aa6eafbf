//! Batch normalization: sums over parts of the rows in parallel, then the parts in order.

use crate::vector::add;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::BatchNormalize;

const ROWS: usize = 1024;

/// Sums what `term` makes of each row into as many numbers.
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

pub fn forward(op: &BatchNormalize, io: &mut Io<'_, f32>) {
    let (x, width) = (io.input(0), io.signature.inputs[0].shape.last());
    let rows = x.len() / width;
    let row = |i: usize| &x[i * width..(i + 1) * width];
    let [y, scale, mean, variance] = io.outputs();
    mean.copy_from_slice(&sum_rows(rows, width, |i, sum| add(sum, row(i))));
    mean.iter_mut().for_each(|m| *m /= rows as f32);
    let mean = &*mean;
    let squares = sum_rows(rows, width, |i, sum| {
        for ((sum, x), m) in sum.iter_mut().zip(row(i)).zip(mean) {
            *sum += (x - m) * (x - m);
        }
    });
    for ((v, s), sum) in variance.iter_mut().zip(scale.iter_mut()).zip(squares) {
        *v = sum / rows as f32;
        *s = 1.0 / (*v + op.epsilon).sqrt();
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

pub fn backward(io: &mut Io<'_, f32>) {
    let (y, dy, scale) = (io.input(0), io.input(1), io.input(2));
    let width = scale.len();
    let rows = y.len() / width;
    let row = |i: usize| i * width..(i + 1) * width;
    let mut means = sum_rows(rows, 2 * width, |i, sum| {
        let (total, along) = sum.split_at_mut(width);
        let (y, dy) = (&y[row(i)], &dy[row(i)]);
        add(total, dy);
        along.iter_mut().zip(y).zip(dy).for_each(|((sum, y), dy)| *sum += y * dy);
    });
    means.iter_mut().for_each(|m| *m /= rows as f32);
    let (mean, along) = means.split_at(width);
    let dx = io.output().par_chunks_mut(ROWS * width);
    let parts = dx.zip(y.par_chunks(ROWS * width).zip(dy.par_chunks(ROWS * width)));
    parts.for_each(|(dx, (y, dy))| {
        for (i, dx) in dx.iter_mut().enumerate() {
            let c = i % width;
            *dx = scale[c] * (dy[i] - mean[c] - y[i] * along[c]);
        }
    });
}

pub fn affine(io: &mut Io<'_, f32>) {
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
