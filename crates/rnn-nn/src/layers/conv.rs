use super::OutputActivation;
use super::convolution::{Convolution, EXPECTED, convolution_arguments};
use super::dense::project;
use super::spatial::{PerAxis, Spatial};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value, Weight, WeightArguments};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_core::DType;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops, Columns, Concat, GroupedConv, Windows};

/// A convolution over N axes: `[A1, .., AN, C]` -> `[A1', .., AN', filters]`. p is the position of
/// a window, j that of a tap in it; A' is the number of windows along an axis of A pixels with K
/// taps.
///
/// ```text
/// y(p) = activation(sum over taps j of x(p stride + j dilation - before) W_j + b)
/// W [K1, .., KN, C, filters], b [filters]
/// A' = (A - (K - 1) dilation - 1) / stride + 1, rounded down    valid: before = 0
/// A' = A / stride, rounded up                                   same: half of what is missing
/// ```
///
/// x is zero beyond its ends, and `before` is the number of these zeros at the beginning of an
/// axis. As in Keras (keras/src/layers/convolutional/base_conv.py) this is a cross-correlation. With
/// [`Self::groups`] the channels and the filters are cut into as many equal parts; a filter sees the
/// channels of its part alone, and W has C / groups of them. Unlike in Keras, channels are always
/// last. A mask ends here.
#[derive(Clone, Debug)]
pub struct Conv<const N: usize> {
    filters: usize,
    groups: usize,
    kernel: WeightArguments,
    common: Convolution<N>,
}

/// A convolution over time: `[T, C]` -> `[T', filters]`, with the equations of [`Conv`]. With
/// causal padding all zeros come first, so that y(t) depends on x up to t alone.
pub type Conv1D = Conv<1>;

/// A convolution over images: `[H, W, C]` -> `[H', W', filters]`; the equations are those of
/// [`Conv`].
pub type Conv2D = Conv<2>;

/// A convolution over volumes or videos: `[D, H, W, C]` -> `[D', H', W', filters]`; the equations
/// are those of [`Conv`].
pub type Conv3D = Conv<3>;

/// Groups of fewer channels or filters than this are convolved directly, wider ones each as a
/// matrix product, whose tiles they fill.
const WIDE: usize = 16;

impl<const N: usize> Conv<N> {
    /// Creates a layer of `filters` filters over windows of `kernel_size` pixels, one number for
    /// all axes or one for each, with Keras's defaults: stride 1, dilation 1, valid padding, one
    /// group, no activation, a bias of zeros and a Glorot-uniform kernel. If `filters` or a size is
    /// 0, it is refused when a model adds the layer.
    pub fn new(filters: usize, kernel_size: impl PerAxis<N>) -> Self {
        let kernel = Initializer::GlorotUniform.into();
        Self { filters, groups: 1, kernel, common: Convolution::new(kernel_size) }
    }

    /// Sets the number of groups into which channels and filters are cut; the default is 1. If it
    /// does not divide both, it is refused when a model adds the layer.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    convolution_arguments!();
    weight_arguments!(kernel, kernel_initializer, kernel_regularizer, kernel_constraint);

    /// The shape of the output, and the channels that a filter sees.
    fn shape(&self, input: &[usize]) -> Result<(usize, Vec<usize>), LayerError> {
        let (channels, output) = self.common.shape(self.class(), input, |_| Some(self.filters))?;
        match self.groups > 0 && channels.is_multiple_of(self.groups) {
            true => Ok((channels / self.groups, output)),
            false => Err(LayerError::new(self.class(), "channels that its groups divide", input)),
        }
    }

    /// The convolution in groups. `w` are the kernel `[taps, C / groups, filters]`, and the bias if
    /// there is one.
    fn convolve_groups(
        &self,
        cx: &mut ForwardContext<'_>,
        (windows, results): (Windows, &[usize]),
        x: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let groups = self.groups;
        let (channels, filters) = (cx.graph.shape(x).last() / groups, self.filters / groups);
        if channels < WIDE || filters < WIDE {
            let op = GroupedConv { windows, groups, bias: w.len() > 1 };
            return Spatial::<N>::apply(cx, op, (x, w), results);
        }
        let mut parts = Vec::new();
        for group in 0..groups {
            let seen = Columns { start: group * channels, width: channels };
            let x = cx.graph.apply(seen, &[x])?;
            let mut part = |&w: &TensorId| {
                cx.graph.apply(Columns { start: group * filters, width: filters }, &[w])
            };
            let w = w.iter().map(&mut part).collect::<Result<Vec<_>, _>>()?;
            let op = ops::Conv { windows, bias: w.len() > 1, output: DType::F32 };
            parts.push(Spatial::<N>::apply(cx, op, (x, &w), results)?);
        }
        cx.graph.apply(Concat, &parts)
    }
}

impl<const N: usize> Layer for Conv<N> {
    fn class(&self) -> &'static str {
        ["Conv1D", "Conv2D", "Conv3D"][N - 1]
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let shape = self.common.kernel_shape([self.shape(input)?.0, self.filters]);
        let kernel = Weight::new("kernel", &shape, &self.kernel);
        Ok(self.common.weights(vec![kernel], self.filters))
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(self.shape(input)?.1)
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let (x, spatial) = (input.tensor, &self.common.spatial);
        let extents = Spatial::<N>::extents(cx, x);
        let fit = spatial.over(&extents, true).zip(spatial.results(&extents));
        let (windows, results) = fit.ok_or_else(|| cx.misfit(self.class(), x, EXPECTED))?;
        let channels = cx.graph.shape(x).last();
        let taps = spatial.taps();
        let z = if self.groups > 1 {
            let kernel = [taps, channels / self.groups, self.filters];
            let w = [&[cx.graph.reshape(w[0], kernel)?], &w[1..]].concat();
            self.convolve_groups(cx, (windows, &results), x, &w)?
        } else if taps > 1 || spatial.strides != [1; N] {
            let w = [&[cx.graph.reshape(w[0], [taps, channels, self.filters])?], &w[1..]].concat();
            let op = ops::Conv { windows, bias: w.len() > 1, output: DType::F32 };
            Spatial::<N>::apply(cx, op, (x, &w), &results)?
        } else {
            // A product for each pixel.
            let kernel = cx.graph.reshape(w[0], [channels, self.filters])?;
            project(cx, x, kernel, w.get(1).copied())?
        };
        self.common.finish(cx, z)
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { value, dims } = cx.input()?;
        let extents = dims.split_last().map_or(&[][..], |(_, extents)| extents);
        let x = cx.channels_first(&value, N);
        let windows = self.common.spatial.onnx();
        let kernel = cx.conv_kernel("kernel", N)?;
        let z = cx.conv(x, (kernel, self.groups), &windows, extents, self.common.use_bias)?;
        let z = cx.channels_last(&z, N);
        Ok(vec![self.common.activation.apply_onnx(cx, &z)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("filters", &mut self.filters)?;
        self.common.spatial.arguments(a, N == 1)?;
        a.optional("groups", &mut self.groups)?;
        if !self.filters.is_multiple_of(self.groups) {
            let supported = format!("a divisor of filters = {}", self.filters);
            return Err(a.refuse("groups", &self.groups.into(), supported));
        }
        self.common.output_arguments(a, &mut [("kernel", &mut self.kernel)])
    }
}
