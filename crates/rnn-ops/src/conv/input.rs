use super::{Conv, ConvKernel, KERNELS, Product, Windows, cost};
use crate::Definition;
use crate::common::{arity, dims, ensure};
use crate::matmul::kernels::{find, stored};
use rnn_graph::{
    Cost, Graph, Io, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId, TensorType,
    Work,
};

/// Gradient of the input x of a [`crate::Conv`]: dx(q) is the sum of dy(p) W_j^T over all windows p
/// and taps j for which tap j of window p sees pixel q.
///
/// Inputs: dy `[N, D', H', W', F]`, with one pixel per window, and W `[taps, C, F]`. Output: dx
/// `[N, D, H, W, C]`, with D, H, W from `source`. With [`Windows::leading`] the axes N and D are
/// swapped in both.
///
/// This is also the transposed convolution of dy with the kernel W. It is linear in both: its
/// gradients are [`crate::Conv`] and [`crate::ConvKernel`], in which the gradient of dx is x.
#[derive(Clone, Debug)]
pub struct ConvInput {
    /// Placement of the windows over the input.
    pub windows: Windows,
    /// D, H and W of the forward input, in pixels.
    pub source: [usize; 3],
}

impl Definition for ConvInput {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok((targets, filters)) = self.windows.results(&io.signature.inputs[0]) else { return };
        let channels = io.signature.outputs[0].shape.last();
        let Ok((source, _)) = self.windows.sources(&io.signature.outputs[0]) else { return };
        let (dy, w) = (io.input(0), io.input(1));
        let dx = io.output();
        dx.fill(F::zero());
        for (dy, (item, place)) in dy.chunks_exact(filters).zip(targets.places()) {
            for (tap, seen) in self.windows.seen(place, self.source) {
                let from = source.at(item, seen) * channels;
                for (c, dx) in dx[from..from + channels].iter_mut().enumerate() {
                    let weights = &w[(tap * channels + c) * filters..][..filters];
                    let sum: F = dy.iter().zip(weights).map(|(&dy, &w)| dy * w).sum();
                    *dx = *dx + sum;
                }
            }
        }
    }
}

impl Op for ConvInput {
    fn name(&self) -> &'static str {
        "conv_input"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [dy, w] = arity(inputs)?;
        let (targets, filters) = self.windows.results(dy)?;
        let [taps, channels, columns] = dims(w)?;
        ensure(taps == self.windows.taps() && columns == filters, || {
            format!("the kernel is {w}, the gradient {dy}, of windows {:?}", self.windows)
        })?;
        let source = super::Pixels { extents: self.source, ..targets };
        self.windows.sources(&source.ty(channels))?;
        Ok(vec![source.ty(channels)])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (source, columns) = self.windows.sources(&s.outputs[0])?;
        let (rows, terms) = (s.outputs[0].shape.rows(), s.inputs[0].shape.last());
        let parts = (0, 1);
        let kernels = find(&KERNELS, stored(s))?;
        let product =
            Product { kernels, windows: self.windows, source, rows, columns, terms, parts };
        Ok(product
            .multiply(true)?
            .constant("HAS_BIAS", 0)
            .bind("a", Operand::Input(0))
            .bind("b", Operand::Input(1))
            .bind("bias", Operand::Input(1))
            .bind("out", Operand::Output(0))
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None; 2]) };
        let (dy, w, windows) = (operands.inputs[0], operands.inputs[1], self.windows);
        let output = graph[dy].ty.dtype;
        Ok(vec![
            Some(graph.apply(Conv { windows, bias: false, output }, &[g, w])?),
            Some(graph.apply(ConvKernel { windows }, &[g, dy])?),
        ])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(s, s.inputs[0].shape.rows(), s.inputs[1].len())
    }
}
