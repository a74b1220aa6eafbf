use super::{PLACES, TILES, TileRows, Tiling, stride, transform};
use crate::blocks::{Blocked, run_blocked, vectors_of_panel};
use crate::geometry::GateColumns;
use crate::packed::{AlignedBuf, PackedMatrix, UNROLL, rows};
use crate::simd::{load_whole, processor, store_whole};
use pulp::Simd;
use std::ops::Range;

/// The transformed kernel of a 3 x 3 convolution, with the tiles that it is applied to.
pub struct Kernel {
    tiling: Tiling,
    /// For each place of a tile a matrix `[channels, filters]`.
    places: Vec<PackedMatrix>,
    channels: usize,
    filters: usize,
    vectors: usize,
}

/// Buffers of one thread for [`Kernel::add`].
#[derive(Default)]
pub struct Scratch {
    tiles: AlignedBuf,
    products: AlignedBuf,
}

impl Kernel {
    /// Transforms the kernel of a convolution, whose taps are `[9, channels, columns.stride]`. The
    /// filters are the columns `columns` of `taps`.
    pub fn new(tiling: Tiling, taps: &[f32], channels: usize, columns: GateColumns) -> Self {
        let (transformed, each) = Self::transform(taps, columns);
        let place = |i: usize| &transformed[i * each..(i + 1) * each];
        let matrix = |i: usize, panel: Packing| {
            let row = |k: usize| place(i).chunks_exact(columns.count).nth(k);
            panel.pack(channels, row)
        };
        Self::of(tiling, channels, columns.count, matrix)
    }

    /// Transforms the reversed kernel, which maps the output's gradient to the input's gradient.
    /// The arguments are those of [`Self::new`] for the convolution itself. Reversing a kernel g
    /// exchanges the outer rows and the outer columns of its transform G g G^T.
    pub fn reversed(tiling: Tiling, taps: &[f32], channels: usize, columns: GateColumns) -> Self {
        let (transformed, each) = Self::transform(taps, columns);
        let mut turned = vec![0.0; each];
        let matrix = |i: usize, panel: Packing| {
            let other = |i: usize| [3, 1, 2, 0][i];
            let from = 4 * other(i / 4) + other(i % 4);
            let place = transformed[from * each..(from + 1) * each].chunks_exact(columns.count);
            for (channel, row) in place.enumerate() {
                for (filter, &value) in row.iter().enumerate() {
                    turned[filter * channels + channel] = value;
                }
            }
            panel.pack(columns.count, |k| turned.chunks_exact(channels).nth(k))
        };
        Self::of(tiling.reversed(), columns.count, channels, matrix)
    }

    fn transform(taps: &[f32], columns: GateColumns) -> (Vec<f32>, usize) {
        let GateColumns { first, count, stride } = columns;
        let rows = taps.chunks_exact(stride).map(|row| &row[first..first + count]);
        let taps: Vec<f32> = rows.flatten().copied().collect();
        (transform::kernel(&taps), taps.len() / 9)
    }

    fn of(
        tiling: Tiling,
        channels: usize,
        filters: usize,
        mut matrix: impl FnMut(usize, Packing) -> PackedMatrix,
    ) -> Self {
        let (lanes, _) = processor();
        let vectors = vectors_of_panel(filters, lanes);
        let packing = Packing { lanes, vectors, filters };
        let places = (0..PLACES).map(|i| matrix(i, packing)).collect();
        Self { tiling, places, channels, filters, vectors }
    }

    /// Divides the output pixels into ranges of their indices, for [`Kernel::add`].
    pub fn parts(&self) -> Vec<Range<usize>> {
        self.tiling.parts().into_iter().map(|part| self.tiling.pixels(part)).collect()
    }

    /// Adds the convolution of x to the output pixels `part`, one of [`Kernel::parts`]. x is
    /// `[input pixels, from.stride]`; its channels are the columns `from`. `out` is `[part.len(),
    /// to.stride]`; its filters are the columns `to`.
    pub fn add(
        &self,
        (x, from): (&[f32], GateColumns),
        part: Range<usize>,
        (out, to): (&mut [f32], GateColumns),
        scratch: &mut Scratch,
    ) {
        let part = self.tiling.part(part);
        debug_assert!(from.count == self.channels && to.count == self.filters);
        run_blocked(self.vectors, Add { kernel: self, x, from, part, out, to, scratch });
    }
}

/// The panels into which a matrix of `filters` columns is packed.
#[derive(Clone, Copy)]
struct Packing {
    lanes: usize,
    vectors: usize,
    filters: usize,
}

impl Packing {
    fn pack<'a>(self, depth: usize, row: impl Fn(usize) -> Option<&'a [f32]>) -> PackedMatrix {
        let Self { lanes, vectors, filters } = self;
        let panels = filters.div_ceil(vectors * lanes);
        let extents = (depth.next_multiple_of(UNROLL), panels);
        PackedMatrix::pack_wide((lanes, vectors), extents, row, |panel, vector| {
            let first = (panel * vectors + vector) * lanes;
            filters.min(first)..filters.min(first + lanes)
        })
    }
}

