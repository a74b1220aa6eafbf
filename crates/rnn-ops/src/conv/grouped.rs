//! Convolutions whose channels are cut into groups, computed directly: a group has too few channels
//! to fill the tiles of a product.

use super::{Pixels, Windows};
use crate::common::{self, arity, dims, ensure};
use crate::{Definition, SumRows};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};

/// WGSL module of [`GroupedConv`] and its gradients (`shaders/conv/grouped.wgsl`).
static SHADER: Shader = Shader::new(
    "grouped_conv",
    &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::shared::WINDOWS, rnn_shaders::conv::GROUPED],
);

/// A convolution in `groups` groups (keras/src/layers/convolutional/base_conv.py). The C channels of
/// x and the F filters are cut into runs of equal length; a filter sees the channels of its own
/// group alone. For the window p of each pixel of y, and each filter f:
///
/// ```text
/// y(p, f) = sum over taps j and c < C / groups of
///           x(p stride + j dilation - before, g(f) C / groups + c) W_j(c, f) + b(f)
/// g(f) = f groups / F, rounded down
/// ```
///
/// With C groups this is a depthwise convolution, whose kernel `[taps, C, M]` of M filters for each
/// channel is W in memory.
///
/// Inputs: x `[N, D, H, W, C]`, or `[D, N, H, W, C]` with [`Windows::leading`]; W
/// `[taps, C / groups, F]`; b `[F]` if `bias`. Output: y, with x's order of axes, F channels and one
/// pixel per window.
#[derive(Clone, Debug)]
pub struct GroupedConv {
    /// Placement of the windows over the input.
    pub windows: Windows,
    /// Number of groups, a divisor of C and of F.
    pub groups: usize,
    /// True if the bias b is the third input; false if nothing is added.
    pub bias: bool,
}

/// Gradient of the input x of a [`GroupedConv`]: dx(q, c) is the sum of dy(p, f) W_j(c, f) over the
/// filters f of the group of c, and over all windows p and taps j for which tap j of window p sees
/// pixel q.
///
/// Inputs: dy, of the shape of [`GroupedConv`]'s y; W `[taps, C / groups, F]`. Output: dx, of x's
/// shape.
#[derive(Clone, Debug)]
pub struct GroupedConvInput {
    /// The forward op's windows.
    pub windows: Windows,
    /// D, H and W of the forward input, in pixels.
    pub source: [usize; 3],
    /// The forward op's number of groups.
    pub groups: usize,
}

/// Gradient of the kernel W of a [`GroupedConv`]: dW_j(c, f) is the sum of x(p stride + j dilation -
/// before, g(f) C / groups + c) dy(p, f) over all windows p.
///
/// Inputs: x; dy, of the shape of [`GroupedConv`]'s y. Output: dW `[taps, C / groups, F]`.
#[derive(Clone, Debug)]
pub struct GroupedConvKernel {
    /// The forward op's windows.
    pub windows: Windows,
    /// The forward op's number of groups.
    pub groups: usize,
}

/// The pixels of x, and the channels and filters of all groups and of one.
struct Grouping {
    windows: Windows,
    source: Pixels,
    /// C and F.
    all: [usize; 2],
    /// C / groups and F / groups.
    each: [usize; 2],
}

impl Grouping {
    /// Checks that the groups divide channels and filters.
    fn new(
        windows: Windows,
        (source, channels): (Pixels, usize),
        filters: usize,
        groups: usize,
    ) -> Result<Self, OpError> {
        let whole = channels.is_multiple_of(groups) && filters.is_multiple_of(groups);
        let fits = groups > 0 && filters > 0 && whole;
        ensure(fits, || format!("{groups} groups of {channels} channels and {filters} filters"))?;
        let each = [channels / groups, filters / groups];
        Ok(Self { windows, source, all: [channels, filters], each })
    }

    fn kernel(&self) -> TensorType {
        TensorType::f32([self.windows.taps(), self.each[0], self.all[1]])
    }

