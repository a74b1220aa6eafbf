use super::rows::{Row, RowSplit, ThreadRows};
use super::{ScanOptions, TileTask, padded, run_tiled};
use crate::entry::Entry;
use crate::packed::{PackedMatrix, VECTORS, rows};
use crate::prefetch::prefetch_all;
use crate::scan::lstm::{cell, has_rarer};
use crate::simd::{activate, flush, kept, load, recall, slope, store};
use crate::vector::copy_or_zero;
use pulp::Simd;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{LstmBackward, LstmGates};

/// The fast kernel of [`LstmBackward`], for the table in `kernels.rs`.
pub const KERNELS: &[Entry] = &[entry!(LstmBackward, backward)];

fn backward(op: &LstmBackward, io: &mut Io<'_, f32>) {
    match has_rarer(&op.forward.gates) {
        true => backward_with::<true>(op, io),
        false => backward_with::<false>(op, io),
    }
}

fn backward_with<const RARER: bool>(op: &LstmBackward, io: &mut Io<'_, f32>) {
    let &[_, batch, width] = io.dims(0) else { return };
    let units = width / VECTORS;
    let (ut, cells) = (io.input(1), io.input(2));
    let [mask, rest @ ..] = op.optional();
    let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
    let options = ScanOptions { batch, units, mask: mask.map(|p| io.uints(p)), dropout };
    let split = RowSplit::of(&options);
    let lanes = split.lanes;
    let stride = padded(units);
    // Rows of the matrix: gates, then padded units.
    let panels = PackedMatrix::pack(
        lanes,
        (VECTORS * stride, units.div_ceil(VECTORS * lanes)),
        |k| (k % stride < units).then(|| &ut[(k / stride * units + k % stride) * units..][..units]),
        |panel, vector| {
            let first = (panel * VECTORS + vector) * lanes;
            units.min(first)..units.min(first + lanes)
        },
    );
    let [dz, d_state] = io.outputs();
    copy_or_zero(d_state, d_last);
    let (dh, dc) = d_state.split_at_mut(batch * units);
    let [dz, dh, dc] =
        [(dz, width), (dh, units), (dc, units)].map(|(data, width)| split.split(data, width));
    let outputs = dz.into_par_iter().zip(dh).zip(dc);
    split.threads().zip(outputs).for_each(|(rows, ((dz, dh), dc))| {
        let (gates, panels) = (&op.forward.gates, &panels);
        run_tiled(Backward::<RARER> { gates, cells, d_hidden, panels, options, rows, dz, dh, dc });
    });
}

/// Computes one step of the LSTM cell backwards. The arguments are what is kept of the gates i, f, g
/// and o at step t, the cell state `c_before` of step t-1, and the gradients dh and dc of the states of
/// step t. Returns the gradients dz of the four pre-activations, and the gradient of `c_before`
/// through the cell.
#[inline(always)]
pub(crate) fn step<S: Simd, const RARER: bool>(
    s: S,
    gates: &LstmGates,
    of_gates: [S::f32s; VECTORS],
    c_before: S::f32s,
    [dh, dc]: [S::f32s; 2],
) -> ([S::f32s; VECTORS], S::f32s) {
    let LstmGates { activation: act, recurrent_activation: rec } = *gates;
    let kinds = [rec, rec, act, rec];
    let [i, f, g, o] = [
        recall::<S, RARER>(s, rec, of_gates[0]),
        recall::<S, RARER>(s, rec, of_gates[1]),
        recall::<S, RARER>(s, act, of_gates[2]),
        recall::<S, RARER>(s, rec, of_gates[3]),
    ];
    let c = cell(s, [i, f, g], c_before);
    let c_active = activate::<S, RARER>(s, act, c);
    let of_c = slope::<S, RARER>(s, act, kept::<_, RARER>(act, c, c_active));
    let d = s.mul_add_e_f32s(s.mul_f32s(dh, o), of_c, dc);
    let mut dz =
        [s.mul_f32s(d, g), s.mul_f32s(d, c_before), s.mul_f32s(d, i), s.mul_f32s(dh, c_active)];
    for ((dz, kind), kept) in dz.iter_mut().zip(kinds).zip(of_gates) {
        *dz = flush(s, s.mul_f32s(*dz, slope::<S, RARER>(s, kind, kept)));
    }
    (dz, flush(s, s.mul_f32s(d, f)))
}

