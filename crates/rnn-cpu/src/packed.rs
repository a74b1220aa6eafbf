//! Products of a few rows with a matrix that is used many times: the matrix is packed once into
//! panels that fit the registers, and the sums stay in registers.

use crate::prefetch::{LINE, prefetch};
use pulp::Simd;

/// Number of vectors per row of a panel of [`PackedMatrix::pack`]: one for each gate of an LSTM, or
/// four of consecutive columns.
pub const VECTORS: usize = 4;

/// Row lengths are padded to multiples of this number of floats. It is a multiple of the width of
/// every vector and of [`UNROLL`].
pub const PADDING: usize = 16;

/// Number of terms of a sum that are added between two checks of bounds.
pub const UNROLL: usize = 8;

/// A buffer of floats that begins at a cache line and grows on demand.
#[derive(Default)]
pub struct AlignedBuf(Vec<f32>);

impl AlignedBuf {
    /// Returns the first `len` floats. They keep their values from the last call, unless the buffer
    /// has to grow: then all floats become zero.
    pub fn take(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len + LINE {
            self.0 = vec![0.0; len + LINE];
        }
        let start = self.0.as_ptr().align_offset(64).min(LINE);
        &mut self.0[start..start + len]
    }
}

/// A matrix packed into panels of columns, `[panels, depth, vectors, lanes]`, which begin at a
/// cache line. `depth` is the number of rows of the matrix, and `lanes` the number of floats per
/// vector.
pub struct PackedMatrix {
    data: Vec<f32>,
    /// Index of the first cache line of `data`.
    start: usize,
    per_panel: usize,
}

impl PackedMatrix {
    /// Packs a matrix into panels of [`VECTORS`] vectors of `lanes` floats.
    ///
    /// `extents` are the number of the matrix's rows and the number of panels. `source(k)` returns
    /// row k, or `None` for a row of zeros. `columns(p, v)` returns the columns of vector v of
    /// panel p; a range shorter than `lanes` is padded with zeros.
    ///
    /// # Panics
    /// Panics if `columns` returns columns that a row does not have.
    pub fn pack<'a>(
        lanes: usize,
        extents: (usize, usize),
        source: impl Fn(usize) -> Option<&'a [f32]>,
        columns: impl Fn(usize, usize) -> std::ops::Range<usize>,
    ) -> Self {
        Self::pack_wide((lanes, VECTORS), extents, source, columns)
    }

    /// Packs a matrix as [`Self::pack`] does, into panels of `vectors` vectors.
    pub fn pack_wide<'a>(
        (lanes, vectors): (usize, usize),
        (depth, panels): (usize, usize),
        source: impl Fn(usize) -> Option<&'a [f32]>,
        columns: impl Fn(usize, usize) -> std::ops::Range<usize>,
    ) -> Self {
        let per_panel = depth * vectors * lanes;
        let mut data = vec![0.0; panels * per_panel + LINE];
        let start = data.as_ptr().align_offset(64).min(LINE);
        for (panel, packed) in data[start..].chunks_exact_mut(per_panel).take(panels).enumerate() {
            for (k, row) in packed.chunks_exact_mut(vectors * lanes).enumerate() {
                let Some(source) = source(k) else { continue };
                for (vector, to) in row.chunks_exact_mut(lanes).enumerate() {
                    let from = &source[columns(panel, vector)];
                    to[..from.len()].copy_from_slice(from);
                }
            }
        }
        Self { data, start, per_panel }
    }

    /// Returns one panel, as rows of vectors.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&self, panel: usize) -> &[[S::f32s; V]] {
        let from = self.start + panel * self.per_panel;
        bytemuck::cast_slice::<_, S::f32s>(&self.data[from..from + self.per_panel]).as_chunks().0
    }

    /// Adds to `sums[r]`, for each of R rows, the product of `left[r]` and the rows of panel `at.0`
    /// from row `at.1` on, as many as `left[0]` has floats. That number must be a multiple of
    /// [`UNROLL`].
    #[inline(always)]
    pub fn multiply<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        at: (usize, usize),
        left: [&[f32]; R],
        sums: &mut [[S::f32s; V]; R],
    ) {
        self.multiply_and_fetch(simd, at, left, None, sums);
    }

    /// Does what [`Self::multiply`] does, with `at` = (panel, from). Meanwhile it prefetches
    /// `next`, the left rows of the next call.
    ///
    /// It has loops and no closures: a closure that is not inlined is not compiled for the
    /// processor at hand.
    #[inline(always)]
    pub fn multiply_and_fetch<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        (panel, from): (usize, usize),
        left: [&[f32]; R],
        next: Option<[&[f32]; R]>,
        sums: &mut [[S::f32s; V]; R],
    ) {
        let depth = left[0].len();
        let right = self.panel::<S, V>(panel)[from..from + depth].as_chunks::<UNROLL>().0;
        let mut blocks: [&[[f32; UNROLL]]; R] = [&[]; R];
        for r in 0..R {
            blocks[r] = &left[r].as_chunks::<UNROLL>().0[..right.len()];
        }
        let mut z = *sums;
        for (i, right) in right.iter().enumerate() {
            if let Some(next) = next {
                // A cache line is several blocks long.
                for r in (i % (LINE / UNROLL)..R).step_by(LINE / UNROLL) {
                    prefetch(next[r], i * UNROLL);
                }
            }
            for k in 0..UNROLL {
                for r in 0..R {
                    let a = simd.splat_f32s(blocks[r][i][k]);
                    for v in 0..V {
                        z[r][v] = simd.mul_add_e_f32s(a, right[k][v], z[r][v]);
                    }
                }
            }
        }
        *sums = z;
    }

    /// Adds to `sums[r]`, for each of R rows, products with the rows of `panel` from row `from` on.
    /// Vector v of the panel is multiplied by view v % G of the left rows. `left` holds [`UNROLL`]
    /// floats of each row in each view per element, so that one pointer reaches all.
    #[inline(always)]
    pub fn multiply_views<S: Simd, const R: usize, const G: usize, const V: usize>(
        &self,
        simd: S,
        (panel, from): (usize, usize),
        left: &[Views<R, G>],
        sums: &mut [[S::f32s; V]; R],
    ) {
        let right = self.panel::<S, V>(panel)[from..].as_chunks::<UNROLL>().0;
        let mut z = *sums;
        for (left, right) in left.iter().zip(right) {
            for k in 0..UNROLL {
                for v in 0..V {
                    for r in 0..R {
                        let a = simd.splat_f32s(left[v % G][r][k]);
                        z[r][v] = simd.mul_add_e_f32s(a, right[k][v], z[r][v]);
                    }
                }
            }
        }
        *sums = z;
    }
}

