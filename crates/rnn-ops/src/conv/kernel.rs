use super::{KERNELS, Product, Windows, cost};
use crate::Definition;
use crate::common::{arity, ensure, threads};
use crate::matmul::kernels::{find, stored};
use crate::matmul::tile::{most_terms, usual_tiles};
use rnn_graph::{
    Cost, Io, Launch, Limits, Op, OpError, Operand, Real, Signature, TensorType, Work, iterations,
};

/// Gradient of the kernel W of a [`crate::Conv`]: dW_j is the sum of x(p stride + j dilation -
/// before)^T dy(p) over all windows p.
///
/// Inputs: x `[N, D, H, W, C]`; dy `[N, D', H', W', F]`, with one pixel per window. With
/// [`Windows::leading`] the axes N and D are swapped in both. Output: dW `[taps, C, F]`, in single
/// precision.
#[derive(Clone, Debug)]
pub struct ConvKernel {
    /// Placement of the windows over the input.
    pub windows: Windows,
}

impl Definition for ConvKernel {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok((source, channels)) = self.windows.sources(&io.signature.inputs[0]) else { return };
        let filters = io.signature.inputs[1].shape.last();
        let (x, dy) = (io.input(0), io.input(1));
        let dw = io.output();
        dw.fill(F::zero());
        let places = self.windows.targets(source.items).places();
        for (dy, (item, place)) in dy.chunks_exact(filters).zip(places) {
            for (tap, seen) in self.windows.seen(place, source.extents) {
                let from = source.at(item, seen) * channels;
                for c in 0..channels {
                    let row = &mut dw[(tap * channels + c) * filters..][..filters];
                    row.iter_mut().zip(dy).for_each(|(dw, &dy)| *dw = *dw + x[from + c] * dy);
                }
            }
        }
    }
}

impl Op for ConvKernel {
    fn name(&self) -> &'static str {
        "conv_kernel"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, dy] = arity(inputs)?;
        let (source, channels) = self.windows.sources(x)?;
        let (targets, filters) = self.windows.results(dy)?;
        ensure(source.items == targets.items, || format!("input {x}, gradient {dy}"))?;
        Ok(vec![TensorType::f32([self.windows.taps(), channels, filters])])
    }

    /// The sum over all pixels is split into parts, which keep the device busy. Their number
    /// depends on the shapes alone, unless a part would exceed the device's loop limit.
    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let (source, terms) = self.windows.sources(&s.inputs[0])?;
        let (rows, columns) = (self.windows.taps() * terms, s.inputs[1].shape.last());
        let pixels = s.inputs[1].shape.rows();
        let tiles = usual_tiles(rows, columns);
        let usual = (pixels / 512).clamp(1, (256 / tiles).max(1));
        let parts = usual.max(pixels.div_ceil(most_terms(limits.loop_iterations, 1)));
        let per_part = pixels.div_ceil(parts).next_multiple_of(16);
        let parts = pixels.div_ceil(per_part);
        let product = Product {
            kernels: find(&KERNELS, stored(s))?,
            windows: self.windows,
            source,
            rows,
            columns,
            terms,
            parts: (per_part, parts),
        };
        let to = if parts == 1 { Operand::Output(0) } else { Operand::Scratch(0) };
        let multiply = product
            .launch(("multiply_pixels", "multiply_few_pixels"), per_part)?
            .bind("a", Operand::Input(0))
            .bind("b", Operand::Input(1))
            .bind("out", to);
        if parts == 1 {
            return Ok(multiply.into());
        }
        let add = Launch::new(product.kernels, "add_parts", threads(rows * columns)?)
            .iterations(iterations(parts, 0));
        let add = product
            .describe(add)
            .bind("parts", Operand::Scratch(0))
            .bind("out", Operand::Output(0));
        Ok(Work { scratch: vec![parts * rows * columns], launches: vec![multiply, add] })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(s, s.inputs[1].shape.rows(), s.outputs[0].len())
    }
}
