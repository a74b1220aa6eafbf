//! Recurrent layers over whole sequences. Rows of a batch do not depend on each other, so each
//! thread takes a group of rows through all steps without waiting for another.

use crate::product::{Matrix, Threads, multiply};
use crate::vector::{activate, flush};
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Lstm, LstmBackward, SimpleRnn, SimpleRnnBackward};

/// Rows of the batch to a group: the same for any number of threads up to four, so that results
/// do not depend on it; small batches are not split further than 8 rows.
fn rows_per_group(batch: usize) -> usize {
    batch.div_ceil(4).max(8).min(batch.max(1))
}

/// `[steps, batch, width]` as, for each group of rows, one slice a step.
fn by_group(data: &mut [f32], per_step: usize, per_group: usize) -> Vec<Vec<&mut [f32]>> {
    let mut groups: Vec<Vec<&mut [f32]>> = Vec::new();
    groups.resize_with(per_step.div_ceil(per_group), Vec::new);
    for step in data.chunks_exact_mut(per_step) {
        for (group, rows) in groups.iter_mut().zip(step.chunks_mut(per_group)) {
            group.push(rows);
        }
    }
    groups
}

pub fn lstm(op: &Lstm, io: &mut Io<'_, f32>) {
    let &[steps, batch, width] = io.dims(0) else { return };
    let hidden = width / 4;
    let (x, u) = (io.input(0), io.input(1));
    let zeros = vec![0.0; 2 * batch * hidden];
    let state = if io.inputs.len() > 2 { io.input(2) } else { &zeros };
    let (h0, c0) = state.split_at(batch * hidden);
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let [h, c, gates, last] = io.outputs();
    let hs = by_group(h, batch * hidden, per_group);
    let cs = by_group(c, batch * hidden, per_group);
    let zs = by_group(gates, batch * width, group_rows * width);
    hs.into_par_iter().zip(cs).zip(zs).enumerate().for_each(|(group, ((mut h, mut c), mut z))| {
        let at = group * per_group;
        for t in 0..steps {
            let rows = z[t].len() / width;
            let from = (t * batch + group * group_rows) * width;
            z[t].copy_from_slice(&x[from..from + rows * width]);
            let (h_past, h_now) = h.split_at_mut(t);
            let (c_past, c_now) = c.split_at_mut(t);
            let h_before = h_past.last().map_or(&h0[at..at + rows * hidden], |h| h);
            let c_before = c_past.last().map_or(&c0[at..at + rows * hidden], |c| c);
            let product = (Matrix::row_major(h_before, hidden), Matrix::row_major(u, width));
            multiply(z[t], true, product, (rows, width, hidden), Threads::One);
            let rows = z[t].chunks_exact_mut(width).zip(h_now[0].chunks_exact_mut(hidden));
            let rows =
                rows.zip(c_now[0].chunks_exact_mut(hidden).zip(c_before.chunks_exact(hidden)));
            for ((z, h), (c, c_before)) in rows {
                lstm_row(op, z, h, c, c_before);
            }
        }
    });
    last[..batch * hidden].copy_from_slice(&h[(steps - 1) * batch * hidden..]);
    last[batch * hidden..].copy_from_slice(&c[(steps - 1) * batch * hidden..]);
}

/// Turns the pre-activations of one row into its gates, cell and hidden state.
fn lstm_row(op: &Lstm, z: &mut [f32], h: &mut [f32], c: &mut [f32], c_before: &[f32]) {
    let n = h.len();
    activate(op.recurrent_activation, &mut z[..2 * n]);
    activate(op.activation, &mut z[2 * n..3 * n]);
    activate(op.recurrent_activation, &mut z[3 * n..]);
    let (i, rest) = z.split_at(n);
    let (f, rest) = rest.split_at(n);
    let (g, o) = rest.split_at(n);
    for k in 0..n {
        c[k] = flush(f[k] * c_before[k] + i[k] * g[k]);
    }
    h.copy_from_slice(c);
    activate(op.activation, h);
    for k in 0..n {
        h[k] *= o[k];
    }
}

