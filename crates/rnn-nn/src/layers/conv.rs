use super::OutputActivation;
use super::dense::project;
use super::spatial::{PerAxis, Spatial};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value, Weight, WeightArguments};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_core::DType;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops, Padding, Penalty};

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
/// axis. As in Keras (keras/src/layers/convolutional/base_conv.py) this is a cross-correlation.
/// Unlike in Keras there are no `groups`, and channels are always last. A mask ends here.
#[derive(Clone, Debug)]
pub struct Conv<const N: usize> {
    filters: usize,
    spatial: Spatial<N>,
    activation: OutputActivation,
    use_bias: bool,
    kernel: WeightArguments,
    bias: WeightArguments,
    activity_regularizer: Option<Penalty>,
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

impl<const N: usize> Conv<N> {
    /// Creates a layer of `filters` filters over windows of `kernel_size` pixels, one number for
    /// all axes or one for each, with Keras's defaults: stride 1, dilation 1, valid padding, no
    /// activation, a bias of zeros and a Glorot-uniform kernel. If `filters` or a size is 0, it is
    /// refused when a model adds the layer.
    pub fn new(filters: usize, kernel_size: impl PerAxis<N>) -> Self {
        Self {
            filters,
            spatial: Spatial::new(kernel_size),
            activation: OutputActivation::default(),
            use_bias: true,
            kernel: Initializer::GlorotUniform.into(),
            bias: Initializer::Zeros.into(),
            activity_regularizer: None,
        }
    }

    /// Sets the distance in pixels between neighbouring windows, along all axes or along each; the
    /// default is 1.
    pub fn strides(mut self, strides: impl PerAxis<N>) -> Self {
        self.spatial.strides = strides.per_axis();
        self
    }

    /// Sets the distance in pixels between neighbouring taps of a window, along all axes or along
    /// each; the default is 1.
    pub fn dilation_rate(mut self, dilation_rate: impl PerAxis<N>) -> Self {
        self.spatial.dilation_rate = dilation_rate.per_axis();
        self
    }

    /// Sets the padding; the default is [`Padding::Valid`]. [`Padding::Causal`] is for [`Conv1D`]
    /// alone, and is refused for others when a model adds the layer.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.spatial.padding = padding;
        self
    }

    /// Sets the activation of the output, which is linear by default.
    pub fn activation(mut self, activation: impl Into<OutputActivation>) -> Self {
        self.activation = activation.into();
        self
    }

    /// Leaves out the bias, which the layer has by default.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }

    /// Sets the penalty on the output that is added to the loss, in place of an earlier one; there
    /// is none by default.
    pub fn activity_regularizer(mut self, regularizer: Penalty) -> Self {
        self.activity_regularizer = Some(regularizer);
        self
    }

    weight_arguments!(kernel, kernel_initializer, kernel_regularizer, kernel_constraint);
    weight_arguments!(bias, bias_initializer, bias_regularizer, bias_constraint);
}

impl<const N: usize> Layer for Conv<N> {
    fn class(&self) -> &'static str {
        ["Conv1D", "Conv2D", "Conv3D"][N - 1]
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.output_shape(input)?;
        let shape = [&self.spatial.size[..], &[input[N], self.filters]].concat();
        let mut all = vec![Weight::new("kernel", &shape, &self.kernel)];
        let bias = || Weight::new("bias", &[self.filters], &self.bias);
        all.extend(self.use_bias.then(bias));
        Ok(all)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let extents = input.split_last().map(|(_, extents)| extents);
        let results = extents.and_then(|extents| self.spatial.results(extents));
        let expected = "as many axes as its windows, as long as they are, and channels";
        let misfit = || LayerError::new(self.class(), expected, input);
        let z = [results.ok_or_else(misfit)?, vec![self.filters]].concat();
        self.activation.shape(self.class(), z)
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let axes = cx.graph.shape(input.tensor).dims().to_vec();
        let (batch, channels) = (axes[1], axes[N + 1]);
        let extents = [&axes[..1], &axes[2..=N]].concat();
        let taps = self.spatial.taps();
        let bias = w.get(1).copied();
        let windows = self.spatial.over(&extents, true);
        let z = match windows.filter(|_| taps > 1 || self.spatial.strides != [1; N]) {
            // A product for each pixel; the model has checked that windows fit.
            None => {
                let kernel = cx.graph.reshape(w[0], [channels, self.filters])?;
                project(cx, input.tensor, kernel, bias)?
            }
            Some(windows) => {
                let pixels = Spatial::<N>::pixels([axes[0], batch], &extents, channels, true);
                let x = cx.graph.reshape(input.tensor, pixels)?;
                let mut operands = vec![x, cx.graph.reshape(w[0], [taps, channels, self.filters])?];
                operands.extend(bias);
                let z = cx.graph.apply(
                    ops::Conv { windows, bias: bias.is_some(), output: DType::F32 },
                    &operands,
                )?;
                let results = self.spatial.results(&extents).unwrap_or(extents);
                let shape = [&results[..1], &[batch], &results[1..], &[self.filters]].concat();
                cx.graph.reshape(z, shape)?
            }
        };
        let output = self.activation.apply(cx, z)?;
        cx.regularize(output, self.activity_regularizer.as_ref())?;
        Ok(output.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { value, dims } = cx.input()?;
        let extents = dims.split_last().map_or(&[][..], |(_, extents)| extents);
        let x = cx.channels_first(&value, N);
        let z = cx.conv(x, &self.spatial.onnx(), extents, self.use_bias)?;
        let z = cx.channels_last(&z, N);
        Ok(vec![self.activation.apply_onnx(cx, &z)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("filters", &mut self.filters)?;
        self.spatial.arguments(a, N == 1)?;
        a.fixed("groups", 1)?;
        a.optional("activation", &mut self.activation)?;
        a.optional("use_bias", &mut self.use_bias)?;
        a.weight("kernel", &mut self.kernel)?;
        a.weight("bias", &mut self.bias)?;
        a.in_training("activity_regularizer", &mut self.activity_regularizer)
    }
}
