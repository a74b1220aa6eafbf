//! The gated recurrent unit: its backward pass, and the forward pass of the variant that applies
//! its reset gate before the product with U.

use crate::entry::Entry;
use crate::recurrence::{Recurrence, rows_per_group};
use crate::scan::{self, by_group, input_projection::InputProjection};
use crate::simd::activate_each;
use crate::vector::{add, flush};
use rayon::prelude::*;
use rnn_core::product::{Matrix, MatrixMut, Threads, multiply};
use rnn_graph::Io;
use rnn_ops::{Activation, Gru, GruBackward};

/// The fast kernels of [`Gru`] and [`GruBackward`], for the table in `kernels.rs`.
pub const KERNELS: &[Entry] = &[entry!(Gru, forward), entry!(GruBackward, backward)];

fn forward(op: &Gru, io: &mut Io<'_, f32>) {
    match op.reset_after {
        true => scan::gru::scan(op, InputProjection::stored(io), 1, io),
        false => forward_reset_before(op, io),
    }
}

fn forward_reset_before(op: &Gru, io: &mut Io<'_, f32>) {
    let &[steps, batch, width] = io.dims(0) else { return };
    let hidden = width / 3;
    let (x, matrix) = (io.input(0), io.input(1));
    let [_, state, mask, dropout] = op.places(2);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let mask = mask.map(|p| io.uints(p));
    let recurrence = Recurrence { matrix, hidden, gates: 2, columns: width, dropout, batch, mask };
    let [h, saved] = io.outputs();
    let mut last = state.map_or_else(|| vec![0.0; batch * hidden], <[f32]>::to_vec);
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let outputs = by_group(h, batch * hidden, per_group).into_par_iter().zip(by_group(
        saved,
        5 * batch * hidden,
        5 * per_group,
    ));
    outputs.zip(last.par_chunks_mut(per_group)).enumerate().for_each(
        |(group, ((mut h, mut saved), last))| {
            let row0 = group * group_rows;
            let mut inner = vec![0.0; 3 * last.len()];
            let mut passed = vec![0.0; last.len()];
            for t in 0..steps {
                inner.fill(0.0);
                recurrence.add_product(&mut inner, width, last, row0);
                let from = (t * batch + row0) * width;
                let rows = saved[t].chunks_exact_mut(5 * hidden).zip(inner.chunks_exact(width));
                let xs = x[from..].chunks_exact(width).zip(last.chunks_exact(hidden));
                let rows = rows.zip(xs).zip(passed.chunks_exact_mut(hidden));
                for (i, (((parts, inner), (x, last)), passed)) in rows.enumerate() {
                    for k in 0..2 * hidden {
                        parts[k] = x[k] + inner[k];
                    }
                    keep_each(op.recurrent_activation, &mut parts[..2 * hidden]);
                    parts[3 * hidden..4 * hidden].copy_from_slice(last);
                    for k in 0..hidden {
                        let factor = recurrence.factor(2, row0 + i, k);
                        let r = op.recurrent_activation.recall(parts[hidden + k]);
                        passed[k] = r * last[k] * factor;
                    }
                    parts[4 * hidden..].copy_from_slice(passed);
                }
                let u = Matrix::row_major(&matrix[2 * hidden..], width);
                let out = MatrixMut { data: &mut inner[2 * hidden..], row_stride: width };
                let product = (Matrix::row_major(&passed, hidden), u);
                let extents = (last.len() / hidden, hidden, hidden);
                multiply(out, true, product, extents, Threads::One);
                let rows = saved[t].chunks_exact_mut(5 * hidden).zip(inner.chunks_exact(width));
                let xs = x[from..].chunks_exact(width).zip(last.chunks_exact_mut(hidden));
                for (i, ((parts, inner), (x, last))) in rows.zip(xs).enumerate() {
                    let candidate = x[2 * hidden..].iter().zip(&inner[2 * hidden..]);
                    for (g, (x, inner)) in parts[2 * hidden..].iter_mut().zip(candidate) {
                        *g = x + inner;
                    }
                    keep_each(op.activation, &mut parts[2 * hidden..3 * hidden]);
                    if !recurrence.is_unmasked(t, row0 + i) {
                        parts.fill(0.0);
                        continue;
                    }
                    for k in 0..hidden {
                        let z = op.recurrent_activation.recall(parts[k]);
                        let g = op.activation.recall(parts[2 * hidden + k]);
                        last[k] = flush(z * last[k] + (1.0 - z) * g);
                    }
                }
                h[t].copy_from_slice(last);
            }
        },
    );
}