pub fn lstm_backward(op: &LstmBackward, io: &mut Io<'_, f32>) {
    let &[steps, batch, width] = io.dims(2) else { return };
    let hidden = width / 4;
    let (ut, c, gates) = (io.input(0), io.input(1), io.input(2));
    let [state, d_hidden, d_last] = op.optional().map(|place| place.map(|p| io.input(p)));
    let zeros = vec![0.0; batch * hidden];
    let c0 = state.map_or(zeros.as_slice(), |s| &s[batch * hidden..]);
    let [dz, d_state] = io.outputs();
    match d_last {
        Some(given) => d_state.copy_from_slice(given),
        None => d_state.fill(0.0),
    }
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let (dh, dc) = d_state.split_at_mut(batch * hidden);
    let carries = dh.par_chunks_mut(per_group).zip(dc.par_chunks_mut(per_group));
    let dzs = by_group(dz, batch * width, group_rows * width);
    dzs.into_par_iter().zip(carries).enumerate().for_each(|(group, (mut dz, (dh, dc)))| {
        let rows = dh.len() / hidden;
        let mut c_active = vec![0.0; hidden];
        for t in (0..steps).rev() {
            for row in 0..rows {
                let here = (t * batch + group * group_rows + row) * hidden;
                let c_before = match t {
                    0 => &c0[group * per_group + row * hidden..],
                    _ => &c[here - batch * hidden..],
                };
                c_active.copy_from_slice(&c[here..here + hidden]);
                activate(op.forward.activation, &mut c_active);
                let part = row * hidden..(row + 1) * hidden;
                if let Some(d) = d_hidden {
                    crate::vector::add(&mut dh[part.clone()], &d[here..here + hidden]);
                }
                let saved = &gates[4 * here..4 * here + width];
                let dz = &mut dz[t][row * width..(row + 1) * width];
                let cells = (&c_active[..], &c_before[..hidden]);
                lstm_row_backward(&op.forward, saved, cells, &dh[part.clone()], &mut dc[part], dz);
            }
            let product = (Matrix::row_major(dz[t], width), Matrix::row_major(ut, hidden));
            multiply(dh, false, product, (rows, hidden, width), Threads::One);
            dh.iter_mut().for_each(|v| *v = flush(*v));
        }
    });
}

/// The gradients of one row's pre-activations; `dc` becomes the gradient of the cell before.
fn lstm_row_backward(
    op: &Lstm,
    saved: &[f32],
    (c_active, c_before): (&[f32], &[f32]),
    dh: &[f32],
    dc: &mut [f32],
    dz: &mut [f32],
) {
    let n = dh.len();
    let (act, rec) = (op.activation, op.recurrent_activation);
    let (i, rest) = saved.split_at(n);
    let (f, rest) = rest.split_at(n);
    let (g, o) = rest.split_at(n);
    let (dz_i, rest) = dz.split_at_mut(n);
    let (dz_f, rest) = rest.split_at_mut(n);
    let (dz_g, dz_o) = rest.split_at_mut(n);
    for k in 0..n {
        let d = dc[k] + dh[k] * o[k] * act.slope(c_active[k]);
        dz_i[k] = flush(d * g[k] * rec.slope(i[k]));
        dz_f[k] = flush(d * c_before[k] * rec.slope(f[k]));
        dz_g[k] = flush(d * i[k] * act.slope(g[k]));
        dz_o[k] = flush(dh[k] * c_active[k] * rec.slope(o[k]));
        dc[k] = flush(d * f[k]);
    }
}

pub fn simple_rnn(op: &SimpleRnn, io: &mut Io<'_, f32>) {
    let &[steps, batch, hidden] = io.dims(0) else { return };
    let (x, u) = (io.input(0), io.input(1));
    let zeros = vec![0.0; batch * hidden];
    let h0 = if io.inputs.len() > 2 { io.input(2) } else { &zeros };
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let [h, last] = io.outputs();
    let groups = by_group(h, batch * hidden, per_group);
    groups.into_par_iter().enumerate().for_each(|(group, mut h)| {
        for t in 0..steps {
            let (past, now) = h.split_at_mut(t);
            let len = now[0].len();
            let at = group * per_group;
            let before = past.last().map_or(&h0[at..at + len], |h| h);
            let from = t * batch * hidden + at;
            now[0].copy_from_slice(&x[from..from + len]);
            let product = (Matrix::row_major(before, hidden), Matrix::row_major(u, hidden));
            multiply(now[0], true, product, (len / hidden, hidden, hidden), Threads::One);
            activate(op.activation, now[0]);
        }
    });
    last.copy_from_slice(&h[(steps - 1) * batch * hidden..]);
}

pub fn simple_rnn_backward(op: &SimpleRnnBackward, io: &mut Io<'_, f32>) {
    let &[steps, batch, hidden] = io.dims(1) else { return };
    let (ut, h) = (io.input(0), io.input(1));
    let [d_hidden, d_last] = op.optional().map(|place| place.map(|p| io.input(p)));
    let [dz, dh] = io.outputs();
    match d_last {
        Some(given) => dh.copy_from_slice(given),
        None => dh.fill(0.0),
    }
    let per_group = rows_per_group(batch) * hidden;
    let groups = by_group(dz, batch * hidden, per_group);
    groups.into_par_iter().zip(dh.par_chunks_mut(per_group)).enumerate().for_each(
        |(group, (mut dz, dh))| {
            for t in (0..steps).rev() {
                let from = t * batch * hidden + group * per_group;
                if let Some(d) = d_hidden {
                    crate::vector::add(dh, &d[from..from + dh.len()]);
                }
                for ((dz, &dh), &h) in dz[t].iter_mut().zip(&*dh).zip(&h[from..]) {
                    *dz = flush(dh * op.activation.slope(h));
                }
                let rows = dh.len() / hidden;
                let product = (Matrix::row_major(dz[t], hidden), Matrix::row_major(ut, hidden));
                multiply(dh, false, product, (rows, hidden, hidden), Threads::One);
                dh.iter_mut().for_each(|v| *v = flush(*v));
            }
        },
    );
}
