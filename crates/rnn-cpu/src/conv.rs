//! Convolutions: what some windows see is laid out as rows, which a matrix product takes from there
//! while they are in the cache.

use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::vector::add;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Conv, ConvInput, ConvKernel, Pixels, Windows};

/// Floats of a part of the rows: 256 KiB.
const PART: usize = 1 << 16;

/// A convolution's geometry.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub windows: Windows,
    pub source: Pixels,
    pub targets: Pixels,
    /// Channels of the sources.
    pub channels: usize,
}

impl Geometry {
    pub fn new(windows: Windows, source: Pixels, channels: usize) -> Self {
        Self { windows, source, targets: windows.targets(source.items), channels }
    }

    /// Floats that a window sees.
    pub fn width(&self) -> usize {
        self.windows.taps() * self.channels
    }

    /// Windows whose rows make a part.
    pub fn rows_per_part(&self) -> usize {
        (PART / self.width()).max(8)
    }

    /// The taps of a target's window that see consecutive pixels: the first tap, the first pixel
    /// and their number.
    pub fn runs(&self, target: usize, mut run: impl FnMut(usize, usize, usize)) {
        let (item, place) = self.targets.place(target);
        let [d_axis, h_axis, w_axis] = self.windows.axes;
        let [depth, height, width] = self.source.extents;
        for jd in 0..d_axis.size {
            let Some(d) = d_axis.source(place[0], jd, depth) else { continue };
            for jh in 0..h_axis.size {
                let Some(h) = h_axis.source(place[1], jh, height) else { continue };
                let tap = (jd * h_axis.size + jh) * w_axis.size;
                let start = place[2] * w_axis.stride;
                if w_axis.dilation == 1 {
                    let first = w_axis.before.saturating_sub(start);
                    let end = (width + w_axis.before).saturating_sub(start).min(w_axis.size);
                    if first < end {
                        let w = start + first - w_axis.before;
                        run(tap + first, self.source.at(item, [d, h, w]), end - first);
                    }
                    continue;
                }
                for jw in 0..w_axis.size {
                    if let Some(w) = w_axis.source(place[2], jw, width) {
                        run(tap + jw, self.source.at(item, [d, h, w]), 1);
                    }
                }
            }
        }
    }

    /// What the windows from `first` on see, one row a window.
    pub fn unfold(&self, x: &[f32], first: usize, rows: &mut [f32]) {
        let channels = self.channels;
        for (i, row) in rows.chunks_exact_mut(self.width()).enumerate() {
            row.fill(0.0);
            self.runs(first + i, |tap, pixel, count| {
                let seen = &x[pixel * channels..(pixel + count) * channels];
                row[tap * channels..(tap + count) * channels].copy_from_slice(seen);
            });
        }
    }

    /// Adds rows to what the targets' windows see of one item, whose slices along D are given.
    pub fn fold(&self, rows: &[f32], targets: &[usize], item: &mut [&mut [f32]]) {
        let (channels, per_slice) =
            (self.channels, self.source.extents[1] * self.source.extents[2]);
        for (row, &target) in rows.chunks_exact(self.width()).zip(targets) {
            self.runs(target, |tap, pixel, count| {
                let (slice, at) = (pixel / per_slice, pixel % per_slice);
                let d = match self.source.leading {
                    true => slice / self.source.items,
                    false => slice % self.source.extents[0],
                };
                let seen = &mut item[d][at * channels..(at + count) * channels];
                add(seen, &row[tap * channels..(tap + count) * channels]);
            });
        }
    }

    /// The slices along D of each item.
    pub fn items<'a>(&self, x: &'a mut [f32]) -> Vec<Vec<&'a mut [f32]>> {
        let Pixels { items, extents: [depth, height, width], leading } = self.source;
        let mut all: Vec<Vec<&mut [f32]>> = Vec::new();
        all.resize_with(items, Vec::new);
        for (i, slice) in x.chunks_exact_mut(height * width * self.channels).enumerate() {
            all[if leading { i % items } else { i / depth }].push(slice);
        }
        all
    }
}

