//! Recurrent layers over whole sequences. Rows of a batch are independent, so each thread runs a
//! group of rows through all steps without waiting for another. Within a group it runs tiles of a
//! few rows, whose sums stay in registers.

mod forward;
pub mod fusion;
pub mod gru;
pub mod input_projection;
pub mod lstm;
pub mod lstm_backward;
mod rows;
pub mod simple_rnn;

use crate::packed::PADDING;
use crate::simd::dispatch;
use pulp::{Simd, WithSimd};
use rows::Row;

/// Rows per tile with 32 vector registers: the sums of a tile, a panel's row and one broadcast
/// element take all registers.
const MAX_ROWS: usize = 6;
/// Rows per tile with fewer registers.
const MIN_ROWS: usize = 3;

const fn rows_per_tile(registers: usize) -> usize {
    if registers >= 32 { MAX_ROWS } else { MIN_ROWS }
}

/// The work of one thread, on tiles of R rows.
trait TileTask {
    fn run<S: Simd, const R: usize>(self, simd: S);
}

/// Runs the work with the R that fits the processor at hand.
fn run_tiled(work: impl TileTask) {
    struct Work<T>(T);
    impl<T: TileTask> WithSimd for Work<T> {
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

/// Splits `data`, `[steps, batch, width]`, into groups of batch rows. Returns one slice per step
/// for each group. `per_step` is the number of floats of a step, and `per_group` the number of
/// floats of a group in a step. The lists of slices are empty if `data` is empty.
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
struct ScanOptions<'a> {
    batch: usize,
    units: usize,
    /// Mask `[steps, batch]`.
    mask: Option<&'a [u32]>,
    /// Dropout factors of h for each gate, `[gates, batch, units]`.
    dropout: Option<&'a [f32]>,
}

impl ScanOptions<'_> {
    fn is_unmasked(&self, t: usize, row: usize) -> bool {
        self.mask.is_none_or(|mask| mask[t * self.batch + row] != 0)
    }

    /// Returns true if one of the rows takes part in step `t`. If none does, nothing is computed.
    fn any_unmasked(&self, t: usize, rows: &[Row]) -> bool {
        rows.iter().any(|row| self.is_unmasked(t, row.index))
    }

    /// Returns the factors of some rows, each row padded: `[gates, count, stride]`; empty without
    /// dropout.
    fn factors(&self, gates: usize, rows: &[Row], count: usize, stride: usize) -> Vec<f32> {
        let Some(dropout) = self.dropout else { return vec![] };
        let mut padded = vec![0.0; gates * count * stride];
        for (i, to) in padded.chunks_exact_mut(stride).enumerate() {
            if let Some(row) = rows.get(i % count) {
                let from = (i / count * self.batch + row.index) * self.units;
                to[..self.units].copy_from_slice(&dropout[from..from + self.units]);
            }
        }
        padded
    }
}

/// Returns the units of a row, padded for vectors.
fn padded(units: usize) -> usize {
    units.next_multiple_of(PADDING)
}
