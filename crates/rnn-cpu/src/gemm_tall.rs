//! Products of many rows, wherever they lie, with a matrix that is packed once.

use crate::blocks::{Blocked, run_blocked, vectors_of_panel};
use crate::geometry::GateColumns;
use crate::packed::{PackedMatrix, UNROLL};
use crate::simd::{activate, activate_each, load, processor, store};
use pulp::Simd;
use rnn_ops::Activation;

/// The left factor of a [`RowProduct`]: rows that consist of pieces of equal length, which may lie
/// anywhere in `data`. A row is what a window sees, with a piece for each tap, or a plain row of
/// one piece.
#[derive(Clone, Copy)]
pub struct GatheredRows<'a> {
    /// The memory of the pieces.
    pub data: &'a [f32],
    /// Index in `data` of the first float of each piece of each row, `[pieces, rows]`. An index
    /// beyond the end of `data` stands for a piece of zeros.
    pub starts: &'a [usize],
    /// Number of rows.
    pub rows: usize,
    /// Floats per piece, a multiple of [`UNROLL`].
    pub depth: usize,
}

/// The beginning and the end of a product: what its sums begin with, and the activation of its
/// results.
#[derive(Clone, Copy)]
pub struct Epilogue<'a> {
    /// Initial value of the sums.
    pub start: Start<'a>,
    /// Activation of the results.
    pub activation: Activation,
}

/// The initial value of the sums of a product.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// The present values of the output.
    Existing,
    /// A bias, equal in all rows; zero if `None`.
    Bias(Option<&'a [f32]>),
}

impl<'a> Epilogue<'a> {
    /// The epilogue of a product that is added to the present values of the output.
    pub const ADD: Self = Self { start: Start::Existing, activation: Activation::Linear };

    /// Returns the epilogue of activation(product + bias). The bias has one number per column; it
    /// is zero if `None`.
    pub fn new(bias: Option<&'a [f32]>, activation: Activation) -> Self {
        Self { start: Start::Bias(bias), activation }
    }

    /// Writes the initial values of the sums to the columns `to` of `out`, `[rows, to.stride]`. It
    /// is for kernels that only add to `out`.
    pub fn begin(&self, out: &mut [f32], to: GateColumns) {
        let Start::Bias(bias) = self.start else { return };
        for row in out.chunks_mut(to.stride) {
            let row = &mut row[to.first..to.first + to.count];
            match bias {
                Some(bias) => row.copy_from_slice(bias),
                None => row.fill(0.0),
            }
        }
    }

    /// Applies the activation to every element of `out`. It is for kernels that do not apply it.
    pub fn end(&self, out: &mut [f32]) {
        activate_each(self.activation, out);
    }
}

/// A matrix that is packed once as the right factor of many products.
pub struct RowProduct {
    panels: PackedMatrix,
    columns: usize,
    vectors: usize,
    zeros: Vec<f32>,
}

impl RowProduct {
    /// Packs a matrix with `depth` rows and `columns` columns; `row(k)` is row k, or `None` for a
    /// row of zeros.
    pub fn new<'a>(depth: usize, columns: usize, row: impl Fn(usize) -> Option<&'a [f32]>) -> Self {
        let depth = depth.next_multiple_of(UNROLL);
        let (lanes, _) = processor();
        let vectors = vectors_of_panel(columns, lanes);
        let count = columns.div_ceil(vectors * lanes);
        let panels =
            PackedMatrix::pack_wide((lanes, vectors), (depth, count), row, |panel, vector| {
                let first = (panel * vectors + vector) * lanes;
                columns.min(first)..columns.min(first + lanes)
            });
        Self { panels, columns, vectors, zeros: vec![0.0; depth] }
    }

    /// Computes the products of the rows `left` with the matrix, and writes them to the columns
    /// `to` of `out`, `[left.rows, to.stride]`. `to.count` must be the number of columns of the
    /// matrix. `epilogue` says what the sums begin with and which activation follows.
    pub fn put(
        &self,
        left: GatheredRows<'_>,
        epilogue: Epilogue<'_>,
        (out, to): (&mut [f32], GateColumns),
    ) {
        run_blocked(self.vectors, Put { right: self, left, epilogue, out, to });
    }
}

struct Put<'a> {
    right: &'a RowProduct,
    left: GatheredRows<'a>,
    epilogue: Epilogue<'a>,
    out: &'a mut [f32],
    to: GateColumns,
}

impl Blocked for Put<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Self { right: RowProduct { panels, columns, zeros, .. }, left, out, to, .. } = self;
        let Epilogue { start, activation } = self.epilogue;
        let GatheredRows { data, starts, rows, depth } = left;
        let (lanes, width) = (S::F32_LANES, V * S::F32_LANES);
        let zeros = &zeros[..depth];
        for panel in 0..columns.div_ceil(width) {
            let column = panel * width;
            let count = width.min(columns - column);
            for row in (0..rows).step_by(R) {
                let mut sums = [[simd.splat_f32s(0.0); V]; R];
                for (r, sums) in sums.iter_mut().enumerate().take(rows - row) {
                    let from = match start {
                        Start::Existing => &out[(row + r) * to.stride + to.first..][..*columns],
                        Start::Bias(Some(bias)) => bias,
                        Start::Bias(None) => break,
                    };
                    let from = from[column..column + count].chunks(lanes);
                    for (sum, from) in sums.iter_mut().zip(from) {
                        *sum = load(simd, from);
                    }
                }
                for (piece, starts) in starts.chunks_exact(rows).enumerate() {
                    let (left, any) = pieces::<R>(data, &starts[row..], zeros, depth);
                    if any {
                        let at = (panel, piece * depth);
                        let (next, _) = pieces(data, &starts[rows.min(row + R)..], &[], depth);
                        // The first panel multiplies rows that are in no cache yet.
                        let next = if panel == 0 { Some(next) } else { None };
                        panels.multiply_and_fetch(simd, at, left, next, &mut sums);
                    }
                }
                for (r, sums) in sums.iter().enumerate().take(rows - row) {
                    let out = &mut out[(row + r) * to.stride + to.first + column..][..count];
                    for (sum, out) in sums.iter().zip(out.chunks_mut(lanes)) {
                        store(simd, out, activate::<S, true>(simd, activation, *sum));
                    }
                }
            }
        }
    }
}

/// Returns R pieces that begin at `starts`, and whether any of them is not zero.
#[inline(always)]
fn pieces<'a, const R: usize>(
    data: &'a [f32],
    starts: &[usize],
    missing: &'a [f32],
    depth: usize,
) -> ([&'a [f32]; R], bool) {
    let (mut pieces, mut any) = ([missing; R], false);
    for (to, &start) in pieces.iter_mut().zip(starts) {
        if let Some(piece) = data.get(start..start.wrapping_add(depth)) {
            (*to, any) = (piece, true);
        }
    }
    (pieces, any)
}
