//! The pixels that windows see, and the columns of them that a product reads.

use rnn_ops::{Pixels, Window, Windows};
use std::ops::Range;

/// A range of the columns of a row-major matrix, such as the columns of one gate.
#[derive(Clone, Copy)]
pub(crate) struct GateColumns {
    /// First column.
    pub first: usize,
    /// Number of columns.
    pub count: usize,
    /// Number of all columns, which is the distance between rows in floats.
    pub stride: usize,
}

impl GateColumns {
    /// Returns all columns of a matrix with `stride` columns.
    pub fn all(stride: usize) -> Self {
        Self { first: 0, count: stride, stride }
    }

    /// Returns the columns of gate number `gate`, 0 to 3, of a matrix whose columns are four gates
    /// of equal width.
    pub fn gate(self, gate: usize) -> Self {
        let count = self.stride / 4;
        Self { first: gate * count, count, ..self }
    }
}

/// Stands in [`Geometry::seen`] for the start of a piece in the padding: an index that no slice
/// has.
pub(crate) const OUTSIDE: usize = usize::MAX;

/// The relation between the pixels of a convolution's input and its windows. Each target pixel sees
/// a source pixel, or padding, through each tap. In a convolution the sources are the input's
/// pixels and the targets are the windows; in the reversed geometry it is the other way round.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    /// The windows.
    pub windows: Windows,
    /// The pixels that are seen.
    pub source: Pixels,
    /// The pixels that see.
    pub targets: Pixels,
    /// Channels of a source pixel.
    pub channels: usize,
    reversed: bool,
}

impl Geometry {
    /// Returns the geometry of a convolution with these windows over the pixels `source`, which
    /// have `channels` channels.
    pub fn new(windows: Windows, source: Pixels, channels: usize) -> Self {
        let (windows, source) = flat(windows, source);
        let targets = windows.targets(source.items);
        Self { windows, source, targets, channels, reversed: false }
    }

    /// Returns the geometry of the gradient of the input: each input pixel sees the windows that
    /// see it, each through one tap. `channels` is the number of channels of the output's gradient.
    pub fn reversed(self, channels: usize) -> Self {
        let Self { windows, source, targets, .. } = self;
        Self { windows, source: targets, targets: source, channels, reversed: true }
    }

    /// Returns the number of floats that a target sees: taps times channels.
    pub fn width(&self) -> usize {
        self.windows.taps() * self.channels
    }

    /// Returns the position along an axis that a target sees through a tap.
    fn sees(&self, axis: Window, target: usize, tap: usize, extent: usize) -> Option<usize> {
        if self.reversed { axis.target(target, tap) } else { axis.source(target, tap, extent) }
    }

    /// Computes where the targets with the indices `part` find what they see. `starts` becomes
    /// `[taps, part.len()]`: the index of the first float of the columns `columns` of the source
    /// pixel that a target sees through a tap, or [`OUTSIDE`] in the padding.
    pub fn seen(&self, part: Range<usize>, columns: GateColumns, starts: &mut Vec<usize>) {
        let [d_axis, h_axis, w_axis] = self.windows.axes;
        let [depth, height, width] = self.source.extents;
        let count = part.len();
        starts.clear();
        starts.resize(self.windows.taps() * count, OUTSIDE);
        let mut target = part.start;
        while target < part.end {
            let (item, [d, h, w]) = self.targets.place(target);
            let line = (self.targets.extents[2] - w).min(part.end - target);
            for jd in 0..d_axis.size {
                let Some(seen_d) = self.sees(d_axis, d, jd, depth) else { continue };
                for jh in 0..h_axis.size {
                    let Some(seen_h) = self.sees(h_axis, h, jh, height) else { continue };
                    let first = self.source.at(item, [seen_d, seen_h, 0]);
                    for jw in 0..w_axis.size {
                        let tap = (jd * h_axis.size + jh) * w_axis.size + jw;
                        let starts = &mut starts[tap * count + target - part.start..][..line];
                        for (i, start) in starts.iter_mut().enumerate() {
                            if let Some(seen_w) = self.sees(w_axis, w + i, jw, width) {
                                *start = (first + seen_w) * columns.stride + columns.first;
                            }
                        }
                    }
                }
            }
            target += line;
        }
    }

    /// Copies what the targets with the indices `part` see to `rows` (im2col): one row of `[taps,
    /// columns.count]` for each target, every `stride` floats. x holds the source pixels, `[pixels,
    /// columns.stride]`, whose channels are the columns `columns`. Padding is copied as zeros.
    /// `starts` is a buffer that is overwritten.
    pub fn gather(
        &self,
        (x, columns): (&[f32], GateColumns),
        part: Range<usize>,
        (rows, stride): (&mut [f32], usize),
        starts: &mut Vec<usize>,
    ) {
        let (count, channels) = (part.len(), columns.count);
        self.seen(part, columns, starts);
        for (row, to) in rows.chunks_mut(stride).enumerate().take(count) {
            let taps = to.chunks_exact_mut(channels).zip(starts.chunks_exact(count));
            for (to, starts) in taps {
                match x.get(starts[row]..starts[row].wrapping_add(channels)) {
                    Some(seen) => to.copy_from_slice(seen),
                    None => to.fill(0.0),
                }
            }
        }
    }
}

/// Treats a sequence whose time axis alone is windowed as one image of time by batch, whose windows
/// see one column: one long line instead of many short ones.
fn flat(windows: Windows, source: Pixels) -> (Windows, Pixels) {
    let [d_axis, h_axis, w_axis] = windows.axes;
    let single = |axis: Window, extent: usize| {
        (axis.size, axis.before, axis.windows, extent) == (1, 0, 1, 1)
    };
    let [depth, height, width] = source.extents;
    if !source.leading || !single(h_axis, height) || !single(w_axis, width) {
        return (windows, source);
    }
    let items = Window { windows: source.items, stride: 1, dilation: 1, ..w_axis };
    let windows = Windows { axes: [d_axis, h_axis, items], leading: false };
    (windows, Pixels { items: 1, extents: [depth, 1, source.items], leading: false })
}
