//! Tiling of a product: the tile of a workgroup, and the blocks of a thread within it.

use rnn_graph::{Grid, Launch, LaunchVariant, OpError, Shader, iterations};

/// Shape of a workgroup's tile; see tile.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    row_threads: usize,
    column_threads: usize,
    row_blocks: usize,
    column_blocks: usize,
}

/// The default of tile.wgsl: 64 x 64 for 256 threads.
const USUAL: Tile = tile([16, 16], [1, 1]);

/// Other tiles, one of which may be faster on a device. Blocks of 8 x 8 or 8 x 4 per thread read
/// workgroup memory less often per product; small tiles occupy more processors. All load four
/// elements of A per thread and slice, as conv.wgsl assumes.
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

    /// Returns the number of terms per slice of K.
    const fn slice(self) -> usize {
        self.column_threads / self.row_blocks
    }

    /// Returns the loop iterations in which a thread loads its elements of a slice and multiplies
    /// them.
    const fn slice_iterations(self) -> u64 {
        let threads = self.row_threads * self.column_threads;
        let b = 4 * self.column_blocks * self.column_threads * self.slice() / threads;
        iterations(4, 0) + iterations(b, 0) + iterations(self.slice(), 0)
    }
}

/// Returns the number of tiles of the default size that cover a result of `rows` x `columns`.
pub fn usual_tiles(rows: usize, columns: usize) -> usize {
    rows.div_ceil(USUAL.rows()) * columns.div_ceil(USUAL.columns())
}

/// Loop iterations of a thread outside of slices: it clears, scales and stores four blocks of 4 x
/// 4.
const AROUND: u64 = 8 * iterations(4, iterations(4, 0)) + iterations(4, 0);

/// Returns an upper bound, over all tile sizes, on the loop iterations of a thread that sums
/// `terms` terms. The terms are in `groups` groups, and each group begins a new slice.
pub const fn tile_iterations(terms: usize, groups: usize) -> u64 {
    let mut most = 0;
    let mut i = 0;
    while i <= OTHERS.len() {
        let tile = if i == 0 { USUAL } else { OTHERS[i - 1] };
        let slices = terms.div_ceil(tile.slice()).saturating_add(groups);
        let all = iterations(slices, tile.slice_iterations());
        most = if all > most { all } else { most };
        i += 1;
    }
    most.saturating_add(iterations(groups, AROUND)).saturating_add(AROUND)
}

/// Returns the largest number of terms, in `groups` groups, that a thread can sum within `limit`
/// loop iterations, rounded down to a multiple of 16. It is at least 16, even if `limit` does not
/// allow that.
pub fn most_terms(limit: u64, groups: usize) -> usize {
    // Every term costs the same, except at the ends of slices.
    let per_term = (tile_iterations(1 << 20, 1) - tile_iterations(0, 1)).div_ceil(1 << 20);
    let rest = limit.saturating_sub(tile_iterations(16, groups)) / per_term;
    (usize::try_from(rest).unwrap_or(usize::MAX) / 16).max(1) * 16
}

/// The result of a product, which is covered by tiles. One workgroup computes one tile.
#[derive(Clone, Copy, Debug)]
pub struct Tiled {
    /// Rows of the result.
    pub rows: usize,
    /// Columns of each column group; a tile does not span two groups.
    pub columns: usize,
    /// Number of column groups.
    pub column_groups: usize,
    /// Number of parts into which each sum is split.
    pub parts: usize,
}

impl Tiled {
    /// Returns a launch of the entry point `entry` of `shader`, over tiles of the default size. The
    /// other tile sizes are variants of the launch, except those of which the result would fill
    /// less than half along an axis.
    ///
    /// # Errors
    /// Fails with [`OpError::Limit`] if the grid exceeds WebGPU's limits.
    pub fn launch(self, shader: &'static Shader, entry: &'static str) -> Result<Launch, OpError> {
        let usual = Launch::new(shader, entry, self.grid(USUAL)?);
        // Skips tiles of which the result fills less than half.
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
            Ok(launch.or(LaunchVariant { shader, constants, grid: self.grid(tile)? }))
        })
    }

    fn grid(self, tile: Tile) -> Result<Grid, OpError> {
        let columns = self.column_groups * self.columns.div_ceil(tile.columns());
        Grid::new(columns, self.rows.div_ceil(tile.rows()), self.parts)
    }
}
