//! Enlargement of images with weights between pixels.

use crate::common::{arity, ensure, threads};
use crate::conv::pixels;
use crate::{Case, Definition, Pixels, Sample};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};

/// WGSL module of [`Interpolate`] and [`InterpolateBackward`] (`shaders/interpolate.wgsl`).
static SHADER: Shader = Shader::new(
    "interpolate",
    &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::shared::WINDOWS, rnn_shaders::INTERPOLATE],
);

/// Enlarges each of three axes by a whole factor s, linearly between the centres of pixels; of two
/// axes, bilinearly. Along an axis of A pixels (`interpolation="bilinear"` of
/// keras/src/layers/reshaping/up_sampling2d.py, on TensorFlow):
///
/// ```text
/// y(p) = (1 - r) x(q) + r x(q + 1),  q + r = (p + 1/2) / s - 1/2,  q whole, 0 <= r < 1
/// ```
///
/// A pixel beyond an end counts as the one at the end.
///
/// Input: x `[N, D, H, W, C]`, or `[D, N, H, W, C]` if `leading`. Output: y, with D, H and W times
/// the factors.
#[derive(Clone, Debug)]
pub struct Interpolate {
    /// The factors of D, H and W, 1 or more.
    pub factors: [usize; 3],
    /// True if the D axis precedes the batch axis, false if the batch axis comes first.
    pub leading: bool,
}

/// Gradient of x of an [`Interpolate`]: each pixel sums dy of the pixels that it has a weight in,
/// times that weight. Input: dy, of y's shape. Output: dx, of x's shape.
#[derive(Clone, Debug)]
pub struct InterpolateBackward(pub Interpolate);

impl Interpolate {
    /// Returns the two pixels of an axis of `extent` pixels between which pixel `at` of y lies, and
    /// their weights.
    fn between(factor: usize, at: usize, extent: usize) -> [(usize, f64); 2] {
        // In units of half a pixel of y.
        let center = (2 * at + 1) as isize - factor as isize;
        let pixel = 2 * factor as isize;
        let (first, rest) = (center.div_euclid(pixel), center.rem_euclid(pixel));
        let far = rest as f64 / pixel as f64;
        let inside = |at: isize| at.clamp(0, extent as isize - 1) as usize;
        [(inside(first), 1.0 - far), (inside(first + 1), far)]
    }

    /// Iterates over the pixels of x that have a weight in the pixel of y at `at`.
    fn corners(
        &self,
        at: [usize; 3],
        source: [usize; 3],
    ) -> impl Iterator<Item = ([usize; 3], f64)> + use<> {
        let axes = [0, 1, 2].map(|i| Self::between(self.factors[i], at[i], source[i]));
        let corners = (0..8).map(move |corner: usize| {
            let [d, h, w] = [0, 1, 2].map(|axis| axes[axis][corner >> axis & 1]);
            ([d.0, h.0, w.0], d.1 * h.1 * w.1)
        });
        corners.filter(|(_, weight)| *weight > 0.0)
    }

    /// Calls `visit` with the pixels of x and of y for each weight.
    fn visit(&self, source: Pixels, mut visit: impl FnMut(usize, usize, f64)) {
        for (pixel, (item, at)) in self.enlarged(source).places().enumerate() {
            for (seen, weight) in self.corners(at, source.extents) {
                visit(source.at(item, seen), pixel, weight);
            }
        }
    }

    fn enlarged(&self, source: Pixels) -> Pixels {
        let extents = [0, 1, 2].map(|i| source.extents[i] * self.factors[i]);
        Pixels { extents, ..source }
    }

    /// Returns the pixels and the channels of x.
    fn source(&self, x: &TensorType) -> Result<(Pixels, usize), OpError> {
        let whole = !self.factors.contains(&0);
        ensure(whole, || format!("the factors {:?}, of which one is 0", self.factors))?;
        pixels(x, self.leading)
    }

    /// Returns the pixels and the channels of x, given the type of y.
    fn source_of(&self, y: &TensorType) -> Result<(Pixels, usize), OpError> {
        let (enlarged, channels) = self.source(y)?;
        let extents = [0, 1, 2].map(|i| enlarged.extents[i] / self.factors[i]);
        let source = Pixels { extents, ..enlarged };
        let whole = self.enlarged(source) == enlarged;
        ensure(whole, || format!("{y}, enlarged by {:?}", self.factors))?;
        Ok((source, channels))
    }