/// out += what the windows see, times a matrix of as many rows and `columns` columns.
pub(crate) fn add_product(
    geometry: &Geometry,
    x: &[f32],
    (matrix, columns): (&[f32], usize),
    out: &mut [f32],
) {
    let (width, rows) = (geometry.width(), geometry.rows_per_part());
    let parts = out.par_chunks_mut(rows * columns).enumerate();
    parts.for_each_init(Vec::new, |seen, (part, out)| {
        let count = out.len() / columns;
        seen.resize(count * width, 0.0);
        geometry.unfold(x, part * rows, seen);
        let product = (Matrix::row_major(seen, width), Matrix::row_major(matrix, columns));
        let extents = (count, columns, width);
        multiply(MatrixMut::row_major(out, columns), true, product, extents, Threads::One);
    });
}

pub fn forward(op: &Conv, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.inputs[0]) else { return };
    let filters = io.signature.inputs[1].shape.last();
    let (x, w) = (io.input(0), io.input(1));
    let bias = op.bias.then(|| io.input(2));
    let y = io.output();
    match bias {
        Some(bias) => y
            .par_chunks_exact_mut(filters)
            .with_min_len(64)
            .for_each(|pixel| pixel.copy_from_slice(bias)),
        None => y.fill(0.0),
    }
    add_product(&Geometry::new(op.windows, source, channels), x, (w, filters), y);
}

/// Items do not share pixels, so that each thread takes items of its own.
pub fn input(op: &ConvInput, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.outputs[0]) else { return };
    let filters = io.signature.inputs[0].shape.last();
    let geometry = Geometry::new(op.windows, source, channels);
    let (dy, w) = (io.input(0), io.input(1));
    let dx = io.output();
    dx.fill(0.0);
    let items = geometry.items(dx).into_par_iter().enumerate();
    items.for_each_init(Scratch::default, |scratch, (item, mut slices)| {
        let all = GateColumns { first: 0, count: filters, stride: filters };
        add_item(&geometry, (dy, w, all), item, &mut slices, scratch);
    });
}

/// Rows of gradients of windows, and of what the windows see.
pub(crate) type Scratch = (Vec<f32>, Vec<f32>);

/// Columns of rows of `stride` numbers.
#[derive(Clone, Copy)]
pub(crate) struct GateColumns {
    pub first: usize,
    pub count: usize,
    pub stride: usize,
}

impl GateColumns {
    /// Those of one of four gates.
    pub fn gate(self, gate: usize) -> Self {
        let count = self.stride / 4;
        Self { first: gate * count, count, ..self }
    }
}

/// Adds dy W^T of the windows over one item to what they see of it, of some columns of both.
pub(crate) fn add_item(
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
        let (left, out) = scratch;
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

/// Parts of the pixels are summed in parallel, then the parts in order.
pub fn kernel(op: &ConvKernel, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.inputs[0]) else { return };
    let filters = io.signature.inputs[1].shape.last();
    let geometry = Geometry::new(op.windows, source, channels);
    let (x, dy) = (io.input(0), io.input(1));
    let (width, pixels) = (geometry.width(), geometry.targets.len());
    let per_part = pixels.div_ceil((pixels / 2048).clamp(1, 16));
    let parts: Vec<Vec<f32>> = (0..pixels.div_ceil(per_part))
        .into_par_iter()
        .map(|part| {
            let mut sum = vec![0.0; width * filters];
            let mut rows = Vec::new();
            let end = ((part + 1) * per_part).min(pixels);
            for first in (part * per_part..end).step_by(geometry.rows_per_part()) {
                let count = geometry.rows_per_part().min(end - first);
                rows.resize(count * width, 0.0);
                geometry.unfold(x, first, &mut rows);
                let right = Matrix::row_major(&dy[first * filters..], filters);
                let product = (Matrix::column_major(&rows, width), right);
                let out = MatrixMut::row_major(&mut sum, filters);
                multiply(out, true, product, (width, filters, count), Threads::One);
            }
            sum
        })
        .collect();
    let dw = io.output();
    dw.fill(0.0);
    parts.iter().for_each(|part| add(dw, part));
}