struct Add<'a> {
    kernel: &'a Kernel,
    x: &'a [f32],
    from: GateColumns,
    part: TileRows,
    out: &'a mut [f32],
    to: GateColumns,
    scratch: &'a mut Scratch,
}

impl Blocked for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Self { kernel, x, from, part, out, to, scratch } = self;
        let (lanes, stride) = (S::F32_LANES, stride(kernel.channels, R));
        let depth = kernel.channels.next_multiple_of(UNROLL);
        let (per_place, width) = (TILES.next_multiple_of(R), V * lanes);
        let tiles = scratch.tiles.take(PLACES * per_place * stride);
        let products = scratch.products.take(PLACES * per_place * width);
        for first in (0..part.tiles()).step_by(TILES) {
            let count = TILES.min(part.tiles() - first);
            let block = Block { tiling: kernel.tiling, part, first, count };
            block.transform_input(simd, (x, from), tiles, (per_place, stride));
            for panel in 0..kernel.filters.div_ceil(width) {
                for (place, matrix) in kernel.places.iter().enumerate() {
                    for tile in (0..count).step_by(R) {
                        let at = place * per_place + tile;
                        let mut left: [&[f32]; R] = rows(&tiles[at * stride..], stride);
                        for row in &mut left {
                            *row = &row[..depth];
                        }
                        let mut sums = [[simd.splat_f32s(0.0); V]; R];
                        matrix.multiply(simd, (panel, 0), left, &mut sums);
                        let to = products[at * width..].chunks_exact_mut(lanes);
                        for (to, sum) in to.zip(sums.as_flattened()) {
                            store_whole::<S>(to, *sum);
                        }
                    }
                }
                for tile in 0..count {
                    let made = part.output_pixels(first + tile);
                    for v in 0..V {
                        let filter = (panel * V + v) * lanes;
                        if filter >= to.count {
                            break;
                        }
                        let mut m = [[simd.splat_f32s(0.0); 4]; 4];
                        for (place, m) in m.as_flattened_mut().iter_mut().enumerate() {
                            let at = (place * per_place + tile) * width + v * lanes;
                            *m = load_whole::<S>(&products[at..]);
                        }
                        let y = transform::output(simd, m);
                        for (made, y) in made.as_flattened().iter().zip(y.as_flattened()) {
                            let Some(pixel) = made else { continue };
                            let out = &mut out[pixel * to.stride + to.first..][..to.count];
                            add_vector(simd, &mut out[filter..], *y);
                        }
                    }
                }
            }
        }
    }
}

/// Adds a vector to as many elements as the slice has.
#[inline(always)]
fn add_vector<S: Simd>(simd: S, out: &mut [f32], vector: S::f32s) {
    if out.len() >= S::F32_LANES {
        let sum = simd.add_f32s(load_whole::<S>(out), vector);
        return store_whole::<S>(out, sum);
    }
    let values = [vector];
    for (out, value) in out.iter_mut().zip(bytemuck::cast_slice::<_, f32>(&values)) {
        *out += value;
    }
}

/// Consecutive tiles of a part of the output. They are transformed together.
#[derive(Clone, Copy)]
pub struct Block {
    /// The tiling of the whole output.
    pub tiling: Tiling,
    /// The part that contains the tiles.
    pub part: TileRows,
    /// Index of the first tile within the part.
    pub first: usize,
    /// Number of tiles.
    pub count: usize,
}

impl Block {
    /// Computes the transform B^T d B of the input tile d of each tile of the block, and writes it
    /// to `tiles`, `[places, per_place, stride]`. Here a place is one of the 16 elements of a
    /// transform, `per_place` at least the number of tiles, and `stride` at least the number of
    /// channels. x is `[input pixels, from.stride]`; its channels are the columns `from`.
    #[inline(always)]
    pub fn transform_input<S: Simd>(
        self,
        simd: S,
        (x, from): (&[f32], GateColumns),
        tiles: &mut [f32],
        (per_place, stride): (usize, usize),
    ) {
        let (lanes, outside) = (S::F32_LANES, vec![0.0; from.count]);
        for tile in 0..self.count {
            let seen = self.tiling.input_pixels(self.part, self.first + tile);
            let mut rows = [[&outside[..]; 4]; 4];
            for (row, pixel) in rows.as_flattened_mut().iter_mut().zip(seen.as_flattened()) {
                if let Some(pixel) = pixel {
                    *row = &x[pixel * from.stride + from.first..][..from.count];
                }
            }
            let mut channel = 0;
            while channel < from.count {
                // The last vector overlaps the one before.
                channel = channel.min(from.count - lanes);
                let mut d = [[simd.splat_f32s(0.0); 4]; 4];
                for (d, row) in d.as_flattened_mut().iter_mut().zip(rows.as_flattened()) {
                    *d = load_whole::<S>(&row[channel..]);
                }
                let transformed = transform::input(simd, d);
                for (place, vector) in transformed.as_flattened().iter().enumerate() {
                    let at = (place * per_place + tile) * stride + channel;
                    store_whole::<S>(&mut tiles[at..], *vector);
                }
                channel += lanes;
            }
        }
    }
}