    /// Calls `visit` for each product of y's sums, with the indices of the elements of x, W and y.
    fn visit(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([channels, filters], [own_channels, own_filters]) = (self.all, self.each);
        let places = self.windows.targets(self.source.items).places();
        for (target, (item, place)) in places.enumerate() {
            for (tap, seen) in self.windows.seen(place, self.source.extents) {
                let pixel = self.source.at(item, seen);
                for f in 0..filters {
                    for c in 0..own_channels {
                        let channel = f / own_filters * own_channels + c;
                        let weight = (tap * own_channels + c) * filters + f;
                        visit(pixel * channels + channel, weight, target * filters + f);
                    }
                }
            }
        }
    }

    /// Returns a launch of `threads` threads for `count` elements. A sum over windows has `parts.1`
    /// parts of `parts.0` windows.
    fn launch(
        &self,
        entry: &'static str,
        (threads, count): (usize, usize),
        parts: (usize, usize),
    ) -> Result<Launch, OpError> {
        let launch = Launch::new(&SHADER, entry, common::threads(threads)?)
            .constant("GROUP_CHANNELS", self.each[0] as u32)
            .constant("GROUP_FILTERS", self.each[1] as u32)
            .param("count", count)
            .param("per_part", parts.0)
            .param("parts", parts.1)
            .param("items", self.source.items)
            .param("channels", self.all[0])
            .param("filters", self.all[1]);
        Ok(self.windows.describe(launch, self.source.extents))
    }
}

/// Returns the cost: a multiply-add per tap, channel of a group and element of y.
fn cost(s: &Signature, y: &TensorType, kernel: &TensorType) -> Cost {
    Cost { flops: 2 * (y.shape.rows() * kernel.len()) as u64, bytes: s.bytes() }
}

impl GroupedConv {
    fn grouping(&self, inputs: &[TensorType]) -> Result<Grouping, OpError> {
        let filters = inputs[1].shape.last();
        Grouping::new(self.windows, self.windows.sources(&inputs[0])?, filters, self.groups)
    }
}

impl Definition for GroupedConv {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(grouping) = self.grouping(&io.signature.inputs) else { return };
        let (x, w) = (io.input(0), io.input(1));
        let bias = self.bias.then(|| io.input(2));
        let y = io.output();
        for y in y.chunks_exact_mut(grouping.all[1]) {
            match bias {
                Some(bias) => y.copy_from_slice(bias),
                None => y.fill(F::zero()),
            }
        }
        grouping.visit(|at, weight, to| y[to] = y[to] + x[at] * w[weight]);
    }
}

impl Op for GroupedConv {
    fn name(&self) -> &'static str {
        "grouped_conv"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = 2 + usize::from(self.bias);
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let [_, _, filters] = dims(&inputs[1])?;
        let grouping = self.grouping(inputs)?;
        ensure(inputs[1] == grouping.kernel(), || {
            format!("the kernel is {}, not {}", inputs[1], grouping.kernel())
        })?;
        let bias = inputs.get(2).is_none_or(|bias| bias.dims() == [filters]);
        ensure(bias, || format!("the bias is {}, not [{filters}]", inputs[2]))?;
        Ok(vec![self.windows.targets(grouping.source.items).ty(filters)])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let grouping = self.grouping(&s.inputs)?;
        Ok(grouping
            .launch("convolve", (s.outputs[0].len(), s.outputs[0].len()), ONE_PART)?
            .iterations(iterations(self.windows.taps(), iterations(grouping.each[0], 0)))
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
        let Self { windows, groups, bias } = *self;
        let (x, w) = (operands.inputs[0], operands.inputs[1]);
        let source = windows.sources(&graph[x].ty)?.0.extents;
        let mut all = vec![
            Some(graph.apply(GroupedConvInput { windows, source, groups }, &[g, w])?),
            Some(graph.apply(GroupedConvKernel { windows, groups }, &[x, g])?),
        ];
        if bias {
            all.push(Some(graph.apply(SumRows, &[g])?));
        }
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(s, &s.outputs[0], &s.inputs[1])
    }
}

impl GroupedConvInput {
    fn grouping(&self, inputs: &[TensorType]) -> Result<Grouping, OpError> {
        let (targets, filters) = self.windows.results(&inputs[0])?;
        let [_, own_channels, _] = dims(&inputs[1])?;
        let source = Pixels { extents: self.source, ..targets };
        let x = source.ty(own_channels * self.groups);
        Grouping::new(self.windows, self.windows.sources(&x)?, filters, self.groups)
    }
}

