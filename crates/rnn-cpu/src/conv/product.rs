use super::Geometry;
use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::winograd::{Kernel, Scratch as Tiles, Tiling};
use rayon::prelude::*;
use std::ops::Range;

/// Columns of rows of `stride` numbers.
#[derive(Clone, Copy)]
pub(crate) struct GateColumns {
    pub first: usize,
    pub count: usize,
    pub stride: usize,
}

impl GateColumns {
    /// The whole rows.
    pub fn all(stride: usize) -> Self {
        Self { first: 0, count: stride, stride }
    }

    /// Those of one of four gates.
    pub fn gate(self, gate: usize) -> Self {
        let count = self.stride / 4;
        Self { first: gate * count, count, ..self }
    }
}

/// What one thread works in: rows of what windows see, or of gradients, and transforms of tiles.
#[derive(Default)]
pub(crate) struct Scratch {
    seen: Vec<f32>,
    rows: Vec<f32>,
    tiles: Tiles,
}

/// What windows see of x, times taps `[taps, channels, ..]` of which some columns are filters.
pub(crate) enum Product<'a> {
    Rows { geometry: Geometry, taps: &'a [f32], columns: GateColumns },
    Tiles(Kernel),
}

impl<'a> Product<'a> {
    pub fn new(geometry: Geometry, taps: &'a [f32], columns: GateColumns) -> Self {
        match Tiling::of(&geometry, columns.count) {
            Some(tiling) => Self::Tiles(Kernel::new(tiling, taps, geometry.channels, columns)),
            None => Self::Rows { geometry, taps, columns },
        }
    }

    /// The windows in parts, of which a thread takes one at a time.
    pub fn parts(&self) -> Vec<Range<usize>> {
        match self {
            Self::Tiles(kernel) => kernel.parts(),
            Self::Rows { geometry, .. } => {
                let (all, rows) = (geometry.targets.len(), geometry.rows_per_part());
                (0..all).step_by(rows).map(|first| first..all.min(first + rows)).collect()
            }
        }
    }

    /// Adds the product of a part to some columns of its pixels.
    pub fn add(
        &self,
        x: &[f32],
        part: Range<usize>,
        (out, to): (&mut [f32], GateColumns),
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Tiles(kernel) => {
                let from = GateColumns::all(kernel.channels());
                kernel.add((x, from), part, (out, to), &mut scratch.tiles);
            }
            Self::Rows { geometry, taps, columns } => {
                let width = geometry.width();
                scratch.seen.resize(part.len() * width, 0.0);
                geometry.unfold(x, part.start, &mut scratch.seen);
                let right = Matrix::row_major(&taps[columns.first..], columns.stride);
                let product = (Matrix::row_major(&scratch.seen, width), right);
                let out = MatrixMut { data: &mut out[to.first..], row_stride: to.stride };
                multiply(out, true, product, (part.len(), to.count, width), Threads::One);
            }
        }
    }
}

/// Consecutive parts of `data`, which has so many numbers for each of what the parts count.
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

/// The transpose of a [`Product`]: from gradients of the filters to those of what windows see.
pub(crate) enum Transposed<'a> {
    Items { geometry: Geometry, taps: &'a [f32], columns: GateColumns },
    Tiles { geometry: Geometry, kernel: Kernel, columns: GateColumns },
}

impl<'a> Transposed<'a> {
    pub fn new(geometry: Geometry, taps: &'a [f32], columns: GateColumns) -> Self {
        match Tiling::of(&geometry, columns.count) {
            None => Self::Items { geometry, taps, columns },
            Some(tiling) => {
                let kernel = Kernel::reversed(tiling, taps, geometry.channels, columns);
                Self::Tiles { geometry, kernel, columns }
            }
        }
    }

    /// Writes dx of the items that take part, and leaves that of the others.
    pub fn write(&self, dy: &[f32], dx: &mut [f32], takes_part: impl Fn(usize) -> bool + Sync) {
        match self {
            // Items do not share pixels, so that each thread takes items of its own.
            Self::Items { geometry, taps, columns } => {
                let items = geometry.items(dx).into_par_iter().enumerate();
                let items = items.filter(|(item, _)| takes_part(*item));
                items.for_each_init(Scratch::default, |scratch, (item, mut slices)| {
                    slices.iter_mut().for_each(|slice| slice.fill(0.0));
                    add_item(geometry, (dy, taps, *columns), item, &mut slices, scratch);
                });
            }
            Self::Tiles { geometry, kernel, columns } => {
                let parts = kernel.parts();
                let to = GateColumns::all(geometry.channels);
                let pixels = split(dx, to.stride, &parts).into_par_iter().zip(parts);
                let pixels =
                    pixels.filter(|(_, part)| takes_part(geometry.source.place(part.start).0));
                pixels.for_each_init(Tiles::default, |scratch, (dx, part)| {
                    dx.fill(0.0);
                    kernel.add((dy, *columns), part, (dx, to), scratch);
                });
            }
        }
    }
}

/// Adds dy W^T of the windows over one item to what they see of it, of some columns of both.
fn add_item(
    geometry: &Geometry,
    (dy, w, columns): (&[f32], &[f32], GateColumns),
    item: usize,
    slices: &mut [&mut [f32]],
    scratch: &mut Scratch,
) {
    let width = geometry.width();
    let [depth, height, across] = geometry.targets.extents;
    let slices_of_item = (0..depth).map(|d| geometry.targets.at(item, [d, 0, 0]));
    let all: Vec<usize> = slices_of_item.flat_map(|first| first..first + height * across).collect();
    let GateColumns { first, count: terms, stride } = columns;
    for targets in all.chunks(geometry.rows_per_part()) {
        // The rows of an item need not follow each other; here they do.
        let Scratch { seen: left, rows: out, .. } = &mut *scratch;
        left.clear();
        for target in targets {
            left.extend_from_slice(&dy[target * stride + first..][..terms]);
        }
        out.resize(targets.len() * width, 0.0);
        let right = Matrix::column_major(&w[first..], stride);
        let product = (Matrix::row_major(left, terms), right);
        let extents = (targets.len(), width, terms);
        multiply(MatrixMut::row_major(out, width), false, product, extents, Threads::One);
        geometry.fold(out, targets, slices);
    }
}