/// The rows of one thread.
struct Backward<'a, const RARER: bool> {
    gates: &'a LstmGates,
    /// c before each step.
    cells: &'a [f32],
    d_hidden: Option<&'a [f32]>,
    panels: &'a PackedMatrix,
    options: ScanOptions<'a>,
    rows: &'a [Row],
    /// The gates, which dz overwrites.
    dz: ThreadRows<'a>,
    dh: ThreadRows<'a>,
    dc: ThreadRows<'a>,
}

/// The gradients of a tile's rows, each padded.
struct Tile<'a> {
    rows: &'a [Row],
    dh: Vec<f32>,
    dc: Vec<f32>,
    /// `[rows, gates, units]`
    dz: Vec<f32>,
    factors: Vec<f32>,
}

impl<const RARER: bool> TileTask for Backward<'_, RARER> {
    #[inline(always)]
    fn run<S: Simd, const R: usize>(mut self, simd: S) {
        let (units, stride) = (self.options.units, self.stride::<S>());
        let rows = self.rows;
        let tile = |rows| Tile {
            rows,
            dh: self.dh.padded(0, rows, R, stride),
            dc: self.dc.padded(0, rows, R, stride),
            dz: vec![0.0; R * VECTORS * padded(units)],
            factors: self.options.factors(VECTORS, rows, R, stride),
        };
        let mut tiles: Vec<Tile<'_>> = rows.chunks(R).map(tile).collect();
        let steps = self.cells.len() / (self.options.batch * units);
        for t in (0..steps).rev() {
            for i in 0..tiles.len() {
                let next = match tiles.get(i + 1) {
                    Some(tile) => Some((t, tile.rows)),
                    None => t.checked_sub(1).map(|t| (t, tiles[0].rows)),
                };
                let tile = &mut tiles[i];
                self.gates(simd, t, tile);
                if self.options.any_unmasked(t, tile.rows) {
                    self.carry_back::<S, R>(simd, t, tile, next);
                }
            }
        }
        for tile in &tiles {
            self.dh.store(0, tile.rows, &tile.dh, stride);
            self.dc.store(0, tile.rows, &tile.dc, stride);
        }
    }
}

