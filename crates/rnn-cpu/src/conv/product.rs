use crate::blocks::MIN_COLUMNS;
use crate::gemm_tall::{Epilogue, GatheredRows, RowProduct};
use crate::geometry::{GateColumns, Geometry};
use crate::packed::UNROLL;
use crate::winograd::{Kernel, Scratch as Tiles, Tiling};
use rayon::prelude::*;
use rnn_core::product::{Matrix, MatrixMut, Threads, multiply};
use rnn_ops::Activation;
use std::ops::Range;

/// Floats in the rows of a part: 256 KiB.
const PART: usize = 1 << 16;
/// Rows of a part are a multiple of this, and so of the rows of most register blocks.
const ROWS: usize = 24;

/// Buffers of one thread for [`ConvProduct::put`].
#[derive(Default)]
pub(crate) struct Scratch {
    starts: Vec<usize>,
    rows: Vec<f32>,
    tiles: Tiles,
}

/// A convolution without bias, or the gradient of its input, as a product with a packed or
/// transformed kernel that is used many times.
pub(crate) struct ConvProduct {
    /// Columns of the left factor that are multiplied.
    from: GateColumns,
    kind: Method,
}

enum Method {
    Rows(Box<WindowRows>),
    Tiles(Kernel),
}

impl ConvProduct {
    /// Prepares the convolution of `geometry`: packs or transforms `taps`, `[taps, channels,
    /// columns.stride]`. The filters are the columns `columns` of `taps`.
    pub fn new(geometry: Geometry, taps: &[f32], columns: GateColumns) -> Self {
        let kind = match Tiling::of(&geometry, columns.count) {
            Some(tiling) => Method::Tiles(Kernel::new(tiling, taps, geometry.channels, columns)),
            None => {
                let rows = taps.chunks_exact(columns.stride);
                let filters = rows.flat_map(|row| &row[columns.first..][..columns.count]);
                Method::Rows(
                    WindowRows::new(geometry, filters.copied().collect(), columns.count).into(),
                )
            }
        };
        Self { from: GateColumns::all(geometry.channels), kind }
    }

    /// Prepares the gradient of the input of a convolution, which [`Self::new`] would prepare from
    /// the same arguments. The product then maps the gradient of the output to that of the input:
    /// its x are the columns `columns` of the output's gradient, and its output pixels are the
    /// input's.
    pub fn transposed(geometry: Geometry, taps: &[f32], columns: GateColumns) -> Self {
        let channels = geometry.channels;
        let kind = match Tiling::of(&geometry, columns.count) {
            Some(tiling) => Method::Tiles(Kernel::reversed(tiling, taps, channels, columns)),
            None => {
                let mut matrix = Vec::with_capacity(geometry.width() * columns.count);
                for tap in taps.chunks_exact(channels * columns.stride) {
                    for filter in columns.first..columns.first + columns.count {
                        matrix.extend(tap.chunks_exact(columns.stride).map(|row| row[filter]));
                    }
                }
                Method::Rows(
                    WindowRows::new(geometry.reversed(columns.count), matrix, channels).into(),
                )
            }
        };
        Self { from: columns, kind }
    }

    /// Divides the output pixels into ranges of their indices, of a size that suits one task of a
    /// thread.
    pub fn parts(&self) -> Vec<Range<usize>> {
        match &self.kind {
            Method::Tiles(kernel) => kernel.parts(),
            Method::Rows(rows) => {
                let geometry = &rows.geometry;
                let all = geometry.targets.len();
                let rows = (PART / geometry.width()).max(1).next_multiple_of(ROWS);
                (0..all).step_by(rows).map(|first| first..all.min(first + rows)).collect()
            }
        }
    }

    /// Writes the product of x, `[pixels, channels]`, and the taps for the output pixels `part`,
    /// one of [`Self::parts`]. The products go to the columns `to` of `out`, `[part.len(),
    /// to.stride]`. `epilogue` says what the sums begin with and which activation follows; an
    /// activation other than linear needs `to` to be all columns. `scratch` holds buffers.
    pub fn put(
        &self,
        x: &[f32],
        part: Range<usize>,
        epilogue: Epilogue<'_>,
        (out, to): (&mut [f32], GateColumns),
        scratch: &mut Scratch,
    ) {
        match &self.kind {
            Method::Rows(rows) => rows.put((x, self.from), part, epilogue, (out, to), scratch),
            Method::Tiles(kernel) => {
                epilogue.begin(out, to);
                kernel.add((x, self.from), part, (&mut *out, to), &mut scratch.tiles);
                epilogue.end(out);
            }
        }
    }

