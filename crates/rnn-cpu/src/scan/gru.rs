//! The forward pass of a GRU that applies its reset gate after the product with U.

use super::forward::{Cell, Forward, Step, Tile, pack};
use super::fusion::ScanOfProducer;
use super::input_projection::InputProjection;
use super::rows::{Row, RowSplit, ThreadRows};
use super::{ScanOptions, padded, run_tiled};
use crate::entry::Entry;
use crate::packed::UNROLL;
use crate::prefetch::prefetch_all;
use crate::rarer::is_rarer;
use crate::simd::{activate, activate_two, flush, kept, load, store};
use crate::vector::copy_or_zero;
use pulp::Simd;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::Gru;

/// The fast kernel of [`Gru`] fused with the producer of its x, for the table in `kernels.rs`.
pub const KERNELS: &[Entry] = &[entry!(ScanOfProducer<Gru>, forward_of_producer, omits: [0, 1])];

const GATES: usize = 3;
/// Values of a unit that the backward pass needs: what is kept of z, r, g; h(t-1), a_h.
const SAVED: usize = 5;

fn forward_of_producer(op: &ScanOfProducer<Gru>, io: &mut Io<'_, f32>) {
    scan(&op.scan, op.input_projection(io), op.inputs, io);
}

/// Runs all steps of a GRU on the operands in `io` and writes its outputs. `x` is the source of its
/// first input; `matrix` is the input index of U, which follows the inputs of x.
pub fn scan<'a>(op: &Gru, x: InputProjection<'a>, matrix: usize, io: &mut Io<'a, f32>) {
    match is_rarer(op.activation) || is_rarer(op.recurrent_activation) {
        true => scan_with::<true>(op, x, matrix, io),
        false => scan_with::<false>(op, x, matrix, io),
    }
}

fn scan_with<'a, const RARER: bool>(
    op: &Gru,
    x: InputProjection<'a>,
    matrix: usize,
    io: &mut Io<'a, f32>,
) {
    let &[steps, batch, units] = io.signature.outputs[0].dims() else { return };
    let [bias, state, mask, dropout] = op.places(matrix + 1);
    let [bias, state, dropout] = [bias, state, dropout].map(|place| place.map(|p| io.input(p)));
    let options = ScanOptions { batch, units, mask: mask.map(|p| io.uints(p)), dropout };
    let split = RowSplit::of(&options);
    let panels = pack(x, io.input(matrix), (GATES, units), split.lanes);
    let [hidden, saved] = io.outputs();
    let mut last = vec![0.0; batch * units];
    copy_or_zero(&mut last, state);
    let [hidden, saved, h, c] =
        [(hidden, units), (saved, SAVED * units), (&mut last, units), (&mut [], units)]
            .map(|(data, width)| split.split(data, width));
    let outputs = hidden.into_par_iter().zip(saved).zip(h).zip(c);
    split.threads().zip(outputs).for_each(|(rows, (((hidden, saved), h), c))| {
        let step = Step { t: 0, options, x, panels: &panels };
        let cell = GruCell::<RARER> { op, bias, saved };
        run_tiled(Forward { cell, step, steps, rows, hidden, h, c });
    });
}

/// The cell with the values for the backward pass that one thread writes.
struct GruCell<'a, const RARER: bool> {
    op: &'a Gru,
    /// The bias of the product with U.
    bias: Option<&'a [f32]>,
    saved: ThreadRows<'a>,
}

impl<const RARER: bool> Cell<GATES> for GruCell<'_, RARER> {
    #[inline(always)]
    fn store_states<const R: usize, const V: usize>(&mut self, _: &Step<'_>, _: &Tile<'_, R, V>) {}

    #[inline(always)]
    fn store_masked(&mut self, step: &Step<'_>, row: Row) {
        self.saved.row_mut(step.t, row).fill(0.0);
    }

    #[inline(always)]
    fn prefetch(&self, step: &Step<'_>, row: Row) {
        prefetch_all(self.saved.row(step.t, row));
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
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; GATES]; R];
        for (sums, &row) in sums.iter_mut().zip(tile.rows) {
            *sums = step.start(simd, panel, row, &[]);
        }
        let (of_x, of_h) = tile.seen.split_at(step.x.depth() / UNROLL);
        step.panels.multiply_views(simd, (panel, 0), of_x, &mut sums);
        // x_h stays apart: r multiplies a_h alone.
        let mut bias = [zero; GATES];
        if let Some(values) = self.bias {
            for (gate, bias) in bias.iter_mut().enumerate() {
                *bias = load(simd, &values[gate * units + unit..][..of_panel]);
            }
        }
        let mut candidate = [zero; R];
        for (sums, candidate) in sums.iter_mut().zip(&mut candidate) {
            *candidate = sums[2];
            let before = [sums[0], sums[1], zero];
            for ((sum, before), bias) in sums.iter_mut().zip(before).zip(bias) {
                *sum = simd.add_f32s(before, bias);
            }
        }
        step.panels.multiply_views(simd, (panel, step.x.depth()), of_h, &mut sums);
        let rows = sums.into_iter().zip(candidate).zip(tile.rows).enumerate();
        for (r, (([z, r_gate, inner], x), &row)) in rows {
            if !step.is_unmasked(row) {
                continue;
            }
            let at = r * stride + unit;
            // The padding stays zero: an infinity times the zeros of the weights there would be
            // NaN.
            let h = &mut tile.h[at..at + of_panel];
            let before = load(simd, h);
            let (act, rec) = (self.op.activation, self.op.recurrent_activation);
            let sums = [z, r_gate];
            let [z, reset] = activate_two::<S, RARER>(simd, [rec; 2], sums);
            let candidate = simd.mul_add_e_f32s(reset, inner, x);
            let g = activate::<S, RARER>(simd, act, candidate);
            if !self.saved.is_empty() {
                let to = self.saved.row_mut(step.t, row);
                let values = [
                    kept::<_, RARER>(rec, sums[0], z),
                    kept::<_, RARER>(rec, sums[1], reset),
                    kept::<_, RARER>(act, candidate, g),
                    before,
                    inner,
                ];
                for (value, vector) in values.into_iter().enumerate() {
                    store(simd, &mut to[value * units + unit..][..of_panel], vector);
                }
            }
            let rest = simd.sub_f32s(simd.splat_f32s(1.0), z);
            let next = simd.mul_add_e_f32s(z, before, simd.mul_f32s(rest, g));
            store(simd, h, flush(simd, next));
        }
    }
}
