//! Pooling over up to three axes. N items have D x H x W pixels of C channels; each channel is
//! pooled by itself. [`Windows::leading`] decides whether the D axis precedes the batch axis.

use crate::common::{arity, ensure, pairwise_sum, threads};
use crate::conv::{Pixels, Windows, geometries};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    SliceMut, TensorId, TensorType, Work, iterations,
};

/// WGSL module of [`MaxPool`], [`AveragePool`] and their gradients (`shaders/pool.wgsl`).
pub static SHADER: Shader = Shader::new(
    "pool",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::WINDOWS,
        rnn_shaders::POOL,
    ],
);

/// Maximum of the pixels of each window, for each channel, and the index of the pixel that holds
/// it (keras/src/layers/pooling/base_pooling.py). Padding does not count. Of equal pixels the first counts. NaN counts as larger than every number, as in PyTorch and
/// in Keras's GlobalMaxPooling. A window that sees no pixel has the maximum 0 and the index
/// `u32::MAX`.
///
/// Input: x `[N, D, H, W, C]`, or `[D, N, H, W, C]` with [`Windows::leading`]. Outputs: y, with x's
/// order of axes and one pixel per window; and indices as [`Pixels::at`] counts them, u32 of y's
/// shape.
#[derive(Clone, Debug)]
pub struct MaxPool(pub Windows);

/// Gradient of x of a [`MaxPool`]: each pixel sums the gradients of the windows whose maximum it
/// is.
///
/// Inputs: dy, of the shape of [`MaxPool`]'s y; and the pixel indices of [`MaxPool`], u32 of the
/// same shape. Output: dx, of x's shape.
#[derive(Clone, Debug)]
pub struct MaxPoolBackward {
    /// The forward op's windows.
    pub windows: Windows,
    /// D, H and W of the forward input, in pixels.
    pub source: [usize; 3],
}

/// Mean of the pixels of each window, for each channel. Padding adds nothing to the sum or to the
/// number of pixels. A window that sees no pixel has the mean 0.
///
/// Input: x `[N, D, H, W, C]`, or `[D, N, H, W, C]` with [`Windows::leading`]. Output: y, with x's
/// order of axes and one pixel per window.
#[derive(Clone, Debug)]
pub struct AveragePool(pub Windows);

/// Gradient of x of an [`AveragePool`]: dx of a pixel is the sum, over the windows that see it, of
/// dy of the window divided by the number of pixels that the window sees. Input: dy, of the shape
/// of [`AveragePool`]'s y. Output: dx, of x's shape.
#[derive(Clone, Debug)]
pub struct AveragePoolBackward {
    /// The forward op's windows.
    pub windows: Windows,
    /// D, H and W of the forward input, in pixels.
    pub source: [usize; 3],
}

/// Returns the type of the forward input.
fn undo(windows: &Windows, source: [usize; 3], d: &TensorType) -> Result<TensorType, OpError> {
    let (targets, channels) = windows.results(d)?;
    let x = Pixels { extents: source, ..targets }.ty(channels);
    windows.sources(&x)?;
    Ok(x)
}

/// Returns launches over the elements of a tensor, each over as many taps as the device's loop
/// limit allows; `bind` adds bindings.
fn launches(
    windows: &Windows,
    (entry, source): (&'static str, &TensorType),
    elements: &TensorType,
    limits: &Limits,
    bind: impl Fn(Launch) -> Launch,
) -> Result<Work, OpError> {
    let (source, channels) = windows.sources(source)?;
    let taps = windows.taps();
    let most = usize::try_from(limits.loop_iterations - 1).unwrap_or(usize::MAX).clamp(1, taps);
    let launch = |first: usize| {
        let end = taps.min(first + most);
        let launch = Launch::new(&SHADER, entry, threads(elements.len())?)
            .iterations(iterations(end - first, 0))
            .bind("out", Operand::Output(0))
            .param("count", elements.len())
            .param("items", source.items)
            .param("channels", channels)
            .param("first_tap", first)
            .param("end_tap", end);
        Ok(bind(windows.describe(launch, source.extents)))
    };
    let launches: Result<Vec<_>, OpError> = (0..taps).step_by(most).map(launch).collect();
    Ok(launches?.into())
}

/// Returns the cost: one comparison or addition per tap.
fn cost(windows: &Windows, s: &Signature) -> Cost {
    Cost { flops: (s.outputs[0].len() * windows.taps()) as u64, bytes: s.bytes() }
}

impl Definition for MaxPool {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok((source, channels)) = self.0.sources(&io.signature.inputs[0]) else { return };
        let targets = self.0.targets(source.items);
        let x = io.input(0);
        let [SliceMut::Float(y), SliceMut::Uint(at)] = &mut io.outputs[..] else { return };
        for (i, (y, at)) in y.iter_mut().zip(at.iter_mut()).enumerate() {
            let (item, place) = targets.place(i / channels);
            let value = |pixel: usize| x[pixel * channels + i % channels];
            let larger = |best: usize, next: usize| {
                let (is, may_be) = (value(best), value(next));
                let replaces = may_be > is || (may_be.is_nan() && !is.is_nan());
                if replaces { next } else { best }
            };
            let seen = self.0.seen(place, source.extents).map(|(_, seen)| source.at(item, seen));
            // A window beyond the extents sees no pixel.
            let best = seen.reduce(larger);
            *y = best.map_or(F::zero(), value);
            *at = best.map_or(u32::MAX, |best| best as u32);
        }
    }
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let (source, channels) = self.0.sources(x)?;
        let y = self.0.targets(source.items).ty(channels);
        let at = TensorType { dtype: DType::U32, ..y.clone() };
        Ok(vec![y, at])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        launches(&self.0, ("maximum", &s.inputs[0]), &s.outputs[0], limits, |launch| {
            launch.bind("x", Operand::Input(0)).bind("pixel_out", Operand::Output(1))
        })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let source = self.0.sources(&graph[operands.inputs[0]].ty)?.0.extents;
        let op = MaxPoolBackward { windows: self.0, source };
        Ok(vec![Some(graph.apply(op, &[g, operands.outputs[1]])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(&self.0, s)
    }
}

impl Definition for MaxPoolBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let channels = io.signature.inputs[0].shape.last();
        let (d, at) = (io.input(0), io.uints(1));
        let dx = io.output();
        dx.fill(F::zero());
        for (i, (&d, &pixel)) in d.iter().zip(at).enumerate() {
            if let Some(dx) = dx.get_mut(pixel as usize * channels + i % channels) {
                *dx = *dx + d;
            }
        }
    }
}

