//! Products of recurrent cells by gemm. Rows of a batch are independent, so each thread runs a
//! group of rows through all steps without waiting for another.

use crate::vector::{add, flush, scale_by};
use rnn_core::product::{Matrix, MatrixMut, Threads, multiply};

/// Returns the number of batch rows per group: a quarter of the batch, but at least 8 or the whole
/// batch. It does not depend on the number of threads, so neither do the results.
pub(crate) fn rows_per_group(batch: usize) -> usize {
    batch.div_ceil(4).max(8).min(batch.max(1))
}

/// The recurrent matrix U of a cell, or its transpose, with the mask and the dropout of the hidden
/// state h.
#[derive(Clone, Copy)]
pub(crate) struct Recurrence<'a> {
    /// U, `[hidden, columns]`, for [`Self::add_product`]; U^T, `[columns, hidden]`, for
    /// [`Self::carry_back`].
    pub matrix: &'a [f32],
    /// Number of hidden units.
    pub hidden: usize,
    /// Number of gates that this product computes.
    pub gates: usize,
    /// Number of columns of U: `hidden` for each of the cell's gates.
    pub columns: usize,
    /// Dropout factors of h, `[gates, batch, hidden]`; `None` without dropout.
    pub dropout: Option<&'a [f32]>,
    /// Batch size.
    pub batch: usize,
    /// Mask `[steps, batch]`, which is 0 where a row is masked at a step; `None` if no row is
    /// masked.
    pub mask: Option<&'a [u32]>,
}

impl Recurrence<'_> {
    /// Returns true if row `row` of the batch is unmasked at step `t`, or if there is no mask.
    pub fn is_unmasked(&self, t: usize, row: usize) -> bool {
        self.mask.is_none_or(|mask| mask[t * self.batch + row] != 0)
    }

    /// Returns the dropout factor of unit `unit` of h for a gate and a row of the batch; 1 without
    /// dropout.
    pub fn factor(&self, gate: usize, row: usize, unit: usize) -> f32 {
        self.dropout.map_or(1.0, |d| d[(gate * self.batch + row) * self.hidden + unit])
    }

    /// Returns a gate's dropout factors of some rows.
    fn factors(&self, dropout: &'_ [f32], gate: usize, row: usize, rows: usize) -> Vec<f32> {
        let from = (gate * self.batch + row) * self.hidden;
        dropout[from..from + rows * self.hidden].to_vec()
    }

    /// Computes z_g += (h d_g) U_g for all gates g, where d_g are the dropout factors of the gate.
    /// h is `[rows, hidden]`; z is `[rows, gates * hidden]`, whose rows begin every `z_stride`
    /// floats. `row` is the index in the batch of the first row.
    pub fn add_product(&self, z: &mut [f32], z_stride: usize, h: &[f32], row: usize) {
        let (hidden, columns) = (self.hidden, self.columns);
        let rows = h.len() / hidden;
        let Some(dropout) = self.dropout else {
            let product = (Matrix::row_major(h, hidden), Matrix::row_major(self.matrix, columns));
            let out = MatrixMut { data: z, row_stride: z_stride };
            let extents = (rows, self.gates * hidden, hidden);
            return multiply(out, true, product, extents, Threads::One);
        };
        for gate in 0..self.gates {
            let mut seen = self.factors(dropout, gate, row, rows);
            scale_by(&mut seen, h);
            let u = Matrix::row_major(&self.matrix[gate * hidden..], columns);
            let out = MatrixMut { data: &mut z[gate * hidden..], row_stride: z_stride };
            let product = (Matrix::row_major(&seen, hidden), u);
            multiply(out, true, product, (rows, hidden, hidden), Threads::One);
        }
    }

    /// Computes dh = sum over all gates g of d_g (dz_g U_g^T) for the rows that are unmasked at
    /// step t, where d_g are the dropout factors of the gate. dh of the other rows is unchanged. dh
    /// is `[rows, hidden]` and dz `[rows, columns]`; `row` is the index in the batch of the first
    /// row. `part` is a buffer of the length of dh, or of twice that with dropout.
    pub fn carry_back(
        &self,
        dh: &mut [f32],
        dz: &[f32],
        (t, row): (usize, usize),
        part: &mut [f32],
    ) {
        let (hidden, columns) = (self.hidden, self.columns);
        let rows = dh.len() / hidden;
        let (sum, part) = part.split_at_mut(dh.len());
        match self.dropout {
            None => {
                let product =
                    (Matrix::row_major(dz, columns), Matrix::row_major(self.matrix, hidden));
                let out = MatrixMut::row_major(sum, hidden);
                let extents = (rows, hidden, self.gates * hidden);
                multiply(out, false, product, extents, Threads::One);
            }
            Some(dropout) => {
                sum.fill(0.0);
                for gate in 0..self.gates {
                    let ut = Matrix::row_major(&self.matrix[gate * hidden * hidden..], hidden);
                    let product = (Matrix::row_major(&dz[gate * hidden..], columns), ut);
                    let out = MatrixMut::row_major(&mut part[..], hidden);
                    multiply(out, false, product, (rows, hidden, hidden), Threads::One);
                    scale_by(part, &self.factors(dropout, gate, row, rows));
                    add(sum, part);
                }
            }
        }
        let both = dh.chunks_exact_mut(hidden).zip(sum.chunks_exact(hidden));
        for (_, (dh, sum)) in both.enumerate().filter(|(i, _)| self.is_unmasked(t, row + i)) {
            dh.iter_mut().zip(sum).for_each(|(dh, sum)| *dh = flush(*sum));
        }
    }
}
