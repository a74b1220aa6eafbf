//! Convolutions over up to three axes, computed as matrix products over windows (implicit GEMM).

mod cases;
mod grouped;
mod input;
mod kernel;
mod windows;

pub(crate) use cases::{cases, geometries};
pub use grouped::{GroupedConv, GroupedConvInput, GroupedConvKernel};
pub use input::ConvInput;
pub use kernel::ConvKernel;
pub(crate) use windows::pixels;
pub use windows::{Pixels, Windows};

use crate::Definition;
use crate::SumRows;
use crate::common::{dims, ensure};
use crate::matmul::kernels::{ProductKernels, find, stored};
use crate::matmul::tile::{Tiled, tile_iterations};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

static KERNELS: ProductKernels = product_kernels!(
    "conv",
    rnn_shaders::shared::ELEMENTWISE,
    rnn_shaders::shared::TILE,
    rnn_shaders::shared::WINDOWS,
    rnn_shaders::conv::CONV,
);

/// y(p) = sum over the taps j of x(p stride + j dilation - before) W_j + b, for the window p of
/// each pixel of y. x is zero outside its extents (keras/src/layers/convolutional/base_conv.py).
///
/// Inputs: x `[N, D, H, W, C]`, or `[D, N, H, W, C]` with [`Windows::leading`]; W `[taps, C, F]`; b
/// `[F]` if `bias`. Output: y, with x's order of axes, F channels and one pixel per window.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Placement of the windows over the input.
    pub windows: Windows,
    /// True if the bias b is the third input; false if nothing is added.
    pub bias: bool,
    /// Element type of y. x may have half precision too, and so may dy; sums have single precision.
    pub output: DType,
}

/// Rows per workgroup in products of few columns.
const FEW_ROWS: usize = rnn_shaders::constant(rnn_shaders::conv::CONV, "FEW_ROWS");

/// A matrix product whose matrix A is read through windows.
struct Product {
    kernels: &'static Shader,
    windows: Windows,
    source: Pixels,
    rows: usize,
    columns: usize,
    /// Channels of A.
    terms: usize,
    /// Pixels of each part of a sum over pixels, and the number of parts.
    parts: (usize, usize),
}

impl Product {
    fn describe(&self, launch: Launch) -> Launch {
        let launch = launch
            .constant("TERMS", self.terms as u32)
            .param("items", self.source.items)
            .param("rows", self.rows)
            .param("columns", self.columns)
            .param("per_part", self.parts.0)
            .param("parts", self.parts.1);
        self.windows.describe(launch, self.source.extents)
    }

    /// Returns a launch that computes the whole product, in which a thread sums `terms` terms. If
    /// the columns fill little of a tile, it uses the second entry point, which has no tiles.
    fn launch(
        &self,
        (entry, of_few): (&'static str, &'static str),
        terms: usize,
    ) -> Result<Launch, OpError> {
        let Self { rows, columns, parts: (_, parts), .. } = *self;
        let launch = if columns <= 4 {
            Launch::new(self.kernels, of_few, Grid::new(1, rows.div_ceil(FEW_ROWS), parts)?)
        } else {
            Tiled { rows, columns, column_groups: 1, parts }.launch(self.kernels, entry)?
        };
        // The entry point for few columns makes fewer iterations than a tile.
        Ok(self.describe(launch).divisible().iterations(tile_iterations(terms, 1)))
    }

    fn multiply(&self, transposed: bool) -> Result<Launch, OpError> {
        let terms = self.windows.taps() * self.terms;
        let launch = self.launch(("multiply", "multiply_few"), terms)?;
        Ok(launch.constant("TRANSPOSED", u8::from(transposed)))
    }
}

/// Returns the cost of one multiply-add per tap, input channel and output element.
fn cost(s: &Signature, targets: usize, kernel: usize) -> Cost {
    Cost { flops: 2 * targets as u64 * kernel as u64, bytes: s.bytes() }
}

impl Definition for Conv {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok((source, channels)) = self.windows.sources(&io.signature.inputs[0]) else { return };
        let filters = io.signature.inputs[1].shape.last();
        let (x, w) = (io.input(0), io.input(1));
        let bias = self.bias.then(|| io.input(2));
        let places = self.windows.targets(source.items).places();
        for (y, (item, place)) in io.output().chunks_exact_mut(filters).zip(places) {
            for (f, y) in y.iter_mut().enumerate() {
                let taps = self.windows.seen(place, source.extents);
                let sum: F = taps
                    .map(|(tap, seen)| {
                        let from = source.at(item, seen) * channels;
                        let weight = |c: usize| w[(tap * channels + c) * filters + f];
                        (0..channels).map(|c| x[from + c] * weight(c)).sum::<F>()
                    })
                    .sum();
                *y = bias.map_or(sum, |bias| sum + bias[f]);
            }
        }
    }
}

impl Op for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = 2 + usize::from(self.bias);
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let (source, channels) = self.windows.sources(&inputs[0])?;
        let [taps, rows, filters] = dims(&inputs[1])?;
        ensure(taps == self.windows.taps() && rows == channels, || {
            format!("the kernel is {}, of windows {:?} over {}", inputs[1], self.windows, inputs[0])
        })?;
        let bias = inputs.get(2).is_none_or(|bias| bias.dims() == [filters]);
        ensure(bias, || format!("the bias is {}, not [{filters}]", inputs[2]))?;
        Ok(vec![self.windows.targets(source.items).ty(filters).of(self.output)])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (source, terms) = self.windows.sources(&s.inputs[0])?;
        let (rows, columns) = (s.outputs[0].shape.rows(), s.outputs[0].shape.last());
        let parts = (0, 1);
        let kernels = find(&KERNELS, stored(s))?;
        let product =
            Product { kernels, windows: self.windows, source, rows, columns, terms, parts };
        Ok(product
            .multiply(false)?
            .constant("HAS_BIAS", u8::from(self.bias))
            .bind("a", Operand::Input(0))
            .bind("b", Operand::Input(1))
            .bind("bias", Operand::Input(if self.bias { 2 } else { 1 }))
            .bind("out", Operand::Output(0))
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None; operands.inputs.len()]) };
        let (x, w, windows) = (operands.inputs[0], operands.inputs[1], self.windows);
        let (source, _) = windows.sources(&graph[x].ty)?;
        let input = ConvInput { windows, source: source.extents };
        let mut all = vec![
            Some(graph.apply(input, &[g, w])?),
            Some(graph.apply(ConvKernel { windows }, &[x, g])?),
        ];
        if self.bias {
            all.push(Some(graph.apply(SumRows, &[g])?));
        }
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(s, s.outputs[0].shape.rows(), s.inputs[1].len())
    }
}
