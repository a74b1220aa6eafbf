use super::fusion::ScanOfProducer;
use super::input_projection::InputProjection;
use super::rows::{Row, RowSplit, ThreadRows};
use super::{ScanOptions, TileTask, run_tiled};
use crate::entry::Entry;
use crate::packed::{PackedMatrix, VECTORS, rows};
use crate::simd::{self, activate, flush, load, slope, store};
use crate::vector::copy_or_zero;
use pulp::Simd;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Activation, SimpleRnn, SimpleRnnBackward};

/// The fast kernels of [`SimpleRnn`], alone and fused with the producer of its x, and of
/// [`SimpleRnnBackward`], for the table in `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(SimpleRnn, forward, omits: [0]),
    entry!(ScanOfProducer<SimpleRnn>, forward_of_producer, omits: [0]),
    entry!(SimpleRnnBackward, backward),
];

/// Returns the padded length of rows that whole panels write.
fn padded(units: usize, lanes: usize) -> usize {
    super::padded(units).next_multiple_of(VECTORS * lanes)
}

/// Packs the rows of U, after those of W if `x` is computed as a product; or those of the transpose
/// of U alone, which has no `x`.
fn pack(
    x: Option<InputProjection<'_>>,
    matrix: &[f32],
    units: usize,
    lanes: usize,
) -> PackedMatrix {
    let features = x.map_or(0, |x| x.depth());
    PackedMatrix::pack(
        lanes,
        (features + padded(units, lanes), units.div_ceil(VECTORS * lanes)),
        |k| match k.checked_sub(features) {
            None => x.and_then(|x| x.weights(k, units)),
            Some(k) => matrix.chunks_exact(units).nth(k),
        },
        |panel, vector| {
            let first = (panel * VECTORS + vector) * lanes;
            units.min(first)..units.min(first + lanes)
        },
    )
}

fn forward(op: &SimpleRnn, io: &mut Io<'_, f32>) {
    scan(op, InputProjection::stored(io), 1, io);
}

fn forward_of_producer(op: &ScanOfProducer<SimpleRnn>, io: &mut Io<'_, f32>) {
    scan(&op.scan, op.input_projection(io), op.inputs, io);
}

/// Runs all steps. `matrix` is the input index of U, which follows the inputs of x.
fn scan<'a>(op: &SimpleRnn, x: InputProjection<'a>, matrix: usize, io: &mut Io<'a, f32>) {
    let &[steps, batch, units] = io.signature.outputs[0].dims() else { return };
    let [state, mask, dropout] = op.inputs.places(matrix + 1);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let options = ScanOptions { batch, units, mask: mask.map(|p| io.uints(p)), dropout };
    let split = RowSplit::of(&options);
    let panels = pack(Some(x), io.input(matrix), units, split.lanes);
    let [hidden, last] = io.outputs();
    copy_or_zero(last, state);
    let [hidden, last] = [hidden, last].map(|data| split.split(data, units));
    let outputs = hidden.into_par_iter().zip(last);
    split.threads().zip(outputs).for_each(|(rows, (mut hidden, state))| {
        let direction = Direction::Forward { x, hidden: &mut hidden };
        let (activation, panels) = (op.activation, &panels);
        run_tiled(Scan { activation, panels, options, steps, rows, state, direction });
    });
}

fn backward(op: &SimpleRnnBackward, io: &mut Io<'_, f32>) {
    let &[steps, batch, units] = io.dims(1) else { return };
    let kept = io.input(1);
    let [mask, rest @ ..] = op.optional();
    let [dropout, d_hidden, d_last] = rest.map(|place| place.map(|p| io.input(p)));
    let options = ScanOptions { batch, units, mask: mask.map(|p| io.uints(p)), dropout };
    let split = RowSplit::of(&options);
    let panels = pack(None, io.input(0), units, split.lanes);
    let [dz, dh] = io.outputs();
    copy_or_zero(dh, d_last);
    let [dz, dh] = [dz, dh].map(|data| split.split(data, units));
    let outputs = dz.into_par_iter().zip(dh);
    split.threads().zip(outputs).for_each(|(rows, (mut dz, state))| {
        let direction = Direction::Backward { kept, d_hidden, dz: &mut dz };
        let (activation, panels) = (op.forward.activation, &panels);
        run_tiled(Scan { activation, panels, options, steps, rows, state, direction });
    });
}

