//! How a product is cut into tiles, and a tile among threads.

use rnn_graph::{Division, Grid, Launch, OpError, Shader};

/// A tile; see tile.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    row_threads: usize,
    column_threads: usize,
    row_blocks: usize,
    column_blocks: usize,
}

/// 64 x 64 for 256 threads, as tile.wgsl says by itself.
const USUAL: Tile = tile([16, 16], [1, 1]);

/// What else a device may prefer: blocks of 8 x 8 or 8 x 4 read less of workgroup memory for each
/// product, small tiles keep more processors busy. Each has four elements of A to a thread and
/// slice, on which conv.wgsl counts.
const OTHERS: [Tile; 5] = [
    tile([16, 16], [2, 2]),
    tile([8, 16], [2, 2]),
    tile([8, 16], [2, 1]),
    tile([8, 16], [1, 1]),
    tile([8, 8], [1, 1]),
];

const fn tile(threads: [usize; 2], blocks: [usize; 2]) -> Tile {
    let [row_threads, column_threads] = threads;
    let [row_blocks, column_blocks] = blocks;
    Tile { row_threads, column_threads, row_blocks, column_blocks }
}

impl Tile {
    fn rows(self) -> usize {
        4 * self.row_blocks * self.row_threads
    }

    fn columns(self) -> usize {
        4 * self.column_blocks * self.column_threads
    }
}

/// What the tiles cover.
#[derive(Clone, Copy, Debug)]
pub struct Tiled {
    pub rows: usize,
    /// Of each group; a tile does not reach from one into another.
    pub columns: usize,
    pub column_groups: usize,
    /// Parts of the sums.
    pub parts: usize,
}

impl Tiled {
    /// A launch over all tiles, with its alternatives.
    pub fn launch(self, shader: &'static Shader, entry: &'static str) -> Result<Launch, OpError> {
        let usual = Launch::new(shader, entry, self.grid(USUAL)?);
        // A tile that half a row of the usual ones would fill is none to try.
        let fits = |tile: &&Tile| {
            tile.rows() < 2 * self.rows.max(32) && tile.columns() < 2 * self.columns.max(32)
        };
        OTHERS.iter().filter(fits).try_fold(usual, |launch, &tile| {
            let constants = vec![
                ("ROW_THREADS", tile.row_threads as f64),
                ("COLUMN_THREADS", tile.column_threads as f64),
                ("ROW_BLOCKS", tile.row_blocks as f64),
                ("COLUMN_BLOCKS", tile.column_blocks as f64),
            ];
            Ok(launch.or(Division { shader, constants, grid: self.grid(tile)? }))
        })
    }

    fn grid(self, tile: Tile) -> Result<Grid, OpError> {
        let columns = self.column_groups * self.columns.div_ceil(tile.columns());
        Grid::new(columns, self.rows.div_ceil(tile.rows()), self.parts)
    }
}
