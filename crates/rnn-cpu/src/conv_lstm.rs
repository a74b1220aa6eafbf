//! The convolutional LSTM: all pixels of a step are rows, which threads share; steps follow each
//! other.

use crate::conv::{GateColumns, Geometry, Scratch, add_item};
use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::scan::{lstm_row, lstm_row_backward};
use crate::vector::{add, flush, scale_by};
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{ConvLstm, ConvLstmBackward};

/// Pixels to a part of a step's element-wise work.
const PIXELS: usize = 256;

pub fn forward(op: &ConvLstm, io: &mut Io<'_, f32>) {
    let Ok(e) = op.extents(&io.signature.inputs[0], 4) else { return };
    let (x, u, n, per_step) = (io.input(0), io.input(1), e.filters, e.per_step());
    let [state, mask, dropout] = op.inputs.places(2);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let mask = mask.map(|p| io.uints(p));
    let geometry = Geometry::new(op.windows, e.step, n);
    let (width, rows) = (geometry.width(), geometry.rows_per_part());
    let [hidden, saved, last] = io.outputs();
    match state {
        Some(state) => last.copy_from_slice(state),
        None => last.fill(0.0),
    }
    let (h_last, c_last) = last.split_at_mut(per_step);
    let mut seen = Vec::new();
    for (t, (hidden, saved)) in
        hidden.chunks_exact_mut(per_step).zip(saved.chunks_exact_mut(6 * per_step)).enumerate()
    {
        let begun = t > 0 || state.is_some();
        let gates = gates_of(dropout.filter(|_| begun), h_last, &mut seen, n);
        let x = &x[t * 4 * per_step..(t + 1) * 4 * per_step];
        let parts = hidden.par_chunks_mut(rows * n).zip(saved.par_chunks_mut(rows * 6 * n));
        let parts = parts.zip(c_last.par_chunks_mut(rows * n)).enumerate();
        let before = &*h_last;
        parts.for_each_init(Vec::new, |unfolded, (part, ((h, saved), c))| {
            let (first, count) = (part * rows, h.len() / n);
            h.copy_from_slice(&before[first * n..(first + count) * n]);
            let xs = x[first * 4 * n..].chunks_exact(4 * n);
            for (saved, x) in saved.chunks_exact_mut(6 * n).zip(xs) {
                saved[..4 * n].copy_from_slice(x);
            }
            unfolded.resize(count * width, 0.0);
            for (source, columns) in gates.iter().filter(|_| begun) {
                geometry.unfold(source.unwrap_or(before), first, unfolded);
                let right = Matrix::row_major(&u[columns.first..], 4 * n);
                let out = MatrixMut { data: &mut saved[columns.first..], row_stride: 6 * n };
                let product = (Matrix::row_major(unfolded, width), right);
                multiply(out, true, product, (count, columns.count, width), Threads::One);
            }
            let states = h.chunks_exact_mut(n).zip(c.chunks_exact_mut(n));
            for (i, (saved, (h, c))) in saved.chunks_exact_mut(6 * n).zip(states).enumerate() {
                let item = e.step.place(first + i).0;
                let there = mask.is_none_or(|mask| mask[t * e.step.items + item] != 0);
                lstm_row(&op.gates, saved, h, c, there);
            }
        });
        h_last.copy_from_slice(hidden);
    }
}

/// The products of a step: of all gates at once, or of each with what it sees of h.
fn gates_of<'a>(
    dropout: Option<&[f32]>,
    h: &[f32],
    seen: &'a mut Vec<f32>,
    filters: usize,
) -> Vec<(Option<&'a [f32]>, GateColumns)> {
    let all = GateColumns { first: 0, count: 4 * filters, stride: 4 * filters };
    let Some(factors) = dropout else { return vec![(None, all)] };
    seen.clear();
    seen.extend_from_slice(factors);
    seen.chunks_exact_mut(h.len()).for_each(|gate| scale_by(gate, h));
    let gates = seen.chunks_exact(h.len()).enumerate();
    gates.map(|(gate, seen)| (Some(seen), all.gate(gate))).collect()
}

pub fn backward(op: &ConvLstmBackward, io: &mut Io<'_, f32>) {
    let forward = &op.forward;
    let Ok(e) = forward.extents(&io.signature.inputs[1], 6) else { return };
    let (u, saved, n, per_step) = (io.input(0), io.input(1), e.filters, e.per_step());
    let [mask, rest @ ..] = op.optional();
    let mask = mask.map(|p| io.uints(p));
    let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
    let geometry = Geometry::new(forward.windows, e.step, n);
    let all = GateColumns { first: 0, count: 4 * n, stride: 4 * n };
    let [dz, d_state] = io.outputs();
    match d_last {
        Some(given) => d_state.copy_from_slice(given),
        None => d_state.fill(0.0),
    }
    let (dh, dc) = d_state.split_at_mut(per_step);
    let mut of_gate = vec![0.0; if dropout.is_some() { per_step } else { 0 }];
    for t in (0..forward.steps).rev() {
        let there = |item: usize| mask.is_none_or(|mask| mask[t * e.step.items + item] != 0);
        let dz = &mut dz[t * 4 * per_step..(t + 1) * 4 * per_step];
        let saved = &saved[t * 6 * per_step..(t + 1) * 6 * per_step];
        let parts = dz.par_chunks_mut(PIXELS * 4 * n).zip(saved.par_chunks(PIXELS * 6 * n));
        let carries = dh.par_chunks_mut(PIXELS * n).zip(dc.par_chunks_mut(PIXELS * n));
        parts.zip(carries).enumerate().for_each(|(part, ((dz, saved), (dh, dc)))| {
            if let Some(d) = d_hidden {
                let from = t * per_step + part * PIXELS * n;
                add(dh, &d[from..from + dh.len()]);
            }
            let carries = dh.chunks_exact(n).zip(dc.chunks_exact_mut(n));
            let rows = dz.chunks_exact_mut(4 * n).zip(saved.chunks_exact(6 * n)).zip(carries);
            for (i, ((dz, saved), (dh, dc))) in rows.enumerate() {
                match there(e.step.place(part * PIXELS + i).0) {
                    true => lstm_row_backward(&forward.gates, saved, dh, dc, dz),
                    false => dz.fill(0.0),
                }
            }
        });
        let dz = &*dz;
        // Of the items that take part, dh(t) is spent, and dh(t-1) takes its place.
        let carry = |dh: &mut [f32], columns: GateColumns| {
            let items = geometry.items(dh).into_par_iter().enumerate();
            let items = items.filter(|(item, _)| there(*item));
            items.for_each_init(Scratch::default, |scratch, (item, mut slices)| {
                slices.iter_mut().for_each(|slice| slice.fill(0.0));
                add_item(&geometry, (dz, u, columns), item, &mut slices, scratch);
                slices.iter_mut().flat_map(|s| s.iter_mut()).for_each(|v| *v = flush(*v));
            });
        };
        match dropout {
            None => carry(dh, all),
            Some(factors) => {
                let mut sum = vec![0.0; per_step];
                for (gate, factors) in factors.chunks_exact(per_step).enumerate() {
                    carry(&mut of_gate, all.gate(gate));
                    scale_by(&mut of_gate, factors);
                    add(&mut sum, &of_gate);
                }
                let per_item = e.step.per_item() * n;
                let items = dh.chunks_exact_mut(per_item).zip(sum.chunks_exact(per_item));
                for (_, (dh, sum)) in items.enumerate().filter(|(item, _)| there(*item)) {
                    dh.copy_from_slice(sum);
                }
            }
        }
    }
}