/// The operands of each step.
enum Direction<'a, 'b> {
    /// h(t) = activation(x(t) + (h(t-1) d) U). `hidden` holds h of each step, and is empty if
    /// nobody reads it.
    Forward { x: InputProjection<'a>, hidden: &'b mut ThreadRows<'a> },
    /// dz(t) = (dh + d_hidden(t)) activation'(z(t)), dh(t-1) = d (dz(t) U^T). `kept` is what is kept
    /// of the activation.
    Backward { kept: &'a [f32], d_hidden: Option<&'a [f32]>, dz: &'b mut ThreadRows<'a> },
}

/// The rows of one thread.
struct Scan<'a, 'b> {
    activation: Activation,
    panels: &'a PackedMatrix,
    options: ScanOptions<'a>,
    steps: usize,
    rows: &'a [Row],
    /// h, or its gradient, `[1, B, H]`.
    state: ThreadRows<'a>,
    direction: Direction<'a, 'b>,
}

/// The state of a tile's rows, each padded.
struct Tile<'a> {
    rows: &'a [Row],
    state: Vec<f32>,
    /// Left factors of the product with the packed matrix: in the forward pass the input rows if x
    /// is a product, then h.
    left: Vec<f32>,
    /// Dropout factors of h; empty without dropout.
    factors: Vec<f32>,
}

impl TileTask for Scan<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize>(mut self, simd: S) {
        let units = self.options.units;
        let stride = padded(units, S::F32_LANES);
        let depth = match self.direction {
            Direction::Forward { x, .. } => x.depth(),
            Direction::Backward { .. } => 0,
        };
        let rows = self.rows;
        let tile = |rows| Tile {
            rows,
            state: self.state.padded(0, rows, R, stride),
            left: vec![0.0; R * (depth + stride)],
            factors: self.options.factors(1, rows, R, stride),
        };
        let mut tiles: Vec<Tile<'_>> = rows.chunks(R).map(tile).collect();
        let back = matches!(self.direction, Direction::Backward { .. });
        for step in 0..self.steps {
            let t = if back { self.steps - 1 - step } else { step };
            for tile in &mut tiles {
                match back {
                    true => self.step_backward::<S, R>(simd, t, tile),
                    false => self.step_forward::<S, R>(simd, t, tile),
                }
            }
        }
        for tile in &tiles {
            self.state.store(0, tile.rows, &tile.state, stride);
        }
    }
}

