//! Recurrent layers over whole sequences. Rows of a batch do not depend on each other, so each
//! thread takes a group of rows through all steps without waiting for another.

use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::vector::{activate, add, flush, scale_by};
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Lstm, LstmBackward, LstmGates, SimpleRnn, SimpleRnnBackward};

/// Rows of the batch to a group: the same for any number of threads up to four, so that results
/// do not depend on it; small batches are not split further than 8 rows.
pub(crate) fn rows_per_group(batch: usize) -> usize {
    batch.div_ceil(4).max(8).min(batch.max(1))
}

/// `[steps, batch, width]` as, for each group of rows, one slice a step.
pub(crate) fn by_group(
    data: &mut [f32],
    per_step: usize,
    per_group: usize,
) -> Vec<Vec<&mut [f32]>> {
    let mut groups: Vec<Vec<&mut [f32]>> = Vec::new();
    groups.resize_with(per_step.div_ceil(per_group), Vec::new);
    for step in data.chunks_exact_mut(per_step) {
        for (group, rows) in groups.iter_mut().zip(step.chunks_mut(per_group)) {
            group.push(rows);
        }
    }
    groups
}

/// The recurrent matrix, or its transpose, and how its gates see the hidden state.
#[derive(Clone, Copy)]
pub(crate) struct Recurrence<'a> {
    pub matrix: &'a [f32],
    pub hidden: usize,
    /// The gates that see the hidden state through this product.
    pub gates: usize,
    /// Columns of the matrix, those of other gates included.
    pub columns: usize,
    /// `[gates, batch, hidden]`.
    pub dropout: Option<&'a [f32]>,
    pub batch: usize,
    /// `[steps, batch]`.
    pub mask: Option<&'a [u32]>,
}

impl Recurrence<'_> {
    pub fn takes_part(&self, t: usize, row: usize) -> bool {
        self.mask.is_none_or(|mask| mask[t * self.batch + row] != 0)
    }

    /// By how much a gate sees one unit of a row.
    pub fn factor(&self, gate: usize, row: usize, unit: usize) -> f32 {
        self.dropout.map_or(1.0, |d| d[(gate * self.batch + row) * self.hidden + unit])
    }

    /// The factors of some rows, from `row` on.
    fn factors(&self, dropout: &'_ [f32], gate: usize, row: usize, rows: usize) -> Vec<f32> {
        let from = (gate * self.batch + row) * self.hidden;
        dropout[from..from + rows * self.hidden].to_vec()
    }

    /// z_g += (h d_g) U_g for all gates; rows of z are `z_stride` apart and `row` is the first.
    pub fn add_product(&self, z: &mut [f32], z_stride: usize, h: &[f32], row: usize) {
        let (hidden, columns) = (self.hidden, self.columns);
        let rows = h.len() / hidden;
        let Some(dropout) = self.dropout else {
            let product = (Matrix::row_major(h, hidden), Matrix::row_major(self.matrix, columns));
            let out = MatrixMut { data: z, row_stride: z_stride };
            let extents = (rows, self.gates * hidden, hidden);
            return multiply(out, true, product, extents, Threads::One);
        };
        for gate in 0..self.gates {
            let mut seen = self.factors(dropout, gate, row, rows);
            scale_by(&mut seen, h);
            let u = Matrix::row_major(&self.matrix[gate * hidden..], columns);
            let out = MatrixMut { data: &mut z[gate * hidden..], row_stride: z_stride };
            let product = (Matrix::row_major(&seen, hidden), u);
            multiply(out, true, product, (rows, hidden, hidden), Threads::One);
        }
    }

    /// dh = sum over gates of d_g (dz_g U_g^T), for the rows that take part in step t.
    pub fn carry_back(
        &self,
        dh: &mut [f32],
        dz: &[f32],
        (t, row): (usize, usize),
        part: &mut [f32],
    ) {
        let (hidden, columns) = (self.hidden, self.columns);
        let rows = dh.len() / hidden;
        let (sum, part) = part.split_at_mut(dh.len());
        match self.dropout {
            None => {
                let product =
                    (Matrix::row_major(dz, columns), Matrix::row_major(self.matrix, hidden));
                let out = MatrixMut::row_major(sum, hidden);
                let extents = (rows, hidden, self.gates * hidden);
                multiply(out, false, product, extents, Threads::One);
            }
            Some(dropout) => {
                sum.fill(0.0);
                for gate in 0..self.gates {
                    let ut = Matrix::row_major(&self.matrix[gate * hidden * hidden..], hidden);
                    let product = (Matrix::row_major(&dz[gate * hidden..], columns), ut);
                    let out = MatrixMut::row_major(&mut part[..], hidden);
                    multiply(out, false, product, (rows, hidden, hidden), Threads::One);
                    scale_by(part, &self.factors(dropout, gate, row, rows));
                    add(sum, part);
                }
            }
        }
        let both = dh.chunks_exact_mut(hidden).zip(sum.chunks_exact(hidden));
        for (_, (dh, sum)) in both.enumerate().filter(|(i, _)| self.takes_part(t, row + i)) {
            dh.iter_mut().zip(sum).for_each(|(dh, sum)| *dh = flush(*sum));
        }
    }
}

