//! The convolutional LSTM: all pixels of a step are rows, which threads share; steps follow each
//! other.

use crate::conv::{GateColumns, Geometry, Scratch, add_item};
use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::scan::{lstm, lstm_backward};
use crate::simd::{self, load, store};
use crate::vector::{add, flush, scale_by};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{ConvLstm, ConvLstmBackward, LstmGates};

/// Pixels to a part of a step's element-wise work.
const PIXELS: usize = 256;

pub fn forward(op: &ConvLstm, io: &mut Io<'_, f32>) {
    let Ok(e) = op.extents(&io.signature.inputs[0]) else { return };
    let (u, n, per_step) = (io.input(1), e.filters, e.per_step());
    let [state, mask, dropout] = op.inputs.places(2);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let mask = mask.map(|p| io.uints(p));
    let geometry = Geometry::new(op.windows, e.step, n);
    let (width, rows) = (geometry.width(), geometry.rows_per_part());
    let [hidden, sums, cells, last] = io.outputs();
    let keeps = !cells.is_empty();
    match state {
        Some(state) => last.copy_from_slice(state),
        None => last.fill(0.0),
    }
    let (h_last, c_last) = last.split_at_mut(per_step);
    let mut seen = Vec::new();
    let mut next = vec![0.0; per_step];
    for t in 0..op.steps {
        let begun = t > 0 || state.is_some();
        let gates = gates_of(dropout.filter(|_| begun), h_last, &mut seen, n);
        if let Some(cells) = cells.get_mut(t * per_step..(t + 1) * per_step) {
            cells.copy_from_slice(c_last);
        }
        let sums = &mut sums[t * 4 * per_step..(t + 1) * 4 * per_step];
        let states = next.par_chunks_mut(rows * n).zip(c_last.par_chunks_mut(rows * n));
        let parts = sums.par_chunks_mut(rows * 4 * n).zip(states).enumerate();
        let before = &*h_last;
        parts.for_each_init(Vec::new, |unfolded, (part, (z, (h, c)))| {
            let (first, count): (usize, usize) = (part * rows, h.len() / n);
            Vec::resize(unfolded, count * width, 0.0);
            for (source, columns) in gates.iter().filter(|_| begun) {
                geometry.unfold(source.unwrap_or(before), first, unfolded);
                let right = Matrix::row_major(&u[columns.first..], 4 * n);
                let out = MatrixMut { data: &mut z[columns.first..], row_stride: 4 * n };
                let product = (Matrix::row_major(unfolded, width), right);
                multiply(out, true, product, (count, columns.count, width), Threads::One);
            }
            h.copy_from_slice(&before[first * n..(first + count) * n]);
            let there = |i| {
                let item = e.step.place(first + i).0;
                mask.is_none_or(|mask| mask[t * e.step.items + item] != 0)
            };
            simd::dispatch(Forward { gates: &op.gates, units: n, z, keeps, h, c, there });
        });
        h_last.copy_from_slice(&next);
        if let Some(hidden) = hidden.get_mut(t * per_step..(t + 1) * per_step) {
            hidden.copy_from_slice(&next);
        }
    }
}

/// The gates of some pixels, whose pre-activations are rows of z, which may keep the gates.
struct Forward<'a, T> {
    gates: &'a LstmGates,
    units: usize,
    z: &'a mut [f32],
    keeps: bool,
    h: &'a mut [f32],
    c: &'a mut [f32],
    /// Whether a pixel takes part.
    there: T,
}

impl<T: Fn(usize) -> bool> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n, lanes) = (self.units, S::F32_LANES);
        let states = self.h.chunks_exact_mut(n).zip(self.c.chunks_exact_mut(n));
        for (i, (z, (h, c))) in self.z.chunks_exact_mut(4 * n).zip(states).enumerate() {
            let there = (self.there)(i);
            for unit in (0..n).step_by(lanes) {
                let width = lanes.min(n - unit);
                let mut gates = [simd.splat_f32s(0.0); 4];
                for (gate, value) in gates.iter_mut().enumerate() {
                    *value = load(simd, &z[gate * n + unit..][..width]);
                }
                let c = &mut c[unit..unit + width];
                let (values, state) = lstm::step(simd, self.gates, gates, load(simd, c));
                if self.keeps {
                    for (gate, value) in values.into_iter().enumerate() {
                        store(simd, &mut z[gate * n + unit..][..width], value);
                    }
                }
                if there {
                    store(simd, &mut h[unit..unit + width], state[0]);
                    store(simd, c, state[1]);
                }
            }
        }
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

/// The gates of some pixels, which turn into the gradients of their pre-activations.
struct Backward<'a, T> {
    gates: &'a LstmGates,
    units: usize,
    /// c before the step.
    cells: &'a [f32],
    dh: &'a [f32],
    dc: &'a mut [f32],
    dz: &'a mut [f32],
    /// Whether a pixel takes part.
    there: T,
}

impl<T: Fn(usize) -> bool> WithSimd for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n, lanes) = (self.units, S::F32_LANES);
        let carries = self.dh.chunks_exact(n).zip(self.dc.chunks_exact_mut(n));
        let pixels = self.dz.chunks_exact_mut(4 * n).zip(self.cells.chunks_exact(n));
        for (i, ((dz, c), (dh, dc))) in pixels.zip(carries).enumerate() {
            if !(self.there)(i) {
                dz.fill(0.0);
                continue;
            }
            for unit in (0..n).step_by(lanes) {
                let width = lanes.min(n - unit);
                let mut values = [simd.splat_f32s(0.0); 4];
                for (gate, value) in values.iter_mut().enumerate() {
                    *value = load(simd, &dz[gate * n + unit..][..width]);
                }
                let c = load(simd, &c[unit..unit + width]);
                let dc = &mut dc[unit..unit + width];
                let carried = [load(simd, &dh[unit..unit + width]), load(simd, dc)];
                let (gradients, before) = lstm_backward::step(simd, self.gates, values, c, carried);
                store(simd, dc, before);
                for (gate, value) in gradients.into_iter().enumerate() {
                    store(simd, &mut dz[gate * n + unit..][..width], value);
                }
            }
        }
    }
}

pub fn backward(op: &ConvLstmBackward, io: &mut Io<'_, f32>) {
    let forward = &op.forward;
    let Ok(e) = forward.extents(&io.signature.inputs[0]) else { return };
    let (u, cells, n, per_step) = (io.input(1), io.input(2), e.filters, e.per_step());
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
        let cells = &cells[t * per_step..(t + 1) * per_step];
        let parts = dz.par_chunks_mut(PIXELS * 4 * n).zip(cells.par_chunks(PIXELS * n));
        let carries = dh.par_chunks_mut(PIXELS * n).zip(dc.par_chunks_mut(PIXELS * n));
        parts.zip(carries).enumerate().for_each(|(part, ((dz, cells), (dh, dc)))| {
            if let Some(d) = d_hidden {
                let from = t * per_step + part * PIXELS * n;
                add(dh, &d[from..from + dh.len()]);
            }
            let there = |i| there(e.step.place(part * PIXELS + i).0);
            let gates = &forward.gates;
            simd::dispatch(Backward { gates, units: n, cells, dh, dc, dz, there });
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
