//! Which pixels windows see, and which columns of them.

use rnn_ops::{Pixels, Window, Windows};
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

/// A place that no slice has.
pub(crate) const NOTHING: usize = usize::MAX;

/// Which pixels the windows of a convolution see; reversed, by which windows pixels are seen.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub windows: Windows,
    pub source: Pixels,
    pub targets: Pixels,
    /// Channels of the sources.
    pub channels: usize,
    reversed: bool,
}

impl Geometry {
    pub fn new(windows: Windows, source: Pixels, channels: usize) -> Self {
        let (windows, source) = flat(windows, source);
        let targets = windows.targets(source.items);
        Self { windows, source, targets, channels, reversed: false }
    }

    /// Of the gradient of the sources: each of them sees the windows, of so many channels, that see
    /// it, each through one tap.
    pub fn reversed(self, channels: usize) -> Self {
        let Self { windows, source, targets, .. } = self;
        Self { windows, source: targets, targets: source, channels, reversed: true }
    }

    /// Floats that a target sees.
    pub fn width(&self) -> usize {
        self.windows.taps() * self.channels
    }

    /// Which place along an axis a target sees through a tap.
    fn sees(&self, axis: Window, target: usize, tap: usize, extent: usize) -> Option<usize> {
        if self.reversed { axis.target(target, tap) } else { axis.source(target, tap, extent) }
    }

    /// For each tap and each of some targets where the columns begin of the pixel that it sees, or
    /// nothing: `[taps, targets]`.
    pub fn seen(&self, part: Range<usize>, columns: GateColumns, starts: &mut Vec<usize>) {
        let [d_axis, h_axis, w_axis] = self.windows.axes;
        let [depth, height, width] = self.source.extents;
        let count = part.len();
        starts.clear();
        starts.resize(self.windows.taps() * count, NOTHING);
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

    /// Copies what some targets see, rows that begin `stride` behind each other.
    pub fn lay_out(
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

/// A sequence of items in which time alone is windowed is one picture of time by items, whose
/// windows see one column: long lines instead of many.
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