pub fn lstm(op: &Lstm, io: &mut Io<'_, f32>) {
    let &[steps, batch, width] = io.dims(0) else { return };
    let hidden = width / 4;
    let (x, matrix) = (io.input(0), io.input(1));
    let [state, mask, dropout] = op.inputs.places(2);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let mask = mask.map(|p| io.uints(p));
    let recurrence =
        Recurrence { matrix, hidden, gates: 4, columns: 4 * hidden, dropout, batch, mask };
    let [h, saved, last] = io.outputs();
    match state {
        Some(state) => last.copy_from_slice(state),
        None => last.fill(0.0),
    }
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let (h_last, c_last) = last.split_at_mut(batch * hidden);
    let carries = h_last.par_chunks_mut(per_group).zip(c_last.par_chunks_mut(per_group));
    let outputs = by_group(h, batch * hidden, per_group).into_par_iter().zip(by_group(
        saved,
        6 * batch * hidden,
        6 * per_group,
    ));
    outputs.zip(carries).enumerate().for_each(|(group, ((mut h, mut saved), (h_last, c_last)))| {
        let row0 = group * group_rows;
        for t in 0..steps {
            let from = (t * batch + row0) * width;
            let xs = x[from..from + 4 * h_last.len()].chunks_exact(width);
            for (parts, x) in saved[t].chunks_exact_mut(6 * hidden).zip(xs) {
                parts[..width].copy_from_slice(x);
            }
            recurrence.add_product(saved[t], 6 * hidden, h_last, row0);
            let states = h_last.chunks_exact_mut(hidden).zip(c_last.chunks_exact_mut(hidden));
            for (i, (parts, (h, c))) in
                saved[t].chunks_exact_mut(6 * hidden).zip(states).enumerate()
            {
                lstm_row(&op.gates, parts, h, c, recurrence.takes_part(t, row0 + i));
            }
            h[t].copy_from_slice(h_last);
        }
    });
}

/// Turns the pre-activations of one row into its gates, and moves h and c on.
pub(crate) fn lstm_row(
    op: &LstmGates,
    parts: &mut [f32],
    h: &mut [f32],
    c: &mut [f32],
    takes_part: bool,
) {
    let n = h.len();
    activate(op.recurrent_activation, &mut parts[..2 * n]);
    activate(op.activation, &mut parts[2 * n..3 * n]);
    activate(op.recurrent_activation, &mut parts[3 * n..4 * n]);
    let (gates, cells) = parts.split_at_mut(4 * n);
    let (c_before, c_active) = cells.split_at_mut(n);
    let (i, rest) = gates.split_at(n);
    let (f, rest) = rest.split_at(n);
    let (g, o) = rest.split_at(n);
    c_before.copy_from_slice(c);
    for k in 0..n {
        c_active[k] = flush(f[k] * c_before[k] + i[k] * g[k]);
    }
    if takes_part {
        c.copy_from_slice(c_active);
    }
    activate(op.activation, c_active);
    if takes_part {
        for k in 0..n {
            h[k] = o[k] * c_active[k];
        }
    }
}

pub fn lstm_backward(op: &LstmBackward, io: &mut Io<'_, f32>) {
    let &[steps, batch, parts] = io.dims(1) else { return };
    let hidden = parts / 6;
    let (matrix, saved) = (io.input(0), io.input(1));
    let [mask, rest @ ..] = op.optional();
    let mask = mask.map(|p| io.uints(p));
    let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
    let recurrence =
        Recurrence { matrix, hidden, gates: 4, columns: 4 * hidden, dropout, batch, mask };
    let [dz, d_state] = io.outputs();
    match d_last {
        Some(given) => d_state.copy_from_slice(given),
        None => d_state.fill(0.0),
    }
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let (dh, dc) = d_state.split_at_mut(batch * hidden);
    let carries = dh.par_chunks_mut(per_group).zip(dc.par_chunks_mut(per_group));
    let dzs = by_group(dz, 4 * batch * hidden, 4 * per_group);
    dzs.into_par_iter().zip(carries).enumerate().for_each(|(group, (mut dz, (dh, dc)))| {
        let row0 = group * group_rows;
        let mut scratch = vec![0.0; 2 * dh.len()];
        for t in (0..steps).rev() {
            if let Some(d) = d_hidden {
                let from = (t * batch + row0) * hidden;
                add(dh, &d[from..from + dh.len()]);
            }
            let carries = dh.chunks_exact(hidden).zip(dc.chunks_exact_mut(hidden));
            for (i, (dz, (dh, dc))) in dz[t].chunks_exact_mut(4 * hidden).zip(carries).enumerate() {
                let row = row0 + i;
                if recurrence.takes_part(t, row) {
                    let from = (t * batch + row) * parts;
                    lstm_row_backward(&op.forward.gates, &saved[from..from + parts], dh, dc, dz);
                } else {
                    dz.fill(0.0);
                }
            }
            recurrence.carry_back(dh, dz[t], (t, row0), &mut scratch);
        }
    });
}