impl Definition for GroupedConvInput {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(grouping) = self.grouping(&io.signature.inputs) else { return };
        let (dy, w) = (io.input(0), io.input(1));
        let dx = io.output();
        dx.fill(F::zero());
        grouping.visit(|to, weight, at| dx[to] = dx[to] + dy[at] * w[weight]);
    }
}

impl Op for GroupedConvInput {
    fn name(&self) -> &'static str {
        "grouped_conv_input"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [dy, w] = arity(inputs)?;
        let grouping = self.grouping(inputs)?;
        ensure(*w == grouping.kernel(), || format!("the kernel is {w}, the gradient {dy}"))?;
        Ok(vec![grouping.source.ty(grouping.all[0])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let grouping = self.grouping(&s.inputs)?;
        Ok(grouping
            .launch("convolve_input", (s.outputs[0].len(), s.outputs[0].len()), ONE_PART)?
            .iterations(iterations(self.windows.taps(), iterations(grouping.each[1], 0)))
            .bind("a", Operand::Input(0))
            .bind("b", Operand::Input(1))
            .bind("out", Operand::Output(0))
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(s, &s.inputs[0], &s.inputs[1])
    }
}

/// The parts of a launch that sums over no windows.
const ONE_PART: (usize, usize) = (0, 1);
/// Threads that keep a large device busy.
const MANY_THREADS: usize = 1 << 18;
/// Windows that a thread sums at least, if there are as many.
const FEW_WINDOWS: usize = 64;

impl GroupedConvKernel {
    fn grouping(&self, inputs: &[TensorType]) -> Result<Grouping, OpError> {
        let filters = inputs[1].shape.last();
        Grouping::new(self.windows, self.windows.sources(&inputs[0])?, filters, self.groups)
    }
}

impl Definition for GroupedConvKernel {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(grouping) = self.grouping(&io.signature.inputs) else { return };
        let (x, dy) = (io.input(0), io.input(1));
        let dw = io.output();
        dw.fill(F::zero());
        grouping.visit(|at, weight, from| dw[weight] = dw[weight] + x[at] * dy[from]);
    }
}

impl Op for GroupedConvKernel {
    fn name(&self) -> &'static str {
        "grouped_conv_kernel"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, dy] = arity(inputs)?;
        let (targets, _) = self.windows.results(dy)?;
        let grouping = self.grouping(inputs)?;
        ensure(grouping.source.items == targets.items, || format!("input {x}, gradient {dy}"))?;
        Ok(vec![grouping.kernel()])
    }

    /// The sum over all windows is split into parts, whose number depends on the shapes alone,
    /// unless a part would exceed the device's loop limit.
    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let grouping = self.grouping(&s.inputs)?;
        let (count, windows) = (s.outputs[0].len(), s.inputs[1].shape.rows());
        let most = usize::try_from(limits.loop_iterations - 1).unwrap_or(usize::MAX).max(1);
        let usual = (windows / FEW_WINDOWS).clamp(1, (MANY_THREADS / count).max(1));
        let per_part = windows.div_ceil(usual.max(windows.div_ceil(most)));
        let parts = windows.div_ceil(per_part);
        let to = if parts == 1 { Operand::Output(0) } else { Operand::Scratch(0) };
        let multiply = grouping
            .launch("convolve_kernel", (count * parts, count), (per_part, parts))?
            .iterations(iterations(per_part, 0))
            .bind("a", Operand::Input(0))
            .bind("b", Operand::Input(1))
            .bind("out", to);
        if parts == 1 {
            return Ok(multiply.into());
        }
        let add = grouping
            .launch("add_parts", (count, count), (per_part, parts))?
            .iterations(iterations(parts, 0))
            .bind("a", Operand::Scratch(0))
            .bind("out", Operand::Output(0));
        Ok(Work { scratch: vec![parts * count], launches: vec![multiply, add] })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(s, &s.inputs[1], &s.outputs[0])
    }
}
