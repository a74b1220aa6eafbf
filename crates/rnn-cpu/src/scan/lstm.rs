use super::producer::{InputProjection, LstmOfProducer};
use super::{RowSplit, ScanOptions, TileTask, by_group, pad_rows, padded, run_tiled, unpad_rows};
use crate::entry::Entry;
use crate::packed::{PackedMatrix, UNROLL, VECTORS, Views};
use crate::prefetch::prefetch_all;
use crate::simd::{activate, activate_two, flush, load, store};
use crate::vector::copy_or_zero;
use pulp::Simd;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Lstm, LstmGates};

/// The kernels of this file.
pub const KERNELS: &[Entry] = &[
    entry!(Lstm, forward, omits: [0, 2]),
    entry!(LstmOfProducer, forward_of_producer, omits: [0, 1, 2]),
];

fn forward(op: &Lstm, io: &mut Io<'_, f32>) {
    scan(op, InputProjection::Given, 1, io);
}

fn forward_of_producer(op: &LstmOfProducer, io: &mut Io<'_, f32>) {
    scan(&op.lstm, InputProjection::of(op, io), op.inputs, io);
}

/// Runs all steps of an LSTM. `matrix` is the input index of U, which follows the inputs of x.
fn scan<'a>(op: &Lstm, x: InputProjection<'a>, matrix: usize, io: &mut Io<'a, f32>) {
    let &[steps, batch, units] = io.signature.outputs[0].dims() else { return };
    let width = VECTORS * units;
    let u = io.input(matrix);
    let [state, mask, dropout] = op.inputs.places(matrix + 1);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let options = ScanOptions { batch, units, mask: mask.map(|p| io.uints(p)), dropout };
    let RowSplit { lanes, rows: per_group } = RowSplit::of(batch);
    // A panel holds the four gates of `lanes` units; its rows are those of W, then those of U.
    let features = x.depth();
    let panels = PackedMatrix::pack(
        lanes,
        (features + padded(units), units.div_ceil(lanes)),
        |k| match k.checked_sub(features) {
            None => x.weights(k, width),
            Some(k) => u.chunks_exact(width).nth(k),
        },
        |panel, gate| gate * units + panel * lanes..gate * units + units.min((panel + 1) * lanes),
    );
    let [hidden, gates, cells, last] = io.outputs();
    copy_or_zero(last, state);
    let (h, c) = last.split_at_mut(batch * units);
    let group = per_group * units;
    let carries = h.par_chunks_mut(group).zip(c.par_chunks_mut(group));
    let hidden = by_group(hidden, batch * units, group);
    let gates = by_group(gates, batch * width, VECTORS * group);
    let cells = by_group(cells, batch * units, group);
    let groups = hidden.into_par_iter().zip(gates).zip(cells).zip(carries).enumerate();
    groups.for_each(|(group, (((hidden, gates), cells), (h, c)))| {
        let (op, panels, first) = (op.gates, &panels, group * per_group);
        let written = ScanOutputs { hidden, gates, cells };
        run_tiled(Forward { op, panels, x, options, steps, first, written, h, c });
    });
}

/// Computes one step of the cell: returns the gates i, f, g, o, and h and c.
#[inline(always)]
pub(crate) fn step<S: Simd>(
    s: S,
    gates: &LstmGates,
    z: [S::f32s; VECTORS],
    c: S::f32s,
) -> ([S::f32s; VECTORS], [S::f32s; 2]) {
    let LstmGates { activation, recurrent_activation } = *gates;
    let [i, f] = activate_two(s, [recurrent_activation; 2], [z[0], z[1]]);
    let [g, o] = activate_two(s, [activation, recurrent_activation], [z[2], z[3]]);
    let next = cell(s, [i, f, g], c);
    ([i, f, g, o], [s.mul_f32s(o, activate(s, activation, next)), next])
}