    /// Writes the products of x, `[pixels, channels]`, and the taps to `out`, `[output pixels,
    /// each]`, on all threads. The floats of output pixels for whose index `is_unmasked` returns
    /// false keep their values.
    pub fn write(
        &self,
        x: &[f32],
        (out, each): (&mut [f32], usize),
        is_unmasked: impl Fn(usize) -> bool + Sync,
    ) {
        let parts = self.parts();
        let pixels = split(out, each, &parts).into_par_iter().zip(parts);
        pixels.for_each_init(Scratch::default, |scratch, (out, part)| {
            let spared: Vec<usize> = part.clone().filter(|&pixel| !is_unmasked(pixel)).collect();
            if spared.len() == part.len() {
                return;
            }
            let before = if spared.is_empty() { vec![] } else { out.to_vec() };
            let zeros = Epilogue::new(None, Activation::Linear);
            self.put(x, part.clone(), zeros, (&mut *out, GateColumns::all(each)), scratch);
            for pixel in spared {
                let at = (pixel - part.start) * each..(pixel - part.start + 1) * each;
                out[at.clone()].copy_from_slice(&before[at]);
            }
        });
    }
}

/// The product of what targets see, as rows, with a matrix.
struct WindowRows {
    geometry: Geometry,
    matrix: Right,
    columns: usize,
}

enum Right {
    Packed(RowProduct),
    Narrow(Vec<f32>),
}

impl WindowRows {
    fn new(geometry: Geometry, matrix: Vec<f32>, columns: usize) -> Self {
        let matrix = match columns < MIN_COLUMNS {
            true => Right::Narrow(matrix),
            false => Right::Packed(RowProduct::new(geometry.width(), columns, |row| {
                matrix.chunks_exact(columns).nth(row)
            })),
        };
        Self { geometry, matrix, columns }
    }

    fn put(
        &self,
        (x, from): (&[f32], GateColumns),
        part: Range<usize>,
        epilogue: Epilogue<'_>,
        (out, to): (&mut [f32], GateColumns),
        Scratch { starts, rows, .. }: &mut Scratch,
    ) {
        let (count, width) = (part.len(), self.geometry.width());
        match &self.matrix {
            // The pieces are multiplied where they lie.
            Right::Packed(matrix) if from.count.is_multiple_of(UNROLL) => {
                self.geometry.seen(part, from, starts);
                let left = GatheredRows { data: x, starts, rows: count, depth: from.count };
                matrix.put(left, epilogue, (out, to));
            }
            Right::Packed(matrix) => {
                let depth = width.next_multiple_of(UNROLL);
                rows.resize(count * depth, 0.0);
                self.geometry.gather((x, from), part, (rows, depth), starts);
                starts.clear();
                starts.extend((0..count).map(|row| row * depth));
                let left = GatheredRows { data: rows, starts, rows: count, depth };
                matrix.put(left, epilogue, (out, to));
            }
            Right::Narrow(matrix) => {
                rows.resize(count * width, 0.0);
                self.geometry.gather((x, from), part, (rows, width), starts);
                let product =
                    (Matrix::row_major(rows, width), Matrix::row_major(matrix, self.columns));
                epilogue.begin(out, to);
                let sums = MatrixMut { data: &mut out[to.first..], row_stride: to.stride };
                multiply(sums, true, product, (count, self.columns, width), Threads::One);
                epilogue.end(out);
            }
        }
    }
}

/// Splits `data`, `[items, each]`, into consecutive slices, one for each range of items in `parts`.
pub(crate) fn split<'a>(
    mut data: &'a mut [f32],
    each: usize,
    parts: &[Range<usize>],
) -> Vec<&'a mut [f32]> {
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        let (first, rest) = data.split_at_mut(part.len() * each);
        all.push(first);
        data = rest;
    }
    all
}
