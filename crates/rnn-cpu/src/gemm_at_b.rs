//! A^T B of tall A and B, as sums of outer products: the gradients of weights.

use crate::blocks::{Blocked, MIN_COLUMNS, run_blocked, vectors_of_panels};
use crate::packed::{AlignedBuf, PADDING, multiply_transposed};
use crate::prefetch::LINE;
use crate::simd::{load, load_whole, processor, store_whole};
use crate::vector::add;
use pulp::Simd;
use rayon::prelude::*;
use rnn_core::product::{Matrix, MatrixMut, Threads, multiply};
use std::ops::Range;

/// Rows per block, such that the caches hold it.
const BLOCK: usize = 128;
/// Rows per part, which one thread sums, until there are PARTS parts. Decided by the shape alone,
/// so that sums do not depend on the number of threads.
const PART: usize = 4096;
/// Maximum number of parts.
const PARTS: usize = 16;

/// The rows of the matrix A of [`sum_outer_products`], which may be computed on the fly. There may
/// be several views of A, such as A times each gate's dropout factors.
pub trait Rows: Sync {
    /// Returns the number of columns of A.
    fn width(&self) -> usize;

    /// Returns the number of views of A. The columns of B are divided into as many groups of equal
    /// width, and each group is multiplied by its view.
    fn views(&self) -> usize {
        1
    }

    /// Copies the rows `rows` of a view to `to`, one row every `stride` floats.
    fn gather(&self, view: usize, rows: Range<usize>, to: &mut [f32], stride: usize);

    /// Returns the memory that a range of rows is read from, for prefetching. An empty slice
    /// prefetches nothing.
    fn memory(&self, rows: Range<usize>) -> &[f32];
}

/// A row-major matrix A in memory: its elements, `[rows, columns]`, and the number of columns.
pub struct Plain<'a>(pub &'a [f32], pub usize);

impl Rows for Plain<'_> {
    fn width(&self) -> usize {
        self.1
    }

    fn gather(&self, _: usize, rows: Range<usize>, to: &mut [f32], stride: usize) {
        let rows = self.memory(rows).chunks_exact(self.1);
        to.chunks_mut(stride).zip(rows).for_each(|(to, row)| to[..row.len()].copy_from_slice(row));
    }

    fn memory(&self, rows: Range<usize>) -> &[f32] {
        &self.0[rows.start * self.1..rows.end * self.1]
    }
}

/// Computes out = A^T B, `[columns of A, n]`, where b holds B, `[rows, n]`, and A has as many rows.
/// If `sums` is given, it receives the sums of B's columns, `[n]`. The former values of `out` and
/// `sums` are overwritten.
///
/// Parts of the rows are summed in parallel, and the parts are then added in order, so that the
/// bits do not depend on the number of threads.
pub fn sum_outer_products(
    a: &impl Rows,
    (b, n): (&[f32], usize),
    out: &mut [f32],
    sums: Option<&mut [f32]>,
) {
    let (rows, m, (lanes, registers)) = (b.len() / n, a.width(), processor());
    // Of a view. A panel lies in one.
    let columns = n / a.views();
    let vectors = vectors_of_panels(m, columns, (lanes, registers));
    let few = n < MIN_COLUMNS && a.views() == 1;
    let wants_sums = sums.is_some();
    let per_part = rows.div_ceil(rows.div_ceil(PART).clamp(1, PARTS)).max(1);
    let parts: Vec<Range<usize>> =
        (0..rows).step_by(per_part).map(|first| first..rows.min(first + per_part)).collect();
    let parts: Vec<PartialSums> = parts
        .into_par_iter()
        .map(|rows| match few {
            true => sum_few(a, (b, n), rows, wants_sums),
            false => run_blocked(vectors, Sum { a, b, n, columns, rows, wants_sums }),
        })
        .collect();
    let width = if few { n } else { vectors * lanes };
    let packed = a.views() * columns.next_multiple_of(width);
    let depth = parts.first().map_or(0, |part| part.products.len() / packed);
    out.par_chunks_exact_mut(n).enumerate().take(m).for_each(|(row, out)| {
        out.fill(0.0);
        for part in &parts {
            for (panel, out) in panels_of(out, columns, width).enumerate() {
                add(out, &part.products[(panel * depth + row) * width..][..out.len()]);
            }
        }
    });
    if let Some(sums) = sums {
        sums.fill(0.0);
        for part in &parts {
            panels_of(sums, columns, width).zip(part.sums.chunks(width)).for_each(
                |(sums, part)| {
                    let count = sums.len();
                    add(sums, &part[..count]);
                },
            );
        }
    }
}