/// Left factors of [`PackedMatrix::multiply_views`]: [`UNROLL`] floats of each of R rows in each of
/// G views. A view holds the rows times one gate's dropout factors.
pub type Views<const R: usize, const G: usize> = [[[f32; UNROLL]; R]; G];

/// Adds outer products to `sums`: for each k, `sums[r][v] += left[k * stride + r] * right[k][v]`,
/// for R values r and V vectors v. Meanwhile it prefetches `next`, one cache line for each k.
#[inline(always)]
pub fn multiply_transposed<S: Simd, const R: usize, const V: usize>(
    simd: S,
    left: &[f32],
    stride: usize,
    right: &[[S::f32s; V]],
    next: &[f32],
    sums: &mut [[S::f32s; V]; R],
) {
    let mut z = *sums;
    for (k, (left, right)) in left.chunks(stride).zip(right).enumerate() {
        let Some(left) = left.first_chunk::<R>() else { break };
        prefetch(next, k * LINE);
        for r in 0..R {
            let a = simd.splat_f32s(left[r]);
            for v in 0..V {
                z[r][v] = simd.mul_add_e_f32s(a, right[v], z[r][v]);
            }
        }
    }
    *sums = z;
}

/// Returns the first R rows of `data`, `[rows, stride]`. Rows that `data` does not have are empty.
///
/// # Panics
/// Panics if `stride` is 0.
#[inline(always)]
pub fn rows<const R: usize>(data: &[f32], stride: usize) -> [&[f32]; R] {
    let mut rows: [&[f32]; R] = [&[]; R];
    for (row, data) in rows.iter_mut().zip(data.chunks_exact(stride)) {
        *row = data;
    }
    rows
}
