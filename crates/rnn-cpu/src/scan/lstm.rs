use super::forward::{Cell, Forward, Step, Tile, pack};
use super::fusion::ScanOfProducer;
use super::input_projection::InputProjection;
use super::rows::{Row, RowSplit, ThreadRows};
use super::{ScanOptions, padded, run_tiled};
use crate::entry::Entry;
use crate::packed::VECTORS;
use crate::prefetch::prefetch_all;
use crate::rarer::is_rarer;
use crate::simd::{activate, activate_two, flush, kept, load, store};
use crate::vector::copy_or_zero;
use pulp::Simd;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Lstm, LstmGates};

/// The fast kernels of [`Lstm`], alone and fused with the producer of its x, for the table in
/// `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(Lstm, forward, omits: [0, 2]),
    entry!(ScanOfProducer<Lstm>, forward_of_producer, omits: [0, 1, 2]),
];

fn forward(op: &Lstm, io: &mut Io<'_, f32>) {
    scan(op, InputProjection::InPlace, 1, io);
}

fn forward_of_producer(op: &ScanOfProducer<Lstm>, io: &mut Io<'_, f32>) {
    scan(&op.scan, op.input_projection(io), op.inputs, io);
}

/// Runs all steps of an LSTM. `matrix` is the input index of U, which follows the inputs of x.
fn scan<'a>(op: &Lstm, x: InputProjection<'a>, matrix: usize, io: &mut Io<'a, f32>) {
    match has_rarer(&op.gates) {
        true => scan_with::<true>(op, x, matrix, io),
        false => scan_with::<false>(op, x, matrix, io),
    }
}

/// Returns true if an activation of the gates is one of [`crate::rarer`]. The scans are compiled with
/// and without those.
pub(crate) fn has_rarer(gates: &LstmGates) -> bool {
    is_rarer(gates.activation) || is_rarer(gates.recurrent_activation)
}

fn scan_with<'a, const RARER: bool>(
    op: &Lstm,
    x: InputProjection<'a>,
    matrix: usize,
    io: &mut Io<'a, f32>,
) {
    let &[steps, batch, units] = io.signature.outputs[0].dims() else { return };
    let width = VECTORS * units;
    let [state, mask, dropout] = op.inputs.places(matrix + 1);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let options = ScanOptions { batch, units, mask: mask.map(|p| io.uints(p)), dropout };
    let split = RowSplit::of(&options);
    let panels = pack(x, io.input(matrix), (VECTORS, units), split.lanes);
    let [hidden, gates, cells, last] = io.outputs();
    copy_or_zero(last, state);
    let (h, c) = last.split_at_mut(batch * units);
    let [hidden, gates, cells] = [(hidden, units), (gates, width), (cells, units)]
        .map(|(data, width)| split.split(data, width));
    let [h, c] = [h, c].map(|state| split.split(state, units));
    let outputs = hidden.into_par_iter().zip(gates).zip(cells).zip(h).zip(c);
    split.threads().zip(outputs).for_each(|(rows, ((((hidden, gates), cells), h), c))| {
        let step = Step { t: 0, options, x, panels: &panels };
        let cell = LstmCell::<RARER> { op: op.gates, gates, cells };
        run_tiled(Forward { cell, step, steps, rows, hidden, h, c });
    });
}

/// Computes one step of the cell: returns what is kept of the gates i, f, g, o, and h and c.
#[inline(always)]
pub(crate) fn step<S: Simd, const RARER: bool>(
    s: S,
    gates: &LstmGates,
    z: [S::f32s; VECTORS],
    c: S::f32s,
) -> ([S::f32s; VECTORS], [S::f32s; 2]) {
    let LstmGates { activation: act, recurrent_activation: rec } = *gates;
    let [i, f] = activate_two::<S, RARER>(s, [rec; 2], [z[0], z[1]]);
    let [g, o] = activate_two::<S, RARER>(s, [act, rec], [z[2], z[3]]);
    let next = cell(s, [i, f, g], c);
    let of_gates = [
        kept::<_, RARER>(rec, z[0], i),
        kept::<_, RARER>(rec, z[1], f),
        kept::<_, RARER>(act, z[2], g),
        kept::<_, RARER>(rec, z[3], o),
    ];
    (of_gates, [s.mul_f32s(o, activate::<S, RARER>(s, act, next)), next])
}

/// Returns c(t) from the gates i, f, g and c(t-1).
#[inline(always)]
pub(crate) fn cell<S: Simd>(s: S, [i, f, g]: [S::f32s; 3], c: S::f32s) -> S::f32s {
    flush(s, s.mul_add_e_f32s(f, c, s.mul_f32s(i, g)))
}

/// The cell with the outputs of one thread.
struct LstmCell<'a, const RARER: bool> {
    op: LstmGates,
    /// What is kept of the gates; before the step x W + b, if x lies there.
    gates: ThreadRows<'a>,
    /// c before the step. If it is empty, nobody reads the gates either.
    cells: ThreadRows<'a>,
}

impl<const RARER: bool> Cell<VECTORS> for LstmCell<'_, RARER> {
    #[inline(always)]
    fn store_states<const R: usize, const V: usize>(
        &mut self,
        step: &Step<'_>,
        tile: &Tile<'_, R, V>,
    ) {
        self.cells.store(step.t, tile.rows, &tile.c, padded(step.options.units));
    }

    #[inline(always)]
    fn store_masked(&mut self, step: &Step<'_>, row: Row) {
        if !self.cells.is_empty() {
            self.gates.row_mut(step.t, row).fill(0.0);
        }
    }

    #[inline(always)]
    fn prefetch(&self, step: &Step<'_>, row: Row) {
        prefetch_all(self.gates.row(step.t, row));
        prefetch_all(self.cells.row(step.t, row));
    }

    #[inline(always)]
    fn panel<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        step: &Step<'_>,
        panel: usize,
        tile: &mut Tile<'_, R, V>,
    ) {
        let units = step.options.units;
        let (stride, lanes) = (padded(units), S::F32_LANES);
        let unit = panel * lanes;
        let of_panel = lanes.min(units - unit);
        let keeps = !self.cells.is_empty();
        let mut z = [[simd.splat_f32s(0.0); VECTORS]; R];
        for (z, &row) in z.iter_mut().zip(tile.rows) {
            *z = step.start(simd, panel, row, self.gates.row(step.t, row));
        }
        step.panels.multiply_views(simd, (panel, 0), &tile.seen, &mut z);
        for (r, (z, &row)) in z.into_iter().zip(tile.rows).enumerate() {
            if !step.is_unmasked(row) {
                continue;
            }
            let at = r * stride + unit;
            // The padding stays zero: an infinity times the zeros of the weights there would be
            // NaN.
            let c = &mut tile.c[at..at + of_panel];
            let (kept, [h, next]) = self::step::<S, RARER>(simd, &self.op, z, load(simd, c));
            if keeps {
                let to = self.gates.row_mut(step.t, row);
                for (gate, value) in kept.into_iter().enumerate() {
                    store(simd, &mut to[gate * units + unit..][..of_panel], value);
                }
            }
            store(simd, c, next);
            store(simd, &mut tile.h[at..at + of_panel], h);
        }
    }
}