/// The gradients of one row's pre-activations; `dc` becomes the gradient of the cell before.
pub(crate) fn lstm_row_backward(
    op: &LstmGates,
    saved: &[f32],
    dh: &[f32],
    dc: &mut [f32],
    dz: &mut [f32],
) {
    let n = dh.len();
    let (act, rec) = (op.activation, op.recurrent_activation);
    let mut saved = saved.chunks_exact(n);
    let mut next = || saved.next().unwrap_or_default();
    let [i, f, g, o, c_before, c_active] = [next(), next(), next(), next(), next(), next()];
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
    let (x, matrix) = (io.input(0), io.input(1));
    let [state, mask, dropout] = op.inputs.places(2);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let mask = mask.map(|p| io.uints(p));
    let recurrence = Recurrence { matrix, hidden, gates: 1, columns: hidden, dropout, batch, mask };
    let [h, last] = io.outputs();
    match state {
        Some(state) => last.copy_from_slice(state),
        None => last.fill(0.0),
    }
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let groups = by_group(h, batch * hidden, per_group);
    groups.into_par_iter().zip(last.par_chunks_mut(per_group)).enumerate().for_each(
        |(group, (mut h, last))| {
            let row0 = group * group_rows;
            for t in 0..steps {
                let from = (t * batch + row0) * hidden;
                h[t].copy_from_slice(&x[from..from + last.len()]);
                recurrence.add_product(h[t], hidden, last, row0);
                activate(op.activation, h[t]);
                let rows = h[t].chunks_exact_mut(hidden).zip(last.chunks_exact_mut(hidden));
                for (i, (h, last)) in rows.enumerate() {
                    if recurrence.takes_part(t, row0 + i) {
                        last.copy_from_slice(h);
                    } else {
                        h.copy_from_slice(last);
                    }
                }
            }
        },
    );
}

pub fn simple_rnn_backward(op: &SimpleRnnBackward, io: &mut Io<'_, f32>) {
    let &[steps, batch, hidden] = io.dims(1) else { return };
    let (matrix, h) = (io.input(0), io.input(1));
    let [mask, rest @ ..] = op.optional();
    let mask = mask.map(|p| io.uints(p));
    let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
    let recurrence = Recurrence { matrix, hidden, gates: 1, columns: hidden, dropout, batch, mask };
    let [dz, dh] = io.outputs();
    match d_last {
        Some(given) => dh.copy_from_slice(given),
        None => dh.fill(0.0),
    }
    let group_rows = rows_per_group(batch);
    let per_group = group_rows * hidden;
    let groups = by_group(dz, batch * hidden, per_group);
    groups.into_par_iter().zip(dh.par_chunks_mut(per_group)).enumerate().for_each(
        |(group, (mut dz, dh))| {
            let row0 = group * group_rows;
            let mut scratch = vec![0.0; 2 * dh.len()];
            for t in (0..steps).rev() {
                let from = (t * batch + row0) * hidden;
                if let Some(d) = d_hidden {
                    add(dh, &d[from..from + dh.len()]);
                }
                let h = &h[from..from + dh.len()];
                let rows = h.chunks_exact(hidden).zip(dh.chunks_exact(hidden));
                for (i, (dz, (h, dh))) in dz[t].chunks_exact_mut(hidden).zip(rows).enumerate() {
                    if recurrence.takes_part(t, row0 + i) {
                        for ((dz, dh), h) in dz.iter_mut().zip(dh).zip(h) {
                            *dz = flush(dh * op.forward.activation.slope(*h));
                        }
                    } else {
                        dz.fill(0.0);
                    }
                }
                recurrence.carry_back(dh, dz[t], (t, row0), &mut scratch);
            }
        },
    );
}
