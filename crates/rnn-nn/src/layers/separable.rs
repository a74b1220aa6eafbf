use super::OutputActivation;
use super::convolution::{Convolution, EXPECTED, convolution_arguments};
use super::dense::project;
use super::spatial::{PerAxis, Spatial};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value, Weight, WeightArguments};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::GroupedConv;

/// A depthwise convolution over N axes: each channel is convolved by itself, with M kernels, M being
/// the depth multiplier: `[A1, .., AN, C]` -> `[A1', .., AN', C M]`
/// (keras/src/layers/convolutional/base_depthwise_conv.py).
///
/// ```text
/// y(p, c M + m) = activation(sum over taps j of x(p stride + j dilation - before, c) W_j(c, m) + b)
/// W [K1, .., KN, C, M], b [C M]
/// ```
///
/// Windows and extents are those of [`Conv`](crate::Conv). Channels come last. A mask ends here.
#[derive(Clone, Debug)]
pub struct DepthwiseConv<const N: usize> {
    depth_multiplier: usize,
    kernel: WeightArguments,
    common: Convolution<N>,
}

/// A depthwise convolution over time: `[T, C]` -> `[T', C M]`, with the equations of
/// [`DepthwiseConv`].
pub type DepthwiseConv1D = DepthwiseConv<1>;

/// A depthwise convolution over images: `[H, W, C]` -> `[H', W', C M]`, with the equations of
/// [`DepthwiseConv`].
pub type DepthwiseConv2D = DepthwiseConv<2>;

/// A [`DepthwiseConv`] without bias and activation, whose outputs z of each pixel are then
/// multiplied by a matrix P: `[A1, .., AN, C]` -> `[A1', .., AN', filters]`
/// (keras/src/layers/convolutional/base_separable_conv.py).
///
/// ```text
/// y(p) = activation(z(p) P + b)
/// W [K1, .., KN, C, M], P [1, .., 1, C M, filters], b [filters]
/// ```
///
/// Channels come last. A mask ends here.
#[derive(Clone, Debug)]
pub struct SeparableConv<const N: usize> {
    filters: usize,
    depth_multiplier: usize,
    depthwise: WeightArguments,
    pointwise: WeightArguments,
    common: Convolution<N>,
}

/// A separable convolution over time: `[T, C]` -> `[T', filters]`, with the equations of
/// [`SeparableConv`].
pub type SeparableConv1D = SeparableConv<1>;

/// A separable convolution over images: `[H, W, C]` -> `[H', W', filters]`, with the equations of
/// [`SeparableConv`].
pub type SeparableConv2D = SeparableConv<2>;

impl<const N: usize> DepthwiseConv<N> {
    /// Creates a layer over windows of `kernel_size` pixels, one number for all axes or one for
    /// each, with Keras's defaults: stride 1, dilation 1, valid padding, a depth multiplier of 1, no
    /// activation, a bias of zeros and a Glorot-uniform kernel. If a size is 0, it is refused when a
    /// model adds the layer.
    pub fn new(kernel_size: impl PerAxis<N>) -> Self {
        let kernel = Initializer::GlorotUniform.into();
        Self { depth_multiplier: 1, kernel, common: Convolution::new(kernel_size) }
    }

    /// Sets the number of outputs for each channel, at least 1; the default is 1.
    pub fn depth_multiplier(mut self, depth_multiplier: usize) -> Self {
        self.depth_multiplier = depth_multiplier;
        self
    }

    convolution_arguments!();
    weight_arguments!(kernel, depthwise_initializer, depthwise_regularizer, depthwise_constraint);

    fn shape(&self, input: &[usize]) -> Result<(usize, Vec<usize>), LayerError> {
        let filters = |channels: usize| channels.checked_mul(self.depth_multiplier);
        self.common.shape(self.class(), input, filters)
    }
}

impl<const N: usize> SeparableConv<N> {
    /// Creates a layer of `filters` filters over windows of `kernel_size` pixels, one number for all
    /// axes or one for each, with Keras's defaults: stride 1, dilation 1, valid padding, a depth
    /// multiplier of 1, no activation, a bias of zeros and Glorot-uniform kernels. If `filters` or a
    /// size is 0, it is refused when a model adds the layer.
    pub fn new(filters: usize, kernel_size: impl PerAxis<N>) -> Self {
        Self {
            filters,
            depth_multiplier: 1,
            depthwise: Initializer::GlorotUniform.into(),
            pointwise: Initializer::GlorotUniform.into(),
            common: Convolution::new(kernel_size),
        }
    }

    /// Sets the number of outputs of the depthwise convolution for each channel, at least 1; the
    /// default is 1.
    pub fn depth_multiplier(mut self, depth_multiplier: usize) -> Self {
        self.depth_multiplier = depth_multiplier;
        self
    }

    convolution_arguments!();
    weight_arguments!(
        depthwise,
        depthwise_initializer,
        depthwise_regularizer,
        depthwise_constraint
    );
    weight_arguments!(
        pointwise,
        pointwise_initializer,
        pointwise_regularizer,
        pointwise_constraint
    );

    fn shape(&self, input: &[usize]) -> Result<(usize, Vec<usize>), LayerError> {
        self.common.shape(self.class(), input, |_| Some(self.filters))
    }
}