impl<const RARER: bool> Backward<'_, RARER> {
    /// Returns the padded length of dh's rows, which whole panels write.
    #[inline(always)]
    fn stride<S: Simd>(&self) -> usize {
        padded(self.options.units).next_multiple_of(VECTORS * S::F32_LANES)
    }

    /// Computes dz(t) and dc(t-1), after adding the output's gradient to dh(t).
    #[inline(always)]
    fn gates<S: Simd>(&mut self, simd: S, t: usize, tile: &mut Tile<'_>) {
        let ScanOptions { batch, units, .. } = self.options;
        let (stride, gate_stride, lanes) = (self.stride::<S>(), padded(units), S::F32_LANES);
        for (r, &row) in tile.rows.iter().enumerate() {
            let place = t * batch + row.index;
            let out = self.dz.row_mut(t, row);
            let dz = &mut tile.dz[r * VECTORS * gate_stride..][..VECTORS * gate_stride];
            let is_unmasked = self.options.is_unmasked(t, row.index);
            for unit in (0..units).step_by(lanes) {
                let (at, width) = (r * stride + unit, lanes.min(units - unit));
                // The padding stays zero, as in the forward pass.
                let dh = &mut tile.dh[at..at + width];
                if let Some(d) = self.d_hidden {
                    let d = load(simd, &d[place * units + unit..][..width]);
                    store(simd, dh, simd.add_f32s(load(simd, dh), d));
                }
                if !is_unmasked {
                    continue;
                }
                let dc = &mut tile.dc[at..at + width];
                let mut values = [simd.splat_f32s(0.0); VECTORS];
                for (gate, value) in values.iter_mut().enumerate() {
                    *value = load(simd, &out[gate * units + unit..][..width]);
                }
                let c_before = load(simd, &self.cells[place * units + unit..][..width]);
                let carried = [load(simd, dh), load(simd, dc)];
                let (gradients, before) =
                    step::<S, RARER>(simd, self.gates, values, c_before, carried);
                store(simd, dc, before);
                for (gate, value) in gradients.into_iter().enumerate() {
                    store(simd, &mut dz[gate * gate_stride + unit..][..width], value);
                }
            }
            if !is_unmasked {
                dz.fill(0.0);
                out.fill(0.0);
                continue;
            }
            let gates = out.chunks_exact_mut(units).zip(dz.chunks_exact(gate_stride));
            gates.for_each(|(to, from)| to.copy_from_slice(&from[..units]));
        }
    }

    /// Computes dh(t-1) of the rows that are unmasked at step t, and prefetches what `next`, a step
    /// and a tile's rows, will read.
    #[inline(always)]
    fn carry_back<S: Simd, const R: usize>(
        &self,
        simd: S,
        t: usize,
        tile: &mut Tile<'_>,
        next: Option<(usize, &[Row])>,
    ) {
        let (units, lanes) = (self.options.units, S::F32_LANES);
        let (stride, gate_stride) = (self.stride::<S>(), padded(units));
        let panels = units.div_ceil(VECTORS * lanes);
        for panel in 0..panels {
            let mut sums = [[simd.splat_f32s(0.0); VECTORS]; R];
            let dz: [&[f32]; R] = rows(&tile.dz, VECTORS * gate_stride);
            for gate in 0..VECTORS {
                if let Some((t, rows)) = next {
                    for &row in rows.iter().skip(panel * VECTORS + gate).step_by(panels * VECTORS) {
                        self.prefetch(t, row);
                    }
                }
                let from = gate * gate_stride;
                let mut left = dz;
                for row in &mut left {
                    *row = &row[from..from + gate_stride];
                }
                if tile.factors.is_empty() {
                    self.panels.multiply(simd, (panel, from), left, &mut sums);
                    continue;
                }
                let mut of_gate = [[simd.splat_f32s(0.0); VECTORS]; R];
                self.panels.multiply(simd, (panel, from), left, &mut of_gate);
                for r in 0..R {
                    let factors = &tile.factors[(gate * R + r) * stride..][..stride];
                    for v in 0..VECTORS {
                        let unit = (panel * VECTORS + v) * lanes;
                        let factor = load(simd, &factors[unit..unit + lanes]);
                        sums[r][v] = simd.mul_add_e_f32s(of_gate[r][v], factor, sums[r][v]);
                    }
                }
            }
            for (r, (sums, row)) in sums.into_iter().zip(tile.rows).enumerate() {
                if self.options.is_unmasked(t, row.index) {
                    let at = r * stride + panel * VECTORS * lanes;
                    let dh = tile.dh[at..at + VECTORS * lanes].chunks_exact_mut(lanes);
                    dh.zip(sums).for_each(|(dh, sum)| store(simd, dh, flush(simd, sum)));
                }
            }
        }
    }

    /// Prefetches what a row will read at a step.
    #[inline(always)]
    fn prefetch(&self, t: usize, row: Row) {
        let ScanOptions { batch, units, .. } = self.options;
        let place = t * batch + row.index;
        prefetch_all(self.dz.row(t, row));
        prefetch_all(&self.cells[place * units..][..units]);
        if let Some(d_hidden) = self.d_hidden {
            prefetch_all(&d_hidden[place * units..][..units]);
        }
    }
}