/// Returns c(t) from the gates i, f, g and c(t-1).
#[inline(always)]
pub(crate) fn cell<S: Simd>(s: S, [i, f, g]: [S::f32s; 3], c: S::f32s) -> S::f32s {
    flush(s, s.mul_add_e_f32s(f, c, s.mul_f32s(i, g)))
}

/// The outputs of one thread by step; an output is empty if nobody reads it.
struct ScanOutputs<'a> {
    hidden: Vec<&'a mut [f32]>,
    /// The gates; before the step x W + b, if x is given.
    gates: Vec<&'a mut [f32]>,
    /// c before the step. If it is empty, nobody reads the gates either.
    cells: Vec<&'a mut [f32]>,
}

/// The rows of one thread.
struct Forward<'a> {
    op: LstmGates,
    panels: &'a PackedMatrix,
    x: InputProjection<'a>,
    options: ScanOptions<'a>,
    steps: usize,
    /// Index of its first row.
    first: usize,
    written: ScanOutputs<'a>,
    h: &'a mut [f32],
    c: &'a mut [f32],
}

/// The state of a tile's rows, each padded.
struct Tile<const R: usize, const G: usize> {
    first: usize,
    rows: usize,
    h: Vec<f32>,
    c: Vec<f32>,
    /// Left factors of a step's products with W and U: the input row if x is a product, then h.
    seen: Vec<Views<R, G>>,
    /// Dropout factors of `seen`; empty without dropout.
    factors: Vec<Views<R, G>>,
}