/// Splits a row into panels of `width` columns, none of which spans two views.
fn panels_of(row: &mut [f32], columns: usize, width: usize) -> impl Iterator<Item = &mut [f32]> {
    row.chunks_mut(columns).flat_map(move |view| view.chunks_mut(width))
}

/// The sums of one thread.
struct PartialSums {
    /// `[panels, depth, vectors]`, where depth is the columns of A, padded to whole blocks.
    products: Vec<f32>,
    /// The sums of B's columns, if requested.
    sums: Vec<f32>,
}

fn sum_few(
    a: &impl Rows,
    (b, n): (&[f32], usize),
    rows: Range<usize>,
    wants_sums: bool,
) -> PartialSums {
    let m = a.width();
    let (mut products, mut left) = (vec![0.0; m * n], vec![0.0; BLOCK * m]);
    let mut sums = vec![0.0; if wants_sums { n } else { 0 }];
    for first in rows.clone().step_by(BLOCK) {
        let count = BLOCK.min(rows.end - first);
        a.gather(0, first..first + count, &mut left, m);
        let b = &b[first * n..(first + count) * n];
        let product = (Matrix::column_major(&left, m), Matrix::row_major(b, n));
        multiply(
            MatrixMut::row_major(&mut products, n),
            true,
            product,
            (m, n, count),
            Threads::One,
        );
        b.chunks_exact(n).filter(|_| wants_sums).for_each(|row| add(&mut sums, row));
    }
    PartialSums { products, sums }
}

struct Sum<'a, A> {
    a: &'a A,
    b: &'a [f32],
    n: usize,
    /// Of a view.
    columns: usize,
    rows: Range<usize>,
    wants_sums: bool,
}

impl<A: Rows> Blocked for Sum<'_, A> {
    type Output = PartialSums;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> PartialSums {
        let Self { a, b, n, columns, rows, wants_sums } = self;
        let (depth, width) = (a.width().next_multiple_of(R), V * S::F32_LANES);
        let panels_of_view = columns.div_ceil(width);
        let panels = a.views() * panels_of_view;
        // Rows that do not all fall into the same sets of the cache.
        let stride = (depth.div_ceil(PADDING) | 1) * PADDING;
        let (mut left, mut right) = (AlignedBuf::default(), AlignedBuf::default());
        let (left, right) =
            (left.take(a.views() * BLOCK * stride), right.take(panels * BLOCK * width));
        let mut products = vec![0.0; panels * depth * width];
        let mut sums = vec![0.0; if wants_sums { panels * width } else { 0 }];
        let mut kept = Vec::with_capacity(BLOCK);
        for first in rows.clone().step_by(BLOCK) {
            let count = BLOCK.min(rows.end - first);
            // The data of the next block are prefetched while this one is multiplied.
            let next = first + count..rows.end.min(first + count + BLOCK);
            let memory = [&b[next.start * n..next.end * n], a.memory(next)];
            let mut fetched = memory.into_iter().flat_map(|memory| memory.chunks(count * LINE));
            for (view, left) in left.chunks_exact_mut(BLOCK * stride).enumerate() {
                a.gather(view, first..first + count, left, stride);
            }
            let b = &b[first * n..(first + count) * n];
            keep_terms(left, (a.width(), stride), (b, n), &mut kept);
            if kept.is_empty() {
                continue;
            }
            pack::<S, V>(simd, (b, n), &kept, columns, right);
            let count = kept.len();
            for (panel, products) in products.chunks_exact_mut(depth * width).enumerate() {
                let left = &left[panel / panels_of_view * BLOCK * stride..][..count * stride];
                let right = &right[panel * BLOCK * width..][..count * width];
                let right = bytemuck::cast_slice::<_, S::f32s>(right).as_chunks::<V>().0;
                if let Some(sums) = sums.get_mut(panel * width..(panel + 1) * width) {
                    add_columns::<S, V>(simd, right, sums);
                }
                for (i, sums) in products.chunks_exact_mut(R * width).enumerate() {
                    let (sums, _) =
                        bytemuck::cast_slice_mut::<_, S::f32s>(sums).as_chunks_mut::<V>();
                    if let Some(sums) = sums.first_chunk_mut::<R>() {
                        let left = &left[i * R..];
                        let next = fetched.next().unwrap_or(&[]);
                        multiply_transposed(simd, left, stride, right, next, sums);
                    }
                }
            }
        }
        PartialSums { products, sums }
    }
}