    fn launch(
        &self,
        entry: &'static str,
        (source, channels): (Pixels, usize),
        count: usize,
    ) -> Result<Launch, OpError> {
        let [d, h, w] = source.extents;
        let target = self.enlarged(source).extents;
        let launch = Launch::new(&SHADER, entry, threads(count)?)
            .constant("LEADING", u8::from(self.leading))
            .param("count", count)
            .param("items", source.items)
            .param("channels", channels)
            .bind("x", Operand::Input(0))
            .bind("out", Operand::Output(0));
        let constants = [
            ("SOURCE_D", d),
            ("SOURCE_H", h),
            ("SOURCE_W", w),
            ("TARGET_D", target[0]),
            ("TARGET_H", target[1]),
            ("TARGET_W", target[2]),
            ("STRIDE_D", self.factors[0]),
            ("STRIDE_H", self.factors[1]),
            ("STRIDE_W", self.factors[2]),
        ];
        let constants = constants.into_iter();
        Ok(constants.fold(launch, |launch, (name, value)| launch.constant(name, value as u32)))
    }
}

impl Definition for Interpolate {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok((source, channels)) = self.source(&io.signature.inputs[0]) else { return };
        let x = io.input(0);
        let y = io.output();
        y.fill(F::zero());
        self.visit(source, |from, to, weight| {
            let (x, weight) = (&x[from * channels..][..channels], F::of(weight));
            let y = y[to * channels..][..channels].iter_mut();
            y.zip(x).for_each(|(y, &x)| *y = *y + weight * x);
        });
    }
}

impl Op for Interpolate {
    fn name(&self) -> &'static str {
        "interpolate"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let (source, channels) = self.source(x)?;
        Ok(vec![self.enlarged(source).ty(channels)])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = self.launch("forward", self.source(&s.inputs[0])?, s.outputs[0].len())?;
        Ok(launch.iterations(iterations(8, 0)).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        _: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(InterpolateBackward(self.clone()), &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 16 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for InterpolateBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok((source, channels)) = self.0.source_of(&io.signature.inputs[0]) else { return };
        let dy = io.input(0);
        let dx = io.output();
        dx.fill(F::zero());
        self.0.visit(source, |to, from, weight| {
            let (dy, weight) = (&dy[from * channels..][..channels], F::of(weight));
            let dx = dx[to * channels..][..channels].iter_mut();
            dx.zip(dy).for_each(|(dx, &dy)| *dx = *dx + weight * dy);
        });
    }
}

impl Op for InterpolateBackward {
    fn name(&self) -> &'static str {
        "interpolate_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [dy] = arity(inputs)?;
        let (source, channels) = self.0.source_of(dy)?;
        Ok(vec![source.ty(channels)])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = self.0.launch("backward", self.0.source_of(&s.inputs[0])?, s.outputs[0].len());
        // The pixels of y in which a pixel has a weight, and one more along each axis.
        let each = self.0.factors.iter().rev();
        let most = each.fold(0, |inner, factor| iterations(2 * factor + 1, inner));
        Ok(launch?.iterations(most).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        _: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(self.0.clone(), &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 16 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Interpolate`] and [`InterpolateBackward`], for
/// [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, factors, extents, leading) in [
        ("2x2", [1, 2, 2], [1, 3, 4], false),
        ("3x2", [1, 3, 2], [1, 4, 3], false),
        ("3x1x4 leading", [3, 1, 4], [3, 2, 2], true),
        ("1x1", [1, 5, 3], [1, 1, 1], false),
        ("2x3x2", [2, 3, 2], [2, 3, 4], false),
    ] {
        let source = Pixels { items: 2, extents, leading };
        let op = Interpolate { factors, leading };
        let sample = |pixels: Pixels| vec![Sample::Normal(pixels.ty(3).dims().to_vec())];
        let (x, dy) = (sample(source), sample(op.enlarged(source)));
        let forward = Case::new(format!("interpolate {name}"), op.clone(), x);
        let op = InterpolateBackward(op);
        let backward = Case::new(format!("interpolate_backward {name}"), op, dy);
        cases.extend([forward.gradient(&[0]), backward.gradient(&[0])]);
    }
    cases
}
