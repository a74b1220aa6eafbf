//! Where a step of an LSTM has its x from.

use super::{Options, padded};
use crate::kernels;
use crate::panels::{UNROLL, VECTORS, Views};
use rnn_graph::{Io, Signature};
use rnn_ops::{DropoutMatmul, Embedding, Lstm};

/// Bytes of W and U that the second cache of most processors holds beside all else.
const MOST_BYTES: usize = 1 << 20;

/// Whether each step makes its x, so that the x of all steps is nowhere held.
pub fn makes_steps(op: &Lstm, s: &Signature) -> bool {
    let Some(source) = op.source.as_ref().map(|source| source.op()) else { return false };
    let [features, columns] = [s.inputs[0].shape.last(), s.outputs[1].shape.last()];
    let rows = features + columns / VECTORS;
    let dropout = source.downcast::<DropoutMatmul>();
    // A gate is one view of x; a part of it would be several.
    let whole = dropout.is_none() || VECTORS.is_multiple_of(s.inputs[2].dims()[0]);
    source.downcast::<Embedding>().is_some()
        || whole && rows * columns * size_of::<f32>() <= MOST_BYTES
}

/// Where x `[steps, batch, 4 units]` comes from.
#[derive(Clone, Copy)]
pub enum X<'a> {
    /// It lies where the gates will be.
    Given,
    /// Rows of a table.
    Table { tokens: &'a [u32], rows: &'a [f32], width: usize },
    /// rows W + bias: the rows stand before h in what meets W and U.
    Product {
        /// `[steps, batch, features]`
        rows: &'a [f32],
        features: usize,
        w: &'a [f32],
        bias: Option<&'a [f32]>,
        /// `[1 or 4, batch, features]`
        dropout: Option<&'a [f32]>,
    },
}

impl<'a> X<'a> {
    /// That of a scan; where its steps do not make it, it is made first.
    pub fn of(op: &Lstm, io: &mut Io<'a, f32>) -> Self {
        let Some(source) = &op.source else { return Self::Given };
        if !makes_steps(op, io.signature) {
            source.make(io, 1, kernels::run);
            return Self::Given;
        }
        if source.op().downcast::<Embedding>().is_some() {
            return Self::Table { tokens: io.uints(0), rows: io.input(1), width: io.dims(1)[1] };
        }
        let dropout = source.op().downcast::<DropoutMatmul>();
        // Behind x, W and dropout's factors, if there are.
        let bias = 2 + usize::from(dropout.is_some());
        Self::Product {
            rows: io.input(0),
            features: io.signature.inputs[0].shape.last(),
            w: io.input(1),
            bias: (source.inputs() > bias).then(|| io.input(bias)),
            dropout: dropout.map(|_| io.input(2)),
        }
    }

    /// Floats before h in what meets W and U, those that pad them included.
    pub fn depth(&self) -> usize {
        match self {
            Self::Product { features, .. } => features.next_multiple_of(UNROLL),
            _ => 0,
        }
    }

    /// A row of W.
    pub fn weights(&self, k: usize, width: usize) -> Option<&'a [f32]> {
        match self {
            Self::Product { w, .. } => w.chunks_exact(width).nth(k),
            _ => None,
        }
    }

    /// What the gates of a row add up before the products; `given` is what lies in their place.
    #[inline(always)]
    pub fn start<'b>(&self, place: usize, given: &'b [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match *self {
            Self::Given => given,
            Self::Table { tokens, rows, width } => &rows[tokens[place] as usize * width..][..width],
            Self::Product { bias, .. } => bias.unwrap_or(&[]),
        }
    }

    /// What of x meets W.
    #[inline(always)]
    pub fn row(&self, place: usize) -> &'a [f32] {
        match *self {
            Self::Product { rows, features, .. } => &rows[place * features..][..features],
            _ => &[],
        }
    }

    /// Dropout's factors of x with its features, and those of h with the units.
    fn dropout(&self, options: &Options<'a>) -> [(Option<&'a [f32]>, usize); 2] {
        let of_x = match *self {
            Self::Product { features, dropout, .. } => (dropout, features),
            _ => (None, 0),
        };
        [of_x, (options.dropout, options.units)]
    }

    /// Views of what meets W and U: one for all gates, or one for each.
    pub(super) fn views(&self, options: &Options<'a>) -> usize {
        let of_gates = self.dropout(options).map(|(factors, width)| {
            factors.map_or(1, |factors| factors.len() / (options.batch * width.max(1)))
        });
        of_gates[0].max(of_gates[1])
    }

    /// By how much each view of rows from `first` on sees what meets W and U; nothing without
    /// dropout.
    pub(super) fn factors<const R: usize, const G: usize>(
        &self,
        options: &Options<'a>,
        first: usize,
    ) -> Vec<Views<R, G>> {
        let Options { batch, units, .. } = *options;
        let parts = self.dropout(options);
        if parts.iter().all(|(factors, _)| factors.is_none()) {
            return vec![];
        }
        let mut all = vec![[[[1.0; UNROLL]; R]; G]; (self.depth() + padded(units)) / UNROLL];
        for ((factors, width), begins) in parts.into_iter().zip([0, self.depth()]) {
            let Some(factors) = factors else { continue };
            let gates = factors.len() / (batch * width);
            for (view, r) in (0..G).flat_map(|view| (0..R).map(move |r| (view, r))) {
                let row = view * gates / G * batch + first + r;
                if first + r < batch {
                    for (k, &factor) in factors[row * width..][..width].iter().enumerate() {
                        all[(begins + k) / UNROLL][view][r][k % UNROLL] = factor;
                    }
                }
            }
        }
        all
    }
}
