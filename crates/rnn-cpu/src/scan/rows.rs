//! Which thread runs which rows of a batch through all steps, and where it writes them.

use super::{ScanOptions, rows_per_tile};
use crate::simd::processor;
use rayon::prelude::*;

/// A row of a batch, as one of those that a thread owns.
#[derive(Clone, Copy)]
pub struct Row {
    /// Index in the batch.
    pub index: usize,
    /// Index among the thread's rows in the order of the batch, by which [`ThreadRows`] finds it.
    pub slot: usize,
}

/// Division of a batch among threads, and of a thread's rows among tiles. The result of a row does
/// not depend on it.
///
/// A tile takes no part in steps at which all of its rows are masked. With a mask, rows that begin
/// and end at like steps therefore share a tile, and the tiles are dealt to the threads in turn.
pub struct RowSplit {
    /// Floats per vector.
    pub lanes: usize,
    batch: usize,
    /// For each thread its rows, tile by tile.
    threads: Vec<Vec<Row>>,
    /// With a mask, the thread of each row of the batch; else empty, and each thread owns a range
    /// of rows.
    thread_of: Vec<usize>,
}

impl RowSplit {
    pub fn of(options: &ScanOptions<'_>) -> Self {
        let (lanes, registers) = processor();
        let (batch, tile) = (options.batch, rows_per_tile(registers));
        let most = rayon::current_num_threads();
        let Some(mask) = options.mask else {
            let per_thread = batch.div_ceil(most).next_multiple_of(tile);
            let range = |first: usize| {
                let rows = first..batch.min(first + per_thread);
                rows.map(|index| Row { index, slot: index - first }).collect()
            };
            let threads = (0..batch).step_by(per_thread.max(1)).map(range).collect();
            return Self { lanes, batch, threads, thread_of: vec![] };
        };
        let order = by_span(mask, batch);
        let count = batch.div_ceil(tile).min(most);
        let mut thread_of = vec![0; batch];
        for (i, rows) in order.chunks(tile).enumerate() {
            // To and fro, because tiles of one end are longer than those of the other.
            let turn = i % (2 * count);
            rows.iter().for_each(|&row| thread_of[row] = turn.min(2 * count - 1 - turn));
        }
        let mut slots = vec![0; batch];
        let mut owned = vec![0; count];
        for (slot, &thread) in slots.iter_mut().zip(&thread_of) {
            *slot = owned[thread];
            owned[thread] += 1;
        }
        let mut threads = vec![vec![]; count];
        for &index in &order {
            threads[thread_of[index]].push(Row { index, slot: slots[index] });
        }
        Self { lanes, batch, threads, thread_of }
    }

    /// Divides a tensor `[steps, batch, width]`, or an empty one, among the threads.
    pub fn split<'a>(&self, data: &'a mut [f32], width: usize) -> Vec<ThreadRows<'a>> {
        let apart = !self.thread_of.is_empty();
        let of_thread = |rows: &Vec<Row>| {
            let slices_per_step = if apart { rows.len() } else { 1 };
            ThreadRows { slices: vec![], slices_per_step, width }
        };
        let mut all: Vec<ThreadRows<'a>> = self.threads.iter().map(of_thread).collect();
        for step in data.chunks_exact_mut((self.batch * width).max(1)) {
            if apart {
                for (row, &thread) in step.chunks_exact_mut(width).zip(&self.thread_of) {
                    all[thread].slices.push(row);
                }
                continue;
            }
            let per_thread = self.threads.first().map_or(1, Vec::len) * width;
            for (of_thread, rows) in all.iter_mut().zip(step.chunks_mut(per_thread)) {
                of_thread.slices.push(rows);
            }
        }
        all
    }

    /// Returns the rows of each thread, for as many parallel tasks.
    pub fn threads(&self) -> impl IndexedParallelIterator<Item = &[Row]> {
        self.threads.par_iter().map(Vec::as_slice)
    }
}

/// Returns the rows of a batch in the order of their first unmasked step, then of their last.
fn by_span(mask: &[u32], batch: usize) -> Vec<usize> {
    let mut spans = vec![(usize::MAX, 0); batch];
    for (t, step) in mask.chunks_exact(batch.max(1)).enumerate() {
        for ((first, last), &unmasked) in spans.iter_mut().zip(step) {
            if unmasked != 0 {
                *first = t.min(*first);
                *last = t;
            }
        }
    }
    let mut order: Vec<usize> = (0..batch).collect();
    order.sort_by_key(|&row| spans[row]);
    order
}

/// The rows of a tensor `[steps, batch, width]` that one thread owns. Empty if nobody reads the
/// tensor.
pub struct ThreadRows<'a> {
    /// For each step all rows at once, or each row by itself.
    slices: Vec<&'a mut [f32]>,
    slices_per_step: usize,
    width: usize,
}

impl ThreadRows<'_> {
    /// Returns true if nobody reads the tensor.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    #[inline(always)]
    fn place(&self, t: usize, slot: usize) -> (usize, std::ops::Range<usize>) {
        match self.slices_per_step {
            1 => (t, slot * self.width..(slot + 1) * self.width),
            _ => (t * self.slices_per_step + slot, 0..self.width),
        }
    }

    /// Returns a row at a step; empty if there is no such step.
    #[inline(always)]
    pub fn row(&self, t: usize, row: Row) -> &[f32] {
        let (slice, range) = self.place(t, row.slot);
        self.slices.get(slice).map_or(&[], |slice| &slice[range])
    }

    /// Returns a row at a step to write; empty if there is no such step.
    #[inline(always)]
    pub fn row_mut(&mut self, t: usize, row: Row) -> &mut [f32] {
        let (slice, range) = self.place(t, row.slot);
        self.slices.get_mut(slice).map_or(&mut [], |slice| &mut slice[range])
    }

    /// Copies rows at a step into rows of `stride` floats; beyond them are zeros.
    pub fn padded(&self, t: usize, rows: &[Row], count: usize, stride: usize) -> Vec<f32> {
        let mut padded = vec![0.0; count * stride];
        for (to, &row) in padded.chunks_exact_mut(stride).zip(rows) {
            let from = self.row(t, row);
            to[..from.len()].copy_from_slice(from);
        }
        padded
    }

    /// Writes rows at a step from rows of `stride` floats, whose padding is left out.
    #[inline(always)]
    pub fn store(&mut self, t: usize, rows: &[Row], from: &[f32], stride: usize) {
        for (from, &row) in from.chunks_exact(stride).zip(rows) {
            let to = self.row_mut(t, row);
            to.copy_from_slice(&from[..to.len()]);
        }
    }
}