/// Convolves each channel by itself; `w` are the kernel, and the bias if there is one.
fn depthwise<const N: usize>(
    cx: &mut ForwardContext<'_>,
    class: &'static str,
    spatial: &Spatial<N>,
    x: TensorId,
    w: &[TensorId],
) -> Result<TensorId, GraphError> {
    let extents = Spatial::<N>::extents(cx, x);
    let fit = spatial.over(&extents, true).zip(spatial.results(&extents));
    let (windows, results) = fit.ok_or_else(|| cx.misfit(class, x, EXPECTED))?;
    let groups = cx.graph.shape(x).last();
    let filters = cx.graph.shape(w[0]).len() / spatial.taps();
    let w = [&[cx.graph.reshape(w[0], [spatial.taps(), 1, filters])?], &w[1..]].concat();
    let op = GroupedConv { windows, groups, bias: w.len() > 1 };
    Spatial::<N>::apply(cx, op, (x, &w), &results)
}

/// Adds a depthwise convolution with the kernel `name` to an ONNX graph, channels first.
fn depthwise_onnx<const N: usize>(
    cx: &mut OnnxContext<'_>,
    spatial: &Spatial<N>,
    name: &str,
    use_bias: bool,
) -> Result<ValueName, ExportError> {
    let OnnxTensor { value, dims } = cx.input()?;
    let (channels, extents) = dims.split_last().ok_or_else(|| cx.refuse("an input of no axes"))?;
    let x = cx.channels_first(&value, N);
    // [K1, .., KN, C, M] as [C M, 1, K1, .., KN].
    let order: Vec<usize> = [N, N + 1].into_iter().chain(0..N).collect();
    let kernel = cx.transposed(name, &order)?;
    let filters = kernel.shape().dims()[..2].iter().product();
    let shape = [&[filters, 1], &spatial.size[..]].concat();
    let kernel = cx.tensor(shape, cx.floats(&kernel)?.to_vec())?;
    cx.conv(x, (kernel, *channels), &spatial.onnx(), extents, use_bias)
}

/// Visits the arguments of the windows, and the depth multiplier. Keras 2 writes arguments of Conv
/// that these layers do not use.
fn window_arguments<const N: usize>(
    a: &mut Arguments<'_>,
    spatial: &mut Spatial<N>,
    depth_multiplier: &mut usize,
) -> Result<(), ConfigError> {
    spatial.arguments(a, false)?;
    a.optional("depth_multiplier", depth_multiplier)?;
    a.fixed("groups", 1)?;
    if a.dialect().before_keras_3() {
        a.ignored(&["kernel_initializer", "kernel_regularizer", "kernel_constraint"]);
    }
    Ok(())
}

impl<const N: usize> Layer for DepthwiseConv<N> {
    fn class(&self) -> &'static str {
        ["DepthwiseConv1D", "DepthwiseConv2D"][N - 1]
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let channels = self.shape(input)?.0;
        let shape = self.common.kernel_shape([channels, self.depth_multiplier]);
        let kernel = Weight::new("kernel", &shape, &self.kernel);
        Ok(self.common.weights(vec![kernel], channels * self.depth_multiplier))
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
        let z = depthwise(cx, self.class(), &self.common.spatial, input.tensor, w)?;
        self.common.finish(cx, z)
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let z = depthwise_onnx(cx, &self.common.spatial, "kernel", self.common.use_bias)?;
        let z = cx.channels_last(&z, N);
        Ok(vec![self.common.activation.apply_onnx(cx, &z)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        window_arguments(a, &mut self.common.spatial, &mut self.depth_multiplier)?;
        self.common.output_arguments(a, &mut [("depthwise", &mut self.kernel)])
    }
}

impl<const N: usize> Layer for SeparableConv<N> {
    fn class(&self) -> &'static str {
        ["SeparableConv1D", "SeparableConv2D"][N - 1]
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let channels = self.shape(input)?.0;
        let misfit = || LayerError::new(self.class(), EXPECTED, input);
        let inner = channels.checked_mul(self.depth_multiplier).ok_or_else(misfit)?;
        let depthwise = self.common.kernel_shape([channels, self.depth_multiplier]);
        let pointwise = [&[1; N][..], &[inner, self.filters]].concat();
        let kernels = vec![
            Weight::new("depthwise_kernel", &depthwise, &self.depthwise),
            Weight::new("pointwise_kernel", &pointwise, &self.pointwise),
        ];
        Ok(self.common.weights(kernels, self.filters))
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
        let inner = depthwise(cx, self.class(), &self.common.spatial, input.tensor, &w[..1])?;
        let channels = cx.graph.shape(inner).last();
        let pointwise = cx.graph.reshape(w[1], [channels, self.filters])?;
        let z = project(cx, inner, pointwise, w.get(2).copied())?;
        self.common.finish(cx, z)
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let inner = depthwise_onnx(cx, &self.common.spatial, "depthwise_kernel", false)?;
        let pointwise = cx.conv_kernel("pointwise_kernel", N)?;
        let pixels = Spatial::<N>::new(1).onnx();
        let z = cx.conv(inner, (pointwise, 1), &pixels, &[1; N], self.common.use_bias)?;
        let z = cx.channels_last(&z, N);
        Ok(vec![self.common.activation.apply_onnx(cx, &z)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("filters", &mut self.filters)?;
        window_arguments(a, &mut self.common.spatial, &mut self.depth_multiplier)?;
        let kernels = &mut [("depthwise", &mut self.depthwise), ("pointwise", &mut self.pointwise)];
        self.common.output_arguments(a, kernels)
    }
}