impl Op for MaxPoolBackward {
    fn name(&self) -> &'static str {
        "max_pool_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [d, at] = arity(inputs)?;
        ensure(at.dtype == DType::U32 && at.shape == d.shape, || format!("{at} for {d}"))?;
        Ok(vec![undo(&self.windows, self.source, d)?])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let x = &s.outputs[0];
        launches(&self.windows, ("maximum_backward", x), x, limits, |launch| {
            launch.bind("x", Operand::Input(0)).bind("pixel_in", Operand::Input(1))
        })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(&self.windows, s)
    }
}

impl Definition for AveragePool {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok((source, channels)) = self.0.sources(&io.signature.inputs[0]) else { return };
        let places = self.0.targets(source.items).places();
        let x = io.input(0);
        for (y, (item, place)) in io.output().chunks_exact_mut(channels).zip(places) {
            let seen = || self.0.seen(place, source.extents).map(|(_, seen)| source.at(item, seen));
            let count = F::of(seen().count().max(1) as f64);
            for (c, y) in y.iter_mut().enumerate() {
                *y = pairwise_sum(seen().map(|pixel| x[pixel * channels + c])) / count;
            }
        }
    }
}

impl Op for AveragePool {
    fn name(&self) -> &'static str {
        "average_pool"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let (source, channels) = self.0.sources(x)?;
        Ok(vec![self.0.targets(source.items).ty(channels)])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        launches(&self.0, ("average", &s.inputs[0]), &s.outputs[0], limits, |launch| {
            launch.bind("x", Operand::Input(0))
        })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let source = self.0.sources(&graph[operands.inputs[0]].ty)?.0.extents;
        let op = AveragePoolBackward { windows: self.0, source };
        Ok(vec![Some(graph.apply(op, &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(&self.0, s)
    }
}

impl Definition for AveragePoolBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok((source, channels)) = self.windows.sources(&io.signature.outputs[0]) else { return };
        let places = self.windows.targets(source.items).places();
        let d = io.input(0);
        let dx = io.output();
        dx.fill(F::zero());
        for (d, (item, place)) in d.chunks_exact(channels).zip(places) {
            let seen = || self.windows.seen(place, source.extents);
            let count = F::of(seen().count().max(1) as f64);
            for (_, seen) in seen() {
                let from = source.at(item, seen) * channels;
                let pixel = dx[from..from + channels].iter_mut();
                pixel.zip(d).for_each(|(dx, &d)| *dx = *dx + d / count);
            }
        }
    }
}

impl Op for AveragePoolBackward {
    fn name(&self) -> &'static str {
        "average_pool_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [d] = arity(inputs)?;
        Ok(vec![undo(&self.windows, self.source, d)?])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let x = &s.outputs[0];
        launches(&self.windows, ("average_backward", x), x, limits, |launch| {
            launch.bind("x", Operand::Input(0))
        })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        _: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(AveragePool(self.windows), &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(&self.windows, s)
    }
}

/// Returns the test cases of [`MaxPool`], [`MaxPoolBackward`], [`AveragePool`] and
/// [`AveragePoolBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, windows, source) in geometries() {
        let x = || vec![Sample::Normal(source.ty(5).dims().to_vec())];
        let targets = windows.targets(source.items).ty(5).dims().to_vec();
        let d = Sample::Normal(targets.clone());
        cases.push(Case::new(format!("max_pool {name}"), MaxPool(windows), x()).gradient(&[0]));
        let average = Case::new(format!("average_pool {name}"), AveragePool(windows), x());
        cases.push(average.gradient(&[0]));
        let source_extents = source.extents;
        let op = AveragePoolBackward { windows, source: source_extents };
        cases.push(
            Case::new(format!("average_pool_backward {name}"), op, vec![d.clone()]).gradient(&[0]),
        );
        // The pixel at the middle of each window, which lies inside where padding is `same`.
        if name == "3x3 same" {
            let at = windows.targets(source.items).places();
            let at = at.flat_map(|(item, place)| [source.at(item, place) as u32; 5]).collect();
            let op = MaxPoolBackward { windows, source: source_extents };
            let inputs = vec![d, Sample::Exactly(targets, at)];
            cases.push(Case::new(format!("max_pool_backward {name}"), op, inputs));
        }
    }
    cases
}
