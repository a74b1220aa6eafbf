//! The forward pass of a gated layer: all rows of a thread run through the steps together, panel
//! by panel of the weights.

use super::input_projection::InputProjection;
use super::rows::{Row, ThreadRows};
use super::{ScanOptions, TileTask, padded};
use crate::packed::{PackedMatrix, UNROLL, Views};
use crate::prefetch::prefetch_all;
use crate::simd::load;
use pulp::Simd;

/// Packs a gated layer's U, `[units, gates units]`, after W if x is computed as a product. A panel
/// holds the gates of `lanes` units; its rows are those of W, then those of U.
pub fn pack(
    x: InputProjection<'_>,
    u: &[f32],
    (gates, units): (usize, usize),
    lanes: usize,
) -> PackedMatrix {
    let (features, width) = (x.depth(), gates * units);
    PackedMatrix::pack_wide(
        (lanes, gates),
        (features + padded(units), units.div_ceil(lanes)),
        |k| match k.checked_sub(features) {
            None => x.weights(k, width),
            Some(k) => u.chunks_exact(width).nth(k),
        },
        |panel, gate| gate * units + panel * lanes..gate * units + units.min((panel + 1) * lanes),
    )
}

/// The cell of a gated layer with G gates: the equations of a step, and where it stores its results
/// for the rows of one thread.
pub trait Cell<const G: usize> {
    /// Stores what a step needs of the states before it, for the backward pass.
    fn store_states<const R: usize, const V: usize>(
        &mut self,
        step: &Step<'_>,
        tile: &Tile<'_, R, V>,
    );

    /// Stores zeros as the gates of a row that is masked at a step.
    fn store_masked(&mut self, step: &Step<'_>, row: Row);

    /// Prefetches what a row will read and write at a step.
    fn prefetch(&self, step: &Step<'_>, row: Row);

    /// Computes a panel's units, a vector of them, of a tile's rows: their gates and next state.
    fn panel<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        step: &Step<'_>,
        panel: usize,
        tile: &mut Tile<'_, R, V>,
    );
}

/// A time step of one thread's rows, with what all steps share.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// Index of the time step, from 0 on.
    pub t: usize,
    /// The sizes, mask and dropout of the scan.
    pub options: ScanOptions<'a>,
    /// The source of x W + b.
    pub x: InputProjection<'a>,
    /// For each vector of units the gates' columns; the rows are those of W, then those of U.
    pub panels: &'a PackedMatrix,
}

impl Step<'_> {
    /// Returns true if a row takes part in the step, that is if it is unmasked.
    pub fn is_unmasked(&self, row: Row) -> bool {
        self.options.is_unmasked(self.t, row.index)
    }

    /// Returns the index, among the rows of `[T, B, ..]`, of a row of the batch at this step.
    pub fn place(&self, row: Row) -> usize {
        self.t * self.options.batch + row.index
    }

    /// Returns the initial values of the pre-activations of a panel's units at a row, a vector for
    /// each gate. `in_place` is x at the row if the scan overwrites it.
    #[inline(always)]
    pub fn start<S: Simd, const G: usize>(
        &self,
        simd: S,
        panel: usize,
        row: Row,
        in_place: &[f32],
    ) -> [S::f32s; G] {
        let (units, lanes) = (self.options.units, S::F32_LANES);
        let unit = panel * lanes;
        let of_panel = lanes.min(units - unit);
        let x = self.x.start(self.place(row), in_place);
        let mut sums = [simd.splat_f32s(0.0); G];
        for (gate, sum) in sums.iter_mut().enumerate().take(x.len() / units) {
            *sum = load(simd, &x[gate * units + unit..][..of_panel]);
        }
        sums
    }
}

/// A tile of at most R rows of the batch: their states, and the left factors of the products of a
/// step in V views. All gates share one view (V = 1), or each has its own. If there are fewer rows
/// than R, the remaining ones are zero.
pub struct Tile<'a, const R: usize, const V: usize> {
    /// The rows.
    pub rows: &'a [Row],
    /// True if a row takes part in the step at hand. If none does, nothing is computed.
    active: bool,
    /// The hidden state, `[R, padded(units)]`; what is beyond the rows and units is zero.
    pub h: Vec<f32>,
    /// The cell state of an LSTM, laid out as `h`; empty for a GRU.
    pub c: Vec<f32>,
    /// Left factors of a step's products with W and U: the input row if x is a product, then h.
    pub seen: Vec<Views<R, V>>,
    /// Dropout factors of `seen`; empty without dropout.
    factors: Vec<Views<R, V>>,
}

