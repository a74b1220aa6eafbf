//! The convolutional LSTM: the pixels of a step are rows, divided among threads; steps run one
//! after another.

use crate::conv::{ConvProduct, Scratch, split};
use crate::entry::Entry;
use crate::gemm_tall::Epilogue;
use crate::geometry::{GateColumns, Geometry};
use crate::scan::{lstm, lstm_backward};
use crate::simd::{self, load, store};
use crate::vector::{add, copy_or_zero, flush_each, scale_by};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{ConvLstm, ConvLstmBackward, LstmGates};

/// The fast kernels of [`ConvLstm`] and [`ConvLstmBackward`], for the table in `kernels.rs`.
pub const KERNELS: &[Entry] =
    &[entry!(ConvLstm, forward, omits: [0, 2]), entry!(ConvLstmBackward, backward)];

/// Pixels per task of a step's elementwise work.
const PIXELS: usize = 256;

fn forward(op: &ConvLstm, io: &mut Io<'_, f32>) {
    let Ok(e) = op.extents(&io.signature.inputs[0]) else { return };
    let (u, n, per_step) = (io.input(1), e.filters, e.per_step());
    let [state, mask, dropout] = op.inputs.places(2);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let mask = mask.map(|p| io.uints(p));
    let geometry = Geometry::new(op.windows, e.step, n);
    let columns = gate_columns(dropout.is_some(), n);
    let products: Vec<ConvProduct> =
        columns.iter().map(|&columns| ConvProduct::new(geometry, u, columns)).collect();
    let parts = products[0].parts();
    let [hidden, sums, cells, last] = io.outputs();
    let keeps = !cells.is_empty();
    copy_or_zero(last, state);
    let (h_last, c_last) = last.split_at_mut(per_step);
    // h times the dropout factors of each gate.
    let mut seen = vec![0.0; dropout.map_or(0, <[f32]>::len)];
    let mut next = vec![0.0; per_step];
    for t in 0..op.steps {
        let begun = t > 0 || state.is_some();
        if let Some(factors) = dropout.filter(|_| begun) {
            seen.copy_from_slice(factors);
            seen.chunks_exact_mut(per_step).for_each(|gate| scale_by(gate, h_last));
        }
        if let Some(cells) = cells.get_mut(t * per_step..(t + 1) * per_step) {
            cells.copy_from_slice(c_last);
        }
        let sums = &mut sums[t * 4 * per_step..(t + 1) * 4 * per_step];
        let states = split(&mut next, n, &parts).into_par_iter().zip(split(c_last, n, &parts));
        let pixels = split(sums, 4 * n, &parts).into_par_iter().zip(states);
        let before = &*h_last;
        let pixels = pixels.zip(&parts);
        pixels.for_each_init(Scratch::default, |scratch, ((z, (h, c)), part)| {
            for (gate, product) in products.iter().enumerate().filter(|_| begun) {
                let x = seen.chunks_exact(per_step).nth(gate).unwrap_or(before);
                product.put(x, part.clone(), Epilogue::ADD, (z, columns[gate]), scratch);
            }
            h.copy_from_slice(&before[part.start * n..part.end * n]);
            let is_unmasked = |i| {
                let item = e.step.place(part.start + i).0;
                mask.is_none_or(|mask| mask[t * e.step.items + item] != 0)
            };
            simd::dispatch(Forward { gates: &op.gates, units: n, z, keeps, h, c, is_unmasked });
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
    /// Returns true if a pixel is unmasked.
    is_unmasked: T,
}

impl<T: Fn(usize) -> bool> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match lstm::has_rarer(self.gates) {
            true => self.run::<S, true>(simd),
            false => self.run::<S, false>(simd),
        }
    }
}

impl<T: Fn(usize) -> bool> Forward<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const RARER: bool>(self, simd: S) {
        let (n, lanes) = (self.units, S::F32_LANES);
        let states = self.h.chunks_exact_mut(n).zip(self.c.chunks_exact_mut(n));
        for (i, (z, (h, c))) in self.z.chunks_exact_mut(4 * n).zip(states).enumerate() {
            if !(self.is_unmasked)(i) {
                if self.keeps {
                    z.fill(0.0);
                }
                continue;
            }
            for unit in (0..n).step_by(lanes) {
                let width = lanes.min(n - unit);
                let mut gates = [simd.splat_f32s(0.0); 4];
                for (gate, value) in gates.iter_mut().enumerate() {
                    *value = load(simd, &z[gate * n + unit..][..width]);
                }
                let c = &mut c[unit..unit + width];
                let (kept, state) = lstm::step::<S, RARER>(simd, self.gates, gates, load(simd, c));
                if self.keeps {
                    for (gate, value) in kept.into_iter().enumerate() {
                        store(simd, &mut z[gate * n + unit..][..width], value);
                    }
                }
                store(simd, &mut h[unit..unit + width], state[0]);
                store(simd, c, state[1]);
            }
        }
    }
}