/// Writes to `kept` the indices of the rows of a block that may change a sum, and moves those rows
/// of each view of A to the front. The others are rows of zeros of B, such as the gradients of
/// masked steps, whose row of A is finite: an infinity or NaN times zero would be NaN.
///
/// `left` is A's, `[views, BLOCK, stride]`, of which `width` columns count; `b` is B's, `[rows, n]`.
fn keep_terms(
    left: &mut [f32],
    (width, stride): (usize, usize),
    (b, n): (&[f32], usize),
    kept: &mut Vec<usize>,
) {
    kept.clear();
    for (k, row) in b.chunks_exact(n).enumerate() {
        let are_finite = |view: &[f32]| max_bits(&view[k * stride..][..width]) < INFINITE;
        let mut chunks = row.chunks(BLOCK);
        let adds_zeros = chunks.all(|chunk| max_bits(chunk) == 0)
            && left.chunks_exact(BLOCK * stride).all(are_finite);
        if !adds_zeros {
            kept.push(k);
        }
    }
    if kept.len() < b.len() / n {
        for view in left.chunks_exact_mut(BLOCK * stride) {
            for (to, &from) in kept.iter().enumerate() {
                view.copy_within(from * stride..from * stride + width, to * stride);
            }
        }
    }
}

/// The bits of infinity; those of NaN without its sign are more.
const INFINITE: u32 = f32::INFINITY.to_bits();

/// Returns the largest of the bits of these floats without their signs, in the order of their
/// magnitudes: 0 if all are zero.
fn max_bits(floats: &[f32]) -> u32 {
    floats.iter().fold(0, |most, x| most.max(x.abs().to_bits()))
}

/// Packs the rows `kept` of b, `[rows, n]`, with `columns` columns per view, as `[panels, BLOCK,
/// vectors]`.
#[inline(always)]
fn pack<S: Simd, const V: usize>(
    simd: S,
    (b, n): (&[f32], usize),
    kept: &[usize],
    columns: usize,
    to: &mut [f32],
) {
    let (lanes, width) = (S::F32_LANES, V * S::F32_LANES);
    for (k, &row) in kept.iter().enumerate() {
        let row = &b[row * n..][..n];
        let panels = row.chunks(columns).flat_map(|view| view.chunks(width));
        for (panel, row) in panels.enumerate() {
            let to = &mut to[(panel * BLOCK + k) * width..][..width];
            if row.len() == width {
                for v in 0..V {
                    store_whole::<S>(&mut to[v * lanes..], load_whole::<S>(&row[v * lanes..]));
                }
            } else {
                for (to, row) in to.chunks_exact_mut(lanes).zip(row.chunks(lanes)) {
                    store_whole::<S>(to, load(simd, row));
                }
            }
        }
    }
}

#[inline(always)]
fn add_columns<S: Simd, const V: usize>(simd: S, rows: &[[S::f32s; V]], sums: &mut [f32]) {
    let sums = bytemuck::cast_slice_mut::<_, S::f32s>(sums);
    let Some(sums) = sums.first_chunk_mut::<V>() else { return };
    let mut total = *sums;
    for row in rows {
        for v in 0..V {
            total[v] = simd.add_f32s(total[v], row[v]);
        }
    }
    *sums = total;
}