impl Scan<'_, '_> {
    /// Multiplies columns of the left factors with the panel's rows from `from` on.
    #[inline(always)]
    fn product<S: Simd, const R: usize>(
        &self,
        simd: S,
        (panel, from): (usize, usize),
        left: [&[f32]; R],
    ) -> [[S::f32s; VECTORS]; R] {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; R];
        self.panels.multiply(simd, (panel, from), left, &mut sums);
        sums
    }

    /// Stores the left factors of step t in `left`.
    #[inline(always)]
    fn load_inputs<S: Simd, const R: usize>(
        &self,
        simd: S,
        t: usize,
        x: InputProjection<'_>,
        tile: &mut Tile<'_>,
    ) {
        let ScanOptions { batch, units, .. } = self.options;
        let (stride, depth) = (padded(units, S::F32_LANES), x.depth());
        let rows = tile.left.chunks_exact_mut(depth + stride).zip(tile.rows);
        for (r, (left, &Row { index, .. })) in rows.enumerate() {
            let (of_x, of_h) = left.split_at_mut(depth);
            let row = x.row(t * batch + index);
            of_x[..row.len()].copy_from_slice(row);
            if let Some(factors) = x.row_factors(index) {
                simd::scale(simd, &mut of_x[..row.len()], factors);
            }
            of_h.copy_from_slice(&tile.state[r * stride..][..stride]);
            if let Some(factors) = tile.factors.get(r * stride..(r + 1) * stride) {
                simd::scale(simd, of_h, factors);
            }
        }
    }

    #[inline(always)]
    fn step_forward<S: Simd, const R: usize>(&mut self, simd: S, t: usize, tile: &mut Tile<'_>) {
        if self.options.any_unmasked(t, tile.rows) {
            self.compute_forward::<S, R>(simd, t, tile);
        }
        let stride = padded(self.options.units, S::F32_LANES);
        if let Direction::Forward { hidden, .. } = &mut self.direction {
            hidden.store(t, tile.rows, &tile.state, stride);
        }
    }

    /// Computes h(t) of a tile's unmasked rows.
    #[inline(always)]
    fn compute_forward<S: Simd, const R: usize>(&self, simd: S, t: usize, tile: &mut Tile<'_>) {
        let Direction::Forward { x, .. } = self.direction else { return };
        let ScanOptions { batch, units, .. } = self.options;
        let (lanes, stride, depth) = (S::F32_LANES, padded(units, S::F32_LANES), x.depth());
        self.load_inputs::<S, R>(simd, t, x, tile);
        for panel in 0..units.div_ceil(VECTORS * lanes) {
            // Sums of their own, so that the result has the bits of a stored x.
            let left: [&[f32]; R] = rows(&tile.left, depth + stride);
            let mut of_x = None;
            if depth > 0 {
                of_x = Some(self.product::<S, R>(simd, (panel, 0), left.map(|row| &row[..depth])));
            }
            let of_h = self.product::<S, R>(simd, (panel, depth), left.map(|row| &row[depth..]));
            for (r, (of_h, row)) in of_h.into_iter().zip(tile.rows).enumerate() {
                if !self.options.is_unmasked(t, row.index) {
                    continue;
                }
                let place = t * batch + row.index;
                let x = x.start(place, &[]);
                for (v, of_h) in of_h.into_iter().enumerate() {
                    let unit = (panel * VECTORS + v) * lanes;
                    let columns = units.min(unit)..units.min(unit + lanes);
                    // The padding stays zero: an infinity times the zeros of the weights there
                    // would be NaN.
                    let state = &mut tile.state[r * stride + unit..][..columns.len()];
                    // Empty for a product without bias.
                    let mut x = load(simd, x.get(columns).unwrap_or(&[]));
                    if let Some(of_x) = &of_x {
                        x = simd.add_f32s(x, of_x[r][v]);
                    }
                    let h = activate::<S, true>(simd, self.activation, simd.add_f32s(x, of_h));
                    store(simd, state, h);
                }
            }
        }
    }

    #[inline(always)]
    fn step_backward<S: Simd, const R: usize>(&mut self, simd: S, t: usize, tile: &mut Tile<'_>) {
        let ScanOptions { batch, units, .. } = self.options;
        let (lanes, stride) = (S::F32_LANES, padded(units, S::F32_LANES));
        let is_active = self.options.any_unmasked(t, tile.rows);
        let Direction::Backward { kept, d_hidden, dz } = &mut self.direction else { return };
        for (r, row) in tile.rows.iter().enumerate() {
            let place = t * batch + row.index;
            let is_unmasked = self.options.is_unmasked(t, row.index);
            for unit in (0..units).step_by(lanes) {
                let (at, width) = (r * stride + unit, lanes.min(units - unit));
                let dh = &mut tile.state[at..at + width];
                if let Some(d) = d_hidden {
                    let d = load(simd, &d[place * units + unit..][..width]);
                    store(simd, dh, simd.add_f32s(load(simd, dh), d));
                }
                let of_place = load(simd, &kept[place * units + unit..][..width]);
                let dz = match is_unmasked {
                    true => simd.mul_f32s(
                        load(simd, dh),
                        slope::<S, true>(simd, self.activation, of_place),
                    ),
                    false => simd.splat_f32s(0.0),
                };
                store(simd, &mut tile.left[at..at + width], flush(simd, dz));
            }
        }
        dz.store(t, tile.rows, &tile.left, stride);
        if !is_active {
            return;
        }
        for panel in 0..units.div_ceil(VECTORS * lanes) {
            let sums = self.product::<S, R>(simd, (panel, 0), rows(&tile.left, stride));
            for (r, (sums, row)) in sums.into_iter().zip(tile.rows).enumerate() {
                if !self.options.is_unmasked(t, row.index) {
                    continue;
                }
                let at = r * stride + panel * VECTORS * lanes;
                let dh = tile.state[at..at + VECTORS * lanes].chunks_exact_mut(lanes);
                dh.zip(sums).for_each(|(dh, sum)| store(simd, dh, flush(simd, sum)));
                let dh = &mut tile.state[at..at + VECTORS * lanes];
                if let Some(factors) = tile.factors.get(at..at + VECTORS * lanes) {
                    simd::scale(simd, dh, factors);
                }
            }
        }
    }
}