/// Returns the columns of U of all gates together, or of each gate if its view of h is its own.
fn gate_columns(apart: bool, filters: usize) -> Vec<GateColumns> {
    let all = GateColumns::all(4 * filters);
    if apart { (0..4).map(|gate| all.gate(gate)).collect() } else { vec![all] }
}

/// The gates of some pixels, which their pre-activations' gradients overwrite.
struct Backward<'a, T> {
    gates: &'a LstmGates,
    units: usize,
    /// c before the step.
    cells: &'a [f32],
    dh: &'a [f32],
    dc: &'a mut [f32],
    dz: &'a mut [f32],
    /// Returns true if a pixel is unmasked.
    is_unmasked: T,
}

impl<T: Fn(usize) -> bool> WithSimd for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match lstm::has_rarer(self.gates) {
            true => self.run::<S, true>(simd),
            false => self.run::<S, false>(simd),
        }
    }
}

impl<T: Fn(usize) -> bool> Backward<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const RARER: bool>(self, simd: S) {
        let (n, lanes) = (self.units, S::F32_LANES);
        let carries = self.dh.chunks_exact(n).zip(self.dc.chunks_exact_mut(n));
        let pixels = self.dz.chunks_exact_mut(4 * n).zip(self.cells.chunks_exact(n));
        for (i, ((dz, c), (dh, dc))) in pixels.zip(carries).enumerate() {
            if !(self.is_unmasked)(i) {
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
                let (gradients, before) =
                    lstm_backward::step::<S, RARER>(simd, self.gates, values, c, carried);
                store(simd, dc, before);
                for (gate, value) in gradients.into_iter().enumerate() {
                    store(simd, &mut dz[gate * n + unit..][..width], value);
                }
            }
        }
    }
}

fn backward(op: &ConvLstmBackward, io: &mut Io<'_, f32>) {
    let forward = &op.forward;
    let Ok(e) = forward.extents(&io.signature.inputs[0]) else { return };
    let (u, cells, n, per_step) = (io.input(1), io.input(2), e.filters, e.per_step());
    let [mask, rest @ ..] = op.optional();
    let mask = mask.map(|p| io.uints(p));
    let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
    let geometry = Geometry::new(forward.windows, e.step, n);
    let columns = gate_columns(dropout.is_some(), n).into_iter();
    let products: Vec<ConvProduct> =
        columns.map(|columns| ConvProduct::transposed(geometry, u, columns)).collect();
    let [dz, d_state] = io.outputs();
    copy_or_zero(d_state, d_last);
    let (dh, dc) = d_state.split_at_mut(per_step);
    let mut of_gate = vec![0.0; if dropout.is_some() { per_step } else { 0 }];
    for t in (0..forward.steps).rev() {
        let is_unmasked =
            |pixel| mask.is_none_or(|mask| mask[t * e.step.items + e.step.place(pixel).0] != 0);
        let dz = &mut dz[t * 4 * per_step..(t + 1) * 4 * per_step];
        let cells = &cells[t * per_step..(t + 1) * per_step];
        let parts = dz.par_chunks_mut(PIXELS * 4 * n).zip(cells.par_chunks(PIXELS * n));
        let carries = dh.par_chunks_mut(PIXELS * n).zip(dc.par_chunks_mut(PIXELS * n));
        parts.zip(carries).enumerate().for_each(|(part, ((dz, cells), (dh, dc)))| {
            if let Some(d) = d_hidden {
                let from = t * per_step + part * PIXELS * n;
                add(dh, &d[from..from + dh.len()]);
            }
            let is_unmasked = |i| is_unmasked(part * PIXELS + i);
            let gates = &forward.gates;
            simd::dispatch(Backward { gates, units: n, cells, dh, dc, dz, is_unmasked });
        });
        let dz = &*dz;
        // For unmasked items, dh(t) is used up, and dh(t-1) takes its place.
        match dropout {
            None => {
                products[0].write(dz, (dh, n), is_unmasked);
                dh.par_chunks_mut(PIXELS * n).for_each(flush_each);
            }
            Some(factors) => {
                let mut sum = vec![0.0; per_step];
                for (product, factors) in products.iter().zip(factors.chunks_exact(per_step)) {
                    product.write(dz, (&mut of_gate, n), is_unmasked);
                    flush_each(&mut of_gate);
                    scale_by(&mut of_gate, factors);
                    add(&mut sum, &of_gate);
                }
                let pixels = dh.chunks_exact_mut(n).zip(sum.chunks_exact(n));
                for (_, (dh, sum)) in pixels.enumerate().filter(|(pixel, _)| is_unmasked(*pixel)) {
                    dh.copy_from_slice(sum);
                }
            }
        }
    }
}
