//! Recurrent layers over whole sequences. Rows of a batch do not depend on each other, so each
//! thread takes a group of rows through all steps without waiting for another; within a group a
//! few rows at a time, whose sums stay in registers.

pub mod lstm;
pub mod lstm_backward;
pub mod producer;
pub mod simple_rnn;

use crate::packed::PADDING;
use crate::simd::{dispatch, processor};
use pulp::{Simd, WithSimd};

/// Rows to a tile, by the processor's vector registers: the sums of a tile, a row of a panel and
/// one number take them all.
const MAX_ROWS: usize = 6;
const MIN_ROWS: usize = 3;

const fn rows_per_tile(registers: usize) -> usize {
    if registers >= 32 { MAX_ROWS } else { MIN_ROWS }
}

/// What one thread does with tiles of R rows.
trait Tiled {
    fn run<S: Simd, const R: usize>(self, simd: S);
}

/// Runs it with the rows that fit the processor at hand.
fn run_tiled(work: impl Tiled) {
    struct Work<T>(T);
    impl<T: Tiled> WithSimd for Work<T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            match rows_per_tile(S::REGISTER_COUNT) {
                MAX_ROWS => self.0.run::<S, MAX_ROWS>(simd),
                _ => self.0.run::<S, MIN_ROWS>(simd),
            }
        }
    }
    dispatch(Work(work))
}

/// How a batch is divided, on this processor. What a row comes to does not depend on it.
#[derive(Clone, Copy)]
struct RowSplit {
    /// Floats of a vector.
    lanes: usize,
    /// Rows of the batch to a thread.
    rows: usize,
}

impl RowSplit {
    fn of(batch: usize) -> Self {
        let (lanes, registers) = processor();
        let tile = rows_per_tile(registers);
        let rows = batch.div_ceil(rayon::current_num_threads()).next_multiple_of(tile);
        Self { lanes, rows }
    }
}

/// `[steps, batch, width]` as, for each group of rows, one slice a step; no slices of nothing.
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

/// Mask and dropout of a scan.
#[derive(Clone, Copy)]
struct Options<'a> {
    batch: usize,
    units: usize,
    /// `[steps, batch]`.
    mask: Option<&'a [u32]>,
    /// By how much each gate sees each unit, `[gates, batch, units]`.
    dropout: Option<&'a [f32]>,
}

impl Options<'_> {
    fn is_unmasked(&self, t: usize, row: usize) -> bool {
        self.mask.is_none_or(|mask| mask[t * self.batch + row] != 0)
    }

    /// The factors of some rows, each row padded: `[gates, rows, stride]`; nothing without dropout.
    fn factors(&self, gates: usize, first: usize, rows: usize, stride: usize) -> Vec<f32> {
        let Some(dropout) = self.dropout else { return vec![] };
        let mut padded = vec![0.0; gates * rows * stride];
        for (i, to) in padded.chunks_exact_mut(stride).enumerate() {
            let (gate, row) = (i / rows, first + i % rows);
            if row < self.batch {
                let from = (gate * self.batch + row) * self.units;
                to[..self.units].copy_from_slice(&dropout[from..from + self.units]);
            }
        }
        padded
    }
}

/// Units of a row, with what vectors need behind them.
fn padded(units: usize) -> usize {
    units.next_multiple_of(PADDING)
}

/// Rows of `units` with zeros behind each, and behind the last as many rows of zeros as a tile
/// lacks.
fn pad_rows(from: &[f32], units: usize, rows: usize, stride: usize) -> Vec<f32> {
    let mut padded = vec![0.0; rows * stride];
    for (to, from) in padded.chunks_exact_mut(stride).zip(from.chunks_exact(units)) {
        to[..units].copy_from_slice(from);
    }
    padded
}

/// The reverse of [`pad_rows`].
fn unpad_rows(from: &[f32], stride: usize, to: &mut [f32], units: usize) {
    for (to, from) in to.chunks_exact_mut(units).zip(from.chunks_exact(stride)) {
        to.copy_from_slice(&from[..units]);
    }
}