fn backward(op: &GruBackward, io: &mut Io<'_, f32>) {
    let &[steps, batch, parts] = io.dims(1) else { return };
    let (hidden, width) = (parts / 5, 3 * (parts / 5));
    let (matrix, saved, d_hidden) = (io.input(0), io.input(1), io.input(2));
    let [mask, dropout] = op.optional();
    let (mask, dropout) = (mask.map(|p| io.uints(p)), dropout.map(|p| io.input(p)));
    let gru = &op.0;
    let gates = if gru.reset_after { 3 } else { 2 };
    let recurrence = Recurrence { matrix, hidden, gates, columns: width, dropout, batch, mask };
    let [dx, da, dh] = io.outputs();
    dh.fill(0.0);
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let outputs = by_group(dx, 3 * batch * hidden, 3 * per_group).into_par_iter().zip(by_group(
        da,
        3 * batch * hidden,
        3 * per_group,
    ));
    outputs.zip(dh.par_chunks_mut(per_group)).enumerate().for_each(
        |(group, ((mut dx, mut da), dh))| {
            let row0 = group * group_rows;
            let mut scratch = vec![0.0; 2 * dh.len()];
            let mut carried = vec![0.0; dh.len()];
            for t in (0..steps).rev() {
                let place = t * batch + row0;
                add(dh, &d_hidden[place * hidden..place * hidden + dh.len()]);
                let rows = row0..row0 + dh.len() / hidden;
                if !rows.into_iter().any(|row| recurrence.is_unmasked(t, row)) {
                    dx[t].fill(0.0);
                    da[t].fill(0.0);
                    continue;
                }
                let saved = &saved[place * parts..];
                let rows = dx[t].chunks_exact_mut(width).zip(da[t].chunks_exact_mut(width));
                let rows = rows.zip(saved.chunks_exact(parts).zip(dh.chunks_exact_mut(hidden)));
                for (i, ((dx, da), (saved, dh))) in rows.enumerate() {
                    match recurrence.is_unmasked(t, row0 + i) {
                        true => row_backward(gru, saved, dh, dx),
                        false => dx.fill(0.0),
                    }
                    da.copy_from_slice(dx);
                    if gru.reset_after {
                        for k in 0..hidden {
                            let r = gru.recurrent_activation.recall(saved[hidden + k]);
                            da[2 * hidden + k] *= r;
                        }
                    }
                }
                if !gru.reset_after {
                    // Through the product with r h(t-1).
                    let ut = Matrix::row_major(&matrix[2 * hidden * hidden..], hidden);
                    let product = (Matrix::row_major(&dx[t][2 * hidden..], width), ut);
                    let out = MatrixMut::row_major(&mut carried, hidden);
                    multiply(
                        out,
                        false,
                        product,
                        (dh.len() / hidden, hidden, hidden),
                        Threads::One,
                    );
                    let rows = dx[t].chunks_exact_mut(width).zip(da[t].chunks_exact_mut(width));
                    let others = saved.chunks_exact(parts).zip(dh.chunks_exact_mut(hidden));
                    let rows = rows.zip(others.zip(carried.chunks_exact(hidden)));
                    for (i, ((dx, da), ((saved, dh), passed))) in rows.enumerate() {
                        if !recurrence.is_unmasked(t, row0 + i) {
                            continue;
                        }
                        for k in 0..hidden {
                            let p = passed[k] * recurrence.factor(2, row0 + i, k);
                            let (kept, before) = (saved[hidden + k], saved[3 * hidden + k]);
                            let r = gru.recurrent_activation.recall(kept);
                            let d = flush(p * before * gru.recurrent_activation.slope(kept));
                            dx[hidden + k] = d;
                            da[hidden + k] = d;
                            dh[k] += p * r;
                        }
                    }
                }
                carried.fill(0.0);
                recurrence.carry_back(&mut carried, da[t], (t, row0), &mut scratch);
                dh.iter_mut().zip(&carried).for_each(|(dh, c)| *dh = flush(*dh + c));
            }
        },
    );
}

/// Replaces pre-activations by what is kept of the activation for the gradient.
fn keep_each(activation: Activation, sums: &mut [f32]) {
    if !activation.keeps_input() {
        activate_each(activation, sums);
    }
}

/// Computes the gradients of one row of x that need no product; dh becomes dh z.
fn row_backward(op: &Gru, saved: &[f32], dh: &mut [f32], dx: &mut [f32]) {
    let n = dh.len();
    let (act, rec) = (op.activation, op.recurrent_activation);
    for k in 0..n {
        let [z_kept, r_kept, g_kept, before, inner] =
            [0, 1, 2, 3, 4].map(|part| saved[part * n + k]);
        let (z, g) = (rec.recall(z_kept), act.recall(g_kept));
        dx[k] = flush(dh[k] * (before - g) * rec.slope(z_kept));
        dx[2 * n + k] = flush(dh[k] * (1.0 - z) * act.slope(g_kept));
        dx[n + k] = match op.reset_after {
            true => flush(dx[2 * n + k] * inner * rec.slope(r_kept)),
            false => 0.0,
        };
        dh[k] = flush(dh[k] * z);
    }
}
