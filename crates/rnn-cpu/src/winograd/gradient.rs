use super::apply::Block;
use super::{PLACES, TILES, TileRows, Tiling, stride, transform};
use crate::blocks::{Blocked, rows_of_block, run_blocked, vectors_of_panel};
use crate::geometry::GateColumns;
use crate::packed::{AlignedBuf, multiply_transposed};
use crate::simd::{load, processor, store_whole};
use crate::vector::add;
use pulp::Simd;
use rayon::prelude::*;

/// Number of partial sums over the pixels, which are added in order. Fixed, so that results do not
/// depend on the number of threads.
const SUMS: usize = 16;

/// Returns the gradient of the taps, `[9, channels, filters]` in row-major order of the taps, of a
/// 3 x 3 convolution. x is its input, `[pixels, channels]`, and dy the gradient of its output,
/// `[pixels, filters]`.
pub fn gradient(
    tiling: Tiling,
    (x, channels): (&[f32], usize),
    (dy, filters): (&[f32], usize),
) -> Vec<f32> {
    let (lanes, registers) = processor();
    let vectors = vectors_of_panel(filters, lanes);
    let shape = Shape { channels, filters };
    let parts = tiling.parts();
    let sums: Vec<Vec<f32>> = parts
        .par_chunks(parts.len().div_ceil(SUMS).max(1))
        .map(|parts| run_blocked(vectors, Sum { tiling, x, dy, parts, shape }))
        .collect();
    let (width, depth) =
        (vectors * lanes, channels.next_multiple_of(rows_of_block(registers, vectors)));
    let panels = filters.div_ceil(width);
    let mut sum = vec![0.0; PLACES * panels * depth * width];
    sums.iter().for_each(|part| add(&mut sum, part));
    let mut places = Vec::with_capacity(PLACES * channels * filters);
    for place in sum.chunks_exact(panels * depth * width) {
        for channel in 0..channels {
            for (panel, rows) in place.chunks_exact(depth * width).enumerate() {
                let columns = width.min(filters - panel * width);
                places.extend_from_slice(&rows[channel * width..][..columns]);
            }
        }
    }
    transform::kernel_gradient(&places)
}

#[derive(Clone, Copy)]
struct Shape {
    channels: usize,
    filters: usize,
}

/// Sums some parts of the pixels: `[places, panels, channels, vectors]`.
struct Sum<'a> {
    tiling: Tiling,
    x: &'a [f32],
    dy: &'a [f32],
    parts: &'a [TileRows],
    shape: Shape,
}

impl Blocked for Sum<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> Vec<f32> {
        let Shape { channels, filters } = self.shape;
        let (stride, width) = (stride(channels, R), V * S::F32_LANES);
        let (depth, panels) = (channels.next_multiple_of(R), filters.div_ceil(width));
        let (mut tiles, mut gradients) = (AlignedBuf::default(), AlignedBuf::default());
        let tiles = tiles.take(PLACES * TILES * stride);
        let gradients = gradients.take(PLACES * panels * TILES * width);
        let mut sum = vec![0.0; PLACES * panels * depth * width];
        let all = GateColumns { first: 0, count: channels, stride: channels };
        for &part in self.parts {
            for first in (0..part.tiles()).step_by(TILES) {
                let count = TILES.min(part.tiles() - first);
                let block = Block { tiling: self.tiling, part, first, count };
                block.transform_input(simd, (self.x, all), tiles, (TILES, stride));
                self.transform_gradients::<S, V>(simd, block, gradients);
                for place in 0..PLACES {
                    let tiles = &tiles[place * TILES * stride..][..count * stride];
                    for panel in 0..panels {
                        let at = place * panels + panel;
                        let right = &gradients[at * TILES * width..][..count * width];
                        let right = bytemuck::cast_slice::<_, S::f32s>(right).as_chunks::<V>().0;
                        for channel in (0..depth).step_by(R) {
                            let sums = &mut sum[(at * depth + channel) * width..][..R * width];
                            let sums = bytemuck::cast_slice_mut::<_, S::f32s>(sums);
                            let (sums, _) = sums.as_chunks_mut::<V>();
                            if let Some(sums) = sums.first_chunk_mut::<R>() {
                                let left = &tiles[channel..];
                                multiply_transposed(simd, left, stride, right, &[], sums);
                            }
                        }
                    }
                }
            }
        }
        sum
    }
}

impl Sum<'_> {
    /// Computes A dy A^T of each output tile: `[places, panels, TILES, vectors]`.
    #[inline(always)]
    fn transform_gradients<S: Simd, const V: usize>(&self, simd: S, block: Block, to: &mut [f32]) {
        let (lanes, filters, width) = (S::F32_LANES, self.shape.filters, V * S::F32_LANES);
        let panels = filters.div_ceil(width);
        let [height, across] = self.tiling.target;
        let outside = vec![0.0; filters];
        let begin = (block.part.slice * height + block.part.first) * across;
        for tile in 0..block.count {
            let made = block.part.output_pixels(block.first + tile);
            let mut rows = [[&outside[..]; 2]; 2];
            for (row, pixel) in rows.as_flattened_mut().iter_mut().zip(made.as_flattened()) {
                if let Some(pixel) = pixel {
                    *row = &self.dy[(begin + pixel) * filters..][..filters];
                }
            }
            for filter in (0..filters).step_by(lanes) {
                let mut dy = [[simd.splat_f32s(0.0); 2]; 2];
                for (dy, row) in dy.as_flattened_mut().iter_mut().zip(rows.as_flattened()) {
                    *dy = load(simd, &row[filter..]);
                }
                let transformed = transform::output_gradient(simd, dy);
                let (panel, column) = (filter / width, filter % width);
                for (place, vector) in transformed.as_flattened().iter().enumerate() {
                    let at = ((place * panels + panel) * TILES + tile) * width + column;
                    store_whole::<S>(&mut to[at..], *vector);
                }
            }
        }
    }
}
