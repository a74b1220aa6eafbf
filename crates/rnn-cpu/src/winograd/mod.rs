//! Convolutions with windows of 3 x 3 by Winograd's minimal filtering F(2 x 2, 3 x 3), in which 16
//! products make four sums of nine (Lavin and Gray, arXiv:1509.09308). Of a tile d of 4 x 4 pixels,
//! a kernel g and what comes out, y of 2 x 2,
//!
//! ```text
//! y = A^T [(G g G^T) * (B^T d B)] A,     dg = G^T [(A dy A^T) * (B^T d B)] G
//! ```
//!
//! where * multiplies element by element, and the brackets are summed over channels, or over tiles.

mod apply;
mod gradient;
mod transform;

pub use apply::{Kernel, Scratch};
pub use gradient::gradient;

use crate::geometry::Geometry;
use crate::packed::PADDING;
use rnn_ops::Window;
use std::ops::Range;

/// Elements of a tile.
const PLACES: usize = 16;
/// Tiles of a block, whose transforms the caches hold.
const TILES: usize = 48;
/// Channels and filters below which transforms cost more than they save; at least a vector.
const MIN_CHANNELS: usize = 16;

/// How tiles lie over slices: pictures of which none sees another.
#[derive(Clone, Copy, Debug)]
pub struct Tiling {
    slices: usize,
    /// Height and width of what is windowed, and of what comes out.
    source: [usize; 2],
    target: [usize; 2],
    /// By how much the first window begins before the first pixel.
    before: [usize; 2],
}

impl Tiling {
    /// The tiles of a convolution, if it is one of this kind and worth it.
    pub fn of(geometry: &Geometry, filters: usize) -> Option<Self> {
        let [d, h, w] = geometry.windows.axes;
        let plain =
            |axis: Window, size| axis.size == size && axis.stride == 1 && axis.dilation == 1;
        let [depth, height, width] = geometry.source.extents;
        let fits = plain(d, 1) && d.before == 0 && d.windows == depth && plain(h, 3) && plain(w, 3);
        let wide = geometry.channels.min(filters) >= MIN_CHANNELS;
        (fits && wide && h.before.max(w.before) < 3).then(|| Self {
            slices: geometry.source.items * depth,
            source: [height, width],
            target: [h.windows, w.windows],
            before: [h.before, w.before],
        })
    }

    /// The tiling of the gradient of what is windowed, a convolution of the gradient of what comes
    /// out with the kernel turned around.
    fn reversed(self) -> Self {
        let Self { slices, source, target, before } = self;
        Self { slices, source: target, target: source, before: before.map(|before| 2 - before) }
    }

    /// What comes out, in rows of tiles, as many as make a block.
    fn parts(&self) -> Vec<Part> {
        let [height, width] = self.target;
        let rows = 2 * (TILES / width.div_ceil(2)).max(1);
        let of_slice = |slice| {
            let part = move |first| Part { slice, first, rows: rows.min(height - first), width };
            (0..height).step_by(rows).map(part)
        };
        (0..self.slices).flat_map(of_slice).collect()
    }

    /// A part as the pixels that it holds, and back.
    fn pixels(&self, part: Part) -> Range<usize> {
        let [height, width] = self.target;
        let first = (part.slice * height + part.first) * width;
        first..first + part.rows * width
    }

    fn part(&self, pixels: Range<usize>) -> Part {
        let [height, width] = self.target;
        let (row, rows) = (pixels.start / width, pixels.len() / width);
        Part { slice: row / height, first: row % height, rows, width }
    }

    /// For each pixel of a tile, the number of the source pixel, if it is one.
    fn seen(&self, part: Part, tile: usize) -> [[Option<usize>; 4]; 4] {
        let [height, width] = self.source;
        let across = part.width.div_ceil(2);
        let (top, left) = (part.first + 2 * (tile / across), 2 * (tile % across));
        let mut seen = [[None; 4]; 4];
        for (i, row) in seen.iter_mut().enumerate() {
            let h = (top + i).wrapping_sub(self.before[0]);
            if h >= height {
                continue;
            }
            for (j, pixel) in row.iter_mut().enumerate() {
                let w = (left + j).wrapping_sub(self.before[1]);
                *pixel = (w < width).then(|| (part.slice * height + h) * width + w);
            }
        }
        seen
    }
}

/// Rows of one slice of what comes out, the first of them even.
#[derive(Clone, Copy, Debug)]
struct Part {
    slice: usize,
    first: usize,
    rows: usize,
    width: usize,
}

impl Part {
    fn tiles(&self) -> usize {
        self.rows.div_ceil(2) * self.width.div_ceil(2)
    }

    /// For each pixel that comes out of a tile, its number within the part, if it is one.
    fn made(&self, tile: usize) -> [[Option<usize>; 2]; 2] {
        let across = self.width.div_ceil(2);
        let (top, left) = (2 * (tile / across), 2 * (tile % across));
        [0, 1].map(|i| {
            [0, 1].map(|j| {
                let inside = top + i < self.rows && left + j < self.width;
                inside.then_some((top + i) * self.width + left + j)
            })
        })
    }
}

/// Numbers from one tile's channels to the next's.
fn stride(channels: usize, rows: usize) -> usize {
    channels.next_multiple_of(rows).next_multiple_of(PADDING)
}
