use super::rows::Row;
use super::{ScanOptions, padded};
use crate::packed::{UNROLL, Views};
use rnn_graph::Io;

/// The source of a recurrent layer's x, the input projection x W + b, `[steps, batch, gates
/// units]`.
#[derive(Clone, Copy)]
pub enum InputProjection<'a> {
    /// Stored in the output that the scan overwrites.
    InPlace,
    /// Stored as a tensor `[steps, batch, width]`; `width` is gates times units.
    Stored { x: &'a [f32], width: usize },
    /// Rows of a table `[vocabulary, width]` of x W + b, chosen by `tokens`, `[steps, batch]`;
    /// `width` is gates times units.
    Table { tokens: &'a [u32], rows: &'a [f32], width: usize },
    /// rows W + bias, computed in each step; `rows` precede h in the left factors.
    Product {
        /// `[steps, batch, features]`
        rows: &'a [f32],
        features: usize,
        w: &'a [f32],
        bias: Option<&'a [f32]>,
        /// `[1 or gates, batch, features]`
        dropout: Option<&'a [f32]>,
    },
}

impl<'a> InputProjection<'a> {
    /// Returns the source of a scan whose first input is x.
    pub fn stored(io: &Io<'a, f32>) -> Self {
        Self::Stored { x: io.input(0), width: io.signature.inputs[0].shape.last() }
    }

    /// Returns the number of floats, padded, that precede h in the left factors: the features if x
    /// is computed as a product, else 0.
    pub fn depth(&self) -> usize {
        match self {
            Self::Product { features, .. } => features.next_multiple_of(UNROLL),
            _ => 0,
        }
    }

    /// Returns row `k` of W, of `width` floats; `None` if x is not computed as a product, or there
    /// is no such row.
    pub fn weights(&self, k: usize, width: usize) -> Option<&'a [f32]> {
        match self {
            Self::Product { w, .. } => w.chunks_exact(width).nth(k),
            _ => None,
        }
    }

    /// Returns the initial values of the pre-activations of the row `place` of `[steps, batch]`:
    /// the stored x, which is `in_place` if the scan overwrites it; the token's row of the table;
    /// or the bias of the product, empty without one.
    #[inline(always)]
    pub fn start<'b>(&self, place: usize, in_place: &'b [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match *self {
            Self::InPlace => in_place,
            Self::Stored { x, width } => &x[place * width..][..width],
            Self::Table { tokens, rows, width } => &rows[tokens[place] as usize * width..][..width],
            Self::Product { bias, .. } => bias.unwrap_or(&[]),
        }
    }

    /// Returns the input row that is multiplied with W at the row `place` of `[steps, batch]`;
    /// empty if x is not computed as a product.
    #[inline(always)]
    pub fn row(&self, place: usize) -> &'a [f32] {
        match *self {
            Self::Product { rows, features, .. } => &rows[place * features..][..features],
            _ => &[],
        }
    }

    /// Returns the dropout factors of the input row `row` of the batch, one for each feature, if
    /// all gates share them: the first `[batch, features]` of the factors. `None` without dropout,
    /// or if x is not computed as a product.
    #[inline(always)]
    pub fn row_factors(&self, row: usize) -> Option<&'a [f32]> {
        match *self {
            Self::Product { features, dropout, .. } => {
                dropout.map(|factors| &factors[row * features..][..features])
            }
            _ => None,
        }
    }

    /// Returns the dropout factors of the input with its features, and those of h with the units.
    fn dropout(&self, options: &ScanOptions<'a>) -> [(Option<&'a [f32]>, usize); 2] {
        let of_x = match *self {
            Self::Product { features, dropout, .. } => (dropout, features),
            _ => (None, 0),
        };
        [of_x, (options.dropout, options.units)]
    }

    /// Returns the number of views of the left factors: one for all gates, or one for each.
    pub(super) fn views(&self, options: &ScanOptions<'a>) -> usize {
        let of_gates = self.dropout(options).map(|(factors, width)| {
            factors.map_or(1, |factors| factors.len() / (options.batch * width.max(1)))
        });
        of_gates[0].max(of_gates[1])
    }

    /// Returns the dropout factors of the left factors of a tile's rows, at most R; empty without
    /// dropout.
    pub(super) fn factors<const R: usize, const G: usize>(
        &self,
        options: &ScanOptions<'a>,
        rows: &[Row],
    ) -> Vec<Views<R, G>> {
        let ScanOptions { batch, units, .. } = *options;
        let parts = self.dropout(options);
        if parts.iter().all(|(factors, _)| factors.is_none()) {
            return vec![];
        }
        let mut all = vec![[[[1.0; UNROLL]; R]; G]; (self.depth() + padded(units)) / UNROLL];
        for ((factors, width), begins) in parts.into_iter().zip([0, self.depth()]) {
            let Some(factors) = factors else { continue };
            let gates = factors.len() / (batch * width);
            for (view, (r, row)) in
                (0..G).flat_map(|view| rows.iter().enumerate().map(move |row| (view, row)))
            {
                let row = view * gates / G * batch + row.index;
                for (k, &factor) in factors[row * width..][..width].iter().enumerate() {
                    all[(begins + k) / UNROLL][view][r][k % UNROLL] = factor;
                }
            }
        }
        all
    }
}
