use crate::ConfigError;
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, Reader};
use crate::onnx::OnnxWindows;
use rnn_graph::{GraphError, Op, TensorId};
use rnn_ops::{Padding, Windows};
use serde_json::Value;

/// An argument of a layer over N axes: one number for all axes, or an array with one for each.
pub trait PerAxis<const N: usize> {
    /// Returns the number for each axis.
    fn per_axis(self) -> [usize; N];
}

impl<const N: usize> PerAxis<N> for usize {
    fn per_axis(self) -> [usize; N] {
        [self; N]
    }
}

impl<const N: usize> PerAxis<N> for [usize; N] {
    fn per_axis(self) -> [usize; N] {
        self
    }
}

/// Windows over N axes, before their extents are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spatial<const N: usize> {
    /// The number of taps of a window along each axis.
    pub size: [usize; N],
    /// The distance in pixels between neighbouring windows along each axis.
    pub strides: [usize; N],
    /// The distance in pixels between neighbouring taps of a window along each axis.
    pub dilation_rate: [usize; N],
    /// The padding along all axes.
    pub padding: Padding,
}

impl<const N: usize> Spatial<N> {
    /// Creates windows of this size with stride 1, dilation 1 and valid padding.
    pub fn new(size: impl PerAxis<N>) -> Self {
        let size = size.per_axis();
        Self { size, strides: [1; N], dilation_rate: [1; N], padding: Padding::Valid }
    }

    /// Visits the arguments by Keras's names: `kernel_size`, `strides`, `padding` and
    /// `dilation_rate`. The padding may be causal if `causal` is true.
    ///
    /// # Errors
    /// Fails if the size is missing, or the value of an argument is not supported.
    pub fn arguments(&mut self, a: &mut Arguments<'_>, causal: bool) -> Result<(), ConfigError> {
        a.required("kernel_size", &mut self.size)?;
        a.optional("strides", &mut self.strides)?;
        match causal {
            true => a.optional("padding", &mut self.padding)?,
            false => self.padding_argument(a)?,
        }
        a.optional("dilation_rate", &mut self.dilation_rate)
    }

    /// Visits the argument `padding` of a layer that has no causal padding.
    ///
    /// # Errors
    /// Fails if the padding is causal or unknown.
    pub fn padding_argument(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        let mut padding = NotCausal(self.padding);
        a.optional("padding", &mut padding)?;
        self.padding = padding.0;
        Ok(())
    }

    /// Returns the same windows in the form of the ONNX export.
    pub fn onnx(&self) -> OnnxWindows {
        let ints = |values: [usize; N]| values.iter().map(|&value| value as i64).collect();
        OnnxWindows {
            size: ints(self.size),
            strides: ints(self.strides),
            dilations: ints(self.dilation_rate),
            padding: self.padding,
        }
    }

    /// Returns the number of positions in a window, the product of its sizes along all axes.
    pub fn taps(&self) -> usize {
        self.size.iter().product()
    }

    /// Of N axes, where each stands among D, H and W. The first leads in a tensor
    /// `[A1, B, A2, .., C]`; the last is W, whose pixels are neighbours in memory.
    fn places(leading: bool) -> [usize; N] {
        std::array::from_fn(|axis| if leading && axis == 0 { 0 } else { 3 - N + axis })
    }

    /// Returns the windows over an input with these N extents; `None` if they do not fit. `leading`
    /// is true for a tensor `[A1, B, A2, .., C]`, whose first axis precedes the batch.
    pub fn over(&self, extents: &[usize], leading: bool) -> Option<Windows> {
        let mut all = [1; 3];
        let mut shapes = [(1, 1, 1); 3];
        for (axis, place) in Self::places(leading).into_iter().enumerate() {
            all[place] = *extents.get(axis)?;
            shapes[place] = (self.size[axis], self.strides[axis], self.dilation_rate[axis]);
        }
        Windows::over(all, shapes, self.padding, leading)
    }

    /// Returns the number of windows along each axis of an input with these extents; `None` if
    /// there are not N of them or the windows do not fit.
    pub fn results(&self, extents: &[usize]) -> Option<Vec<usize>> {
        let windows = self.over(extents, true).filter(|_| extents.len() == N)?;
        Some(Self::places(true).map(|place| windows.axes[place].windows).to_vec())
    }

    /// Returns the N extents of a tensor `[A1, B, A2, .., C]` in a graph.
    pub fn extents(cx: &ForwardContext<'_>, x: TensorId) -> Vec<usize> {
        let axes = cx.graph.shape(x).dims();
        [&axes[..1], &axes[2..=N]].concat()
    }

    /// Returns D, H and W of a tensor with these N extents, of which the first leads; 1 where there
    /// is no such axis.
    ///
    /// # Panics
    /// Panics if there are fewer than N extents.
    pub fn placed(extents: &[usize]) -> [usize; 3] {
        let [depth, _, height, width, _] = Self::pixels([extents[0], 1], extents, 1, true);
        [depth, height, width]
    }

    /// Applies an op on five axes to `x`, `[A1, B, A2, .., C]`, and to `others`. Returns its result
    /// as `[A1', B, A2', .., C']`, where A' are the N extents `results`.
    pub fn apply(
        cx: &mut ForwardContext<'_>,
        op: impl Op,
        (x, others): (TensorId, &[TensorId]),
        results: &[usize],
    ) -> Result<TensorId, GraphError> {
        let slices = [0, 1].map(|axis| cx.graph.shape(x).dims()[axis]);
        let (extents, channels) = (Self::extents(cx, x), cx.graph.shape(x).last());
        let pixels = cx.graph.reshape(x, Self::pixels(slices, &extents, channels, true))?;
        let result = cx.graph.apply(op, &[&[pixels], others].concat())?;
        let channels = cx.graph.shape(result).last();
        let shape = [&results[..1], &[slices[1]], &results[1..], &[channels]].concat();
        cx.graph.reshape(result, shape)
    }

    /// Returns the shape of a tensor as an op on five axes takes it: `[slices[0], slices[1], H, W,
    /// channels]`. `slices` are the batch and D, in their order in memory. H and W are taken from
    /// the N `extents`, and are 1 if there is no such axis. `leading` is true if the first of the
    /// extents precedes the batch in memory.
    ///
    /// # Panics
    /// Panics if there are fewer than N extents.
    pub fn pixels(
        slices: [usize; 2],
        extents: &[usize],
        channels: usize,
        leading: bool,
    ) -> [usize; 5] {
        let mut all = [slices[0], slices[1], 1, 1, channels];
        for (axis, place) in Self::places(leading).into_iter().enumerate() {
            if place > 0 {
                all[place + 1] = extents[axis];
            }
        }
        all
    }
}

/// The padding of a layer that has no causal one: every layer with windows but `Conv1D`.
struct NotCausal(Padding);

impl Argument for NotCausal {
    fn supported() -> String {
        "valid, same".into()
    }

    fn read(value: &Value, dialect: Dialect) -> Option<Self> {
        Padding::read(value, dialect).filter(|padding| *padding != Padding::Causal).map(Self)
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        self.0.write(reader)
    }
}
