use crate::vector::add;
use rnn_ops::{Pixels, Windows};

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