impl<const R: usize, const V: usize> Tile<'_, R, V> {
    /// Stores the left factors of a step in `seen`.
    #[inline(always)]
    fn load_inputs(&mut self, step: &Step<'_>) {
        let stride = padded(step.options.units);
        let (of_x, of_h) = self.seen.split_at_mut(step.x.depth() / UNROLL);
        for (r, &row) in self.rows.iter().enumerate() {
            let x = step.x.row(step.place(row));
            for (seen, x) in of_x.iter_mut().zip(x.chunks(UNROLL)) {
                let mut floats = [0.0; UNROLL];
                match x.first_chunk() {
                    Some(whole) => floats = *whole,
                    None => floats[..x.len()].copy_from_slice(x),
                }
                seen.iter_mut().for_each(|view| view[r] = floats);
            }
            let h = self.h[r * stride..][..stride].as_chunks::<UNROLL>().0;
            for (seen, floats) in of_h.iter_mut().zip(h) {
                seen.iter_mut().for_each(|view| view[r] = *floats);
            }
        }
        let seen = self.seen.as_flattened_mut().as_flattened_mut().as_flattened_mut();
        let factors = self.factors.as_flattened().as_flattened().as_flattened();
        for (seen, factor) in seen.iter_mut().zip(factors) {
            *seen *= factor;
        }
    }
}

/// The task of one thread: the forward pass of its rows through all steps.
pub struct Forward<'a, C, const G: usize> {
    /// The equations of the layer, with where it stores its results.
    pub cell: C,
    /// The first step.
    pub step: Step<'a>,
    /// The number of steps.
    pub steps: usize,
    /// The rows.
    pub rows: &'a [Row],
    /// h of each step, `[T, B, H]`; empty if nobody reads it.
    pub hidden: ThreadRows<'a>,
    /// The state, `[1, B, H]`, which the last step's replaces.
    pub h: ThreadRows<'a>,
    /// The cell state of an LSTM, `[1, B, H]`, which the last step's replaces; empty for a GRU.
    pub c: ThreadRows<'a>,
}

impl<C: Cell<G>, const G: usize> TileTask for Forward<'_, C, G> {
    #[inline(always)]
    fn run<S: Simd, const R: usize>(self, simd: S) {
        match self.step.x.views(&self.step.options) {
            1 => self.scan::<S, R, 1>(simd),
            _ => self.scan::<S, R, G>(simd),
        }
    }
}

impl<'a, C: Cell<G>, const G: usize> Forward<'a, C, G> {
    fn tiles<const R: usize, const V: usize>(&self) -> Vec<Tile<'a, R, V>> {
        let stride = padded(self.step.options.units);
        let tile = |rows: &'a [Row]| Tile {
            rows,
            active: true,
            h: self.h.padded(0, rows, R, stride),
            c: match self.c.is_empty() {
                true => vec![],
                false => self.c.padded(0, rows, R, stride),
            },
            seen: vec![[[[0.0; UNROLL]; R]; V]; (self.step.x.depth() + stride) / UNROLL],
            factors: self.step.x.factors(&self.step.options, rows),
        };
        self.rows.chunks(R).map(tile).collect()
    }

    #[inline(always)]
    fn scan<S: Simd, const R: usize, const V: usize>(mut self, simd: S) {
        let ScanOptions { units, .. } = self.step.options;
        let stride = padded(units);
        let mut tiles: Vec<Tile<'_, R, V>> = self.tiles();
        for t in 0..self.steps {
            let step = Step { t, ..self.step };
            let next = Step { t: t + 1, ..step };
            for tile in &mut tiles {
                self.cell.store_states(&step, tile);
                tile.active = false;
                for &row in tile.rows {
                    match step.is_unmasked(row) {
                        true => tile.active = true,
                        false => self.cell.store_masked(&step, row),
                    }
                }
                if tile.active {
                    tile.load_inputs(&step);
                }
            }
            // All rows are multiplied with a panel while the first-level cache holds it.
            let panels = units.div_ceil(S::F32_LANES);
            for panel in 0..panels {
                for tile in tiles.iter_mut().filter(|tile| tile.active) {
                    if next.t < self.steps {
                        for &row in tile.rows.iter().skip(panel).step_by(panels) {
                            self.prefetch(&next, row);
                        }
                    }
                    self.cell.panel(simd, &step, panel, tile);
                }
            }
            for tile in &tiles {
                self.hidden.store(t, tile.rows, &tile.h, stride);
            }
        }
        for tile in &tiles {
            self.h.store(0, tile.rows, &tile.h, stride);
            self.c.store(0, tile.rows, &tile.c, stride);
        }
    }

    #[inline(always)]
    fn prefetch(&self, step: &Step<'_>, row: Row) {
        prefetch_all(self.hidden.row(step.t, row));
        prefetch_all(step.x.start(step.place(row), &[]));
        prefetch_all(step.x.row(step.place(row)));
        self.cell.prefetch(step, row);
    }
}
