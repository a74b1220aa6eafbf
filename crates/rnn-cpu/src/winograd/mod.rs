//! Convolutions with 3 x 3 windows by Winograd's minimal filtering F(2 x 2, 3 x 3), which needs 16
//! products where four sums of nine terms need 36 (Lavin and Gray, arXiv:1509.09308). For a tile d
//! of 4 x 4 pixels, a kernel g and an output tile y of 2 x 2:
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

/// Elements of a transformed tile.
const PLACES: usize = 16;
/// Tiles per block, such that the caches hold their transforms.
const TILES: usize = 48;
/// Channels and filters below which the transforms cost more than they save; at least a vector.
const MIN_CHANNELS: usize = 16;

/// The division of the output of a convolution with 3 x 3 windows into tiles of 2 x 2 pixels. The
/// output consists of slices, which are independent images.
#[derive(Clone, Copy, Debug)]
pub struct Tiling {
    slices: usize,
    /// Height and width of the input, and of the output.
    source: [usize; 2],
    target: [usize; 2],
    /// Padding before the first row and column.
    before: [usize; 2],
}

impl Tiling {
    /// Returns the tiling of the convolution of `geometry` with `filters` filters. Returns `None`
    /// if its windows are not 1 x 3 x 3 with stride and dilation 1, if 3 or more rows or columns of
    /// padding precede the input, or if it has fewer than 16 channels or filters, for which the
    /// transforms cost more than they save.
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

    /// Returns the tiling of the input's gradient: a convolution of the output's gradient with the
    /// reversed kernel.
    fn reversed(self) -> Self {
        let Self { slices, source, target, before } = self;
        Self { slices, source: target, target: source, before: before.map(|before| 2 - before) }
    }

    /// Returns the output in parts of whole rows of tiles, each about one block.
    fn parts(&self) -> Vec<TileRows> {
        let [height, width] = self.target;
        let rows = 2 * (TILES / width.div_ceil(2)).max(1);
        let of_slice = |slice| {
            let part =
                move |first| TileRows { slice, first, rows: rows.min(height - first), width };
            (0..height).step_by(rows).map(part)
        };
        (0..self.slices).flat_map(of_slice).collect()
    }

    /// Returns the output pixels of a part.
    fn pixels(&self, part: TileRows) -> Range<usize> {
        let [height, width] = self.target;
        let first = (part.slice * height + part.first) * width;
        first..first + part.rows * width
    }

    /// Returns the part of these output pixels.
    fn part(&self, pixels: Range<usize>) -> TileRows {
        let [height, width] = self.target;
        let (row, rows) = (pixels.start / width, pixels.len() / width);
        TileRows { slice: row / height, first: row % height, rows, width }
    }

    /// Returns the index of the input pixel at each place of a tile, `None` in the padding.
    fn input_pixels(&self, part: TileRows, tile: usize) -> [[Option<usize>; 4]; 4] {
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

/// Consecutive rows of one slice of the output, beginning at an even row.
#[derive(Clone, Copy, Debug)]
struct TileRows {
    slice: usize,
    first: usize,
    rows: usize,
    width: usize,
}

impl TileRows {
    fn tiles(&self) -> usize {
        self.rows.div_ceil(2) * self.width.div_ceil(2)
    }

    /// Returns the index within the part of each output pixel of a tile, `None` beyond the edge.
    fn output_pixels(&self, tile: usize) -> [[Option<usize>; 2]; 2] {
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

/// Returns the floats from one tile's channels to the next tile's.
fn stride(channels: usize, rows: usize) -> usize {
    channels.next_multiple_of(rows).next_multiple_of(PADDING)
}