impl TileTask for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize>(self, simd: S) {
        match self.x.views(&self.options) {
            1 => self.scan::<S, R, 1>(simd),
            _ => self.scan::<S, R, VECTORS>(simd),
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn scan<S: Simd, const R: usize, const G: usize>(mut self, simd: S) {
        let (units, stride) = (self.options.units, padded(self.options.units));
        let states = self.h.chunks(R * units).zip(self.c.chunks(R * units)).enumerate();
        let tile = |(i, (h, c)): (usize, (&[f32], &[f32]))| {
            let first = self.first + i * R;
            Tile {
                first,
                rows: h.len() / units,
                h: pad_rows(h, units, R, stride),
                c: pad_rows(c, units, R, stride),
                seen: vec![[[[0.0; UNROLL]; R]; G]; (self.x.depth() + stride) / UNROLL],
                factors: self.x.factors(&self.options, first),
            }
        };
        let mut tiles: Vec<Tile<R, G>> = states.map(tile).collect();
        for t in 0..self.steps {
            for tile in &mut tiles {
                self.load_inputs(t, tile);
            }
            // All rows are multiplied with a panel while the first-level cache holds it.
            let panels = units.div_ceil(S::F32_LANES);
            for panel in 0..panels {
                for tile in &mut tiles {
                    for row in (panel..tile.rows).step_by(panels) {
                        self.prefetch(t + 1, tile.first + row);
                    }
                    self.panel(simd, (t, panel), tile);
                }
            }
            if let Some(hidden) = self.written.hidden.get_mut(t) {
                for (tile, hidden) in tiles.iter().zip(hidden.chunks_mut(R * units)) {
                    unpad_rows(&tile.h, stride, hidden, units);
                }
            }
        }
        let states = self.h.chunks_mut(R * units).zip(self.c.chunks_mut(R * units));
        for (tile, (h, c)) in tiles.iter().zip(states) {
            unpad_rows(&tile.h, stride, h, units);
            unpad_rows(&tile.c, stride, c, units);
        }
    }

    /// Stores the left factors of step t in `seen`, and c in the outputs.
    #[inline(always)]
    fn load_inputs<const R: usize, const G: usize>(&mut self, t: usize, tile: &mut Tile<R, G>) {
        let ScanOptions { batch, units, .. } = self.options;
        let stride = padded(units);
        let (of_x, of_h) = tile.seen.split_at_mut(self.x.depth() / UNROLL);
        for r in 0..tile.rows {
            let x = self.x.row(t * batch + tile.first + r);
            for (seen, x) in of_x.iter_mut().zip(x.chunks(UNROLL)) {
                let mut floats = [0.0; UNROLL];
                match x.first_chunk() {
                    Some(whole) => floats = *whole,
                    None => floats[..x.len()].copy_from_slice(x),
                }
                seen.iter_mut().for_each(|view| view[r] = floats);
            }
            let h = tile.h[r * stride..][..stride].as_chunks::<UNROLL>().0;
            for (seen, floats) in of_h.iter_mut().zip(h) {
                seen.iter_mut().for_each(|view| view[r] = *floats);
            }
        }
        let seen = tile.seen.as_flattened_mut().as_flattened_mut().as_flattened_mut();
        let factors = tile.factors.as_flattened().as_flattened().as_flattened();
        for (seen, factor) in seen.iter_mut().zip(factors) {
            *seen *= factor;
        }
        if let Some(cells) = self.written.cells.get_mut(t) {
            let cells = &mut cells[(tile.first - self.first) * units..][..tile.rows * units];
            unpad_rows(&tile.c, stride, cells, units);
        }
    }

    /// Prefetches what a row will read and write at a step.
    #[inline(always)]
    fn prefetch(&self, t: usize, row: usize) {
        if t == self.steps {
            return;
        }
        let ScanOptions { batch, units, .. } = self.options;
        let ScanOutputs { hidden, gates, cells } = &self.written;
        for (written, width) in [(gates, VECTORS * units), (hidden, units), (cells, units)] {
            if let Some(rows) = written.get(t) {
                prefetch_all(&rows[(row - self.first) * width..][..width]);
            }
        }
        prefetch_all(self.x.start(t * batch + row, &[]));
        prefetch_all(self.x.row(t * batch + row));
    }

    /// Computes the gates of a panel's units, and their next state.
    #[inline(always)]
    fn panel<S: Simd, const R: usize, const G: usize>(
        &mut self,
        simd: S,
        (t, panel): (usize, usize),
        tile: &mut Tile<R, G>,
    ) {
        let ScanOptions { batch, units, .. } = self.options;
        let (stride, lanes, width) = (padded(units), S::F32_LANES, VECTORS * units);
        let unit = panel * lanes;
        let of_panel = lanes.min(units - unit);
        let keeps = !self.written.cells.is_empty();
        let begins = (tile.first - self.first) * width;
        let mut gates = self.written.gates.get_mut(t).map(|gates| &mut gates[begins..]);
        let mut z = [[simd.splat_f32s(0.0); VECTORS]; R];
        for (r, z) in z.iter_mut().enumerate().take(tile.rows) {
            let given = gates.as_ref().map_or(&[][..], |gates| &gates[r * width..][..width]);
            let x = self.x.start(t * batch + tile.first + r, given);
            for (gate, z) in z.iter_mut().enumerate().take(x.len() / units) {
                *z = load(simd, &x[gate * units + unit..][..of_panel]);
            }
        }
        self.panels.multiply_views(simd, panel, &tile.seen, &mut z);
        for (r, z) in z.into_iter().enumerate().take(tile.rows) {
            let at = r * stride + unit;
            // The padding stays zero: an infinity times the zeros of the weights there would be
            // NaN.
            let c = &mut tile.c[at..at + of_panel];
            let (values, [h, next]) = step(simd, &self.op, z, load(simd, c));
            if let Some(gates) = gates.as_mut().filter(|_| keeps) {
                let to = &mut gates[r * width..][..width];
                for (gate, value) in values.into_iter().enumerate() {
                    store(simd, &mut to[gate * units + unit..][..of_panel], value);
                }
            }
            if self.options.is_unmasked(t, tile.first + r) {
                store(simd, c, next);
                store(simd, &mut tile.h[at..at + of_panel], h);
            }
        }
    }
}
