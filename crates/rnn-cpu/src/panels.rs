//! Products of a few rows with a matrix that is used again and again: the matrix is packed once,
//! and the sums stay in registers.

use pulp::Simd;

/// Vectors to a panel: the four gates of an LSTM, or consecutive columns.
pub const VECTORS: usize = 4;

/// What lengths of rows are padded to: a multiple of any vector's width and of `UNROLL`.
pub const PADDING: usize = 16;

/// Terms of a sum whose bounds are checked together.
const UNROLL: usize = 8;

/// A matrix `[depth, ..]`, packed: for each panel of columns, for each of its rows, [`VECTORS`]
/// vectors.
pub struct Panels {
    data: Vec<f32>,
    /// Where the first cache line of `data` begins.
    start: usize,
    per_panel: usize,
}

impl Panels {
    /// Packs rows `source(k)`; the columns of vector v of panel p begin at `first(p, v)` and end at
    /// the latest at `end(v)`. What lies beyond is zero.
    pub fn pack<'a>(
        lanes: usize,
        (depth, panels): (usize, usize),
        source: impl Fn(usize) -> Option<&'a [f32]>,
        columns: impl Fn(usize, usize) -> std::ops::Range<usize>,
    ) -> Self {
        const LINE: usize = 64 / size_of::<f32>();
        let per_panel = depth * VECTORS * lanes;
        let mut data = vec![0.0; panels * per_panel + LINE];
        let start = data.as_ptr().align_offset(64).min(LINE);
        for (panel, packed) in data[start..].chunks_exact_mut(per_panel).take(panels).enumerate() {
            for (k, row) in packed.chunks_exact_mut(VECTORS * lanes).enumerate() {
                let Some(source) = source(k) else { continue };
                for (vector, to) in row.chunks_exact_mut(lanes).enumerate() {
                    let from = &source[columns(panel, vector)];
                    to[..from.len()].copy_from_slice(from);
                }
            }
        }
        Self { data, start, per_panel }
    }

    /// One panel, as vectors.
    #[inline(always)]
    fn panel<S: Simd>(&self, panel: usize) -> &[[S::f32s; VECTORS]] {
        let from = self.start + panel * self.per_panel;
        bytemuck::cast_slice::<_, S::f32s>(&self.data[from..from + self.per_panel]).as_chunks().0
    }

    /// Adds to the sums of R rows, `left[r]` of which meets the panel's rows from `from` on.
    ///
    /// Loops and no closures here: a closure that is not inlined is not compiled for the
    /// processor at hand.
    #[inline(always)]
    pub fn multiply<S: Simd, const R: usize>(
        &self,
        simd: S,
        (panel, from): (usize, usize),
        left: [&[f32]; R],
        sums: &mut [[S::f32s; VECTORS]; R],
    ) {
        let depth = left[0].len();
        let right = self.panel::<S>(panel)[from..from + depth].as_chunks::<UNROLL>().0;
        let mut blocks: [&[[f32; UNROLL]]; R] = [&[]; R];
        for r in 0..R {
            blocks[r] = &left[r].as_chunks::<UNROLL>().0[..right.len()];
        }
        let mut z = *sums;
        for (i, right) in right.iter().enumerate() {
            for k in 0..UNROLL {
                for r in 0..R {
                    let a = simd.splat_f32s(blocks[r][i][k]);
                    for v in 0..VECTORS {
                        z[r][v] = simd.mul_add_e_f32s(a, right[k][v], z[r][v]);
                    }
                }
            }
        }
        *sums = z;
    }

    /// The same where each vector of the panel sees rows of its own, as gates do through dropout.
    #[inline(always)]
    pub fn multiply_each<S: Simd, const R: usize>(
        &self,
        simd: S,
        panel: usize,
        left: [[&[f32]; R]; VECTORS],
        sums: &mut [[S::f32s; VECTORS]; R],
    ) {
        let depth = left[0][0].len();
        let right = self.panel::<S>(panel)[..depth].as_chunks::<UNROLL>().0;
        let mut blocks: [[&[[f32; UNROLL]]; R]; VECTORS] = [[&[]; R]; VECTORS];
        for v in 0..VECTORS {
            for r in 0..R {
                blocks[v][r] = &left[v][r].as_chunks::<UNROLL>().0[..right.len()];
            }
        }
        let mut z = *sums;
        for (i, right) in right.iter().enumerate() {
            for k in 0..UNROLL {
                for v in 0..VECTORS {
                    for r in 0..R {
                        let a = simd.splat_f32s(blocks[v][r][i][k]);
                        z[r][v] = simd.mul_add_e_f32s(a, right[k][v], z[r][v]);
                    }
                }
            }
        }
        *sums = z;
    }
}

/// R rows of a buffer, one behind the other.
#[inline(always)]
pub fn rows<const R: usize>(data: &[f32], stride: usize) -> [&[f32]; R] {
    let mut rows: [&[f32]; R] = [&[]; R];
    for (row, data) in rows.iter_mut().zip(data.chunks_exact(stride)) {
        *row = data;
    }
    rows
}
