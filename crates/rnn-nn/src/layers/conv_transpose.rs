use super::OutputActivation;
use super::convolution::{Convolution, convolution_arguments};
use super::spatial::{PerAxis, Spatial};
use crate::layer::{
    Argument, Arguments, Dialect, ForwardContext, MaskFlow, Reader, Value, Weight, WeightArguments,
};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::Attribute::Ints;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{ConvInput, Padding, Windows};
use serde_json::json;

/// A transposed convolution over N axes: `[A1, .., AN, C]` -> `[A1', .., AN', filters]`. Its windows
/// lie over the output, and each input pixel p adds to all pixels that its window sees
/// (keras/src/layers/convolutional/base_conv_transpose.py):
///
/// ```text
/// y(q) = activation(sum over p and taps j with p stride + j dilation - before = q of x(p) W_j^T + b)
/// W [K1, .., KN, filters, C], b [filters]
/// A' = (A - 1) stride + R + output_padding              valid: before = 0
/// A' = (A - 1) stride + R mod 2 + output_padding        same: before as for a Conv over A'
/// R = (K - 1) dilation + 1
/// ```
///
/// Without `output_padding`, A' = (A - 1) stride + max(R, stride) with valid padding, and A stride
/// with same. This is the gradient of the input of a [`Conv`](crate::Conv) over the output. Channels
/// come last. A mask ends here.
#[derive(Clone, Debug)]
pub struct ConvTranspose<const N: usize> {
    filters: usize,
    output_padding: OutputPadding<N>,
    kernel: WeightArguments,
    common: Convolution<N>,
}

/// A transposed convolution over time: `[T, C]` -> `[T', filters]`, with the equations of
/// [`ConvTranspose`].
pub type Conv1DTranspose = ConvTranspose<1>;

/// A transposed convolution over images: `[H, W, C]` -> `[H', W', filters]`, with the equations of
/// [`ConvTranspose`].
pub type Conv2DTranspose = ConvTranspose<2>;

/// A transposed convolution over volumes or videos: `[D, H, W, C]` -> `[D', H', W', filters]`, with
/// the equations of [`ConvTranspose`].
pub type Conv3DTranspose = ConvTranspose<3>;

const EXPECTED: &str = "as many axes as its windows, and channels; with same padding and windows of an even reach also \
     an output padding of 1 or more";

impl<const N: usize> ConvTranspose<N> {
    /// Creates a layer of `filters` filters over windows of `kernel_size` pixels, one number for all
    /// axes or one for each, with Keras's defaults: stride 1, dilation 1, valid padding, no
    /// activation, a bias of zeros and a Glorot-uniform kernel. If `filters` or a size is 0, it is
    /// refused when a model adds the layer.
    pub fn new(filters: usize, kernel_size: impl PerAxis<N>) -> Self {
        let kernel = Initializer::GlorotUniform.into();
        let output_padding = OutputPadding(None);
        Self { filters, output_padding, kernel, common: Convolution::new(kernel_size) }
    }

    /// Sets the number of pixels that are added at the end of the output, along all axes or along
    /// each, in place of what Keras derives from the stride. A number that is not below the stride
    /// is refused when a model adds the layer.
    pub fn output_padding(mut self, output_padding: impl PerAxis<N>) -> Self {
        self.output_padding = OutputPadding(Some(output_padding.per_axis()));
        self
    }

    convolution_arguments!();
    weight_arguments!(kernel, kernel_initializer, kernel_regularizer, kernel_constraint);

    /// The number of pixels that a window reaches over along an axis.
    fn reach(&self, axis: usize) -> usize {
        let Spatial { size, dilation_rate, .. } = self.common.spatial;
        (size[axis] - 1) * dilation_rate[axis] + 1
    }

    /// The extents of the output for these of the input, and the windows over it.
    fn over(&self, extents: &[usize]) -> Option<(Vec<usize>, Windows)> {
        let spatial = &self.common.spatial;
        if extents.len() != N || extents.contains(&0) || spatial.size.contains(&0) {
            return None;
        }
        let extent = |axis: usize| {
            let (stride, reach) = (spatial.strides[axis], self.reach(axis));
            let added = self.output_padding.0.map(|padding| padding[axis]);
            let last = match spatial.padding {
                Padding::Same => added.map_or(stride, |added| reach % 2 + added),
                _ => added.map_or(reach.max(stride), |added| reach + added),
            };
            (extents[axis] - 1).checked_mul(stride)?.checked_add(last)
        };
        let output: Vec<usize> = (0..N).map(extent).collect::<Option<_>>()?;
        let fits = spatial.results(&output)? == extents;
        Some((output.clone(), spatial.over(&output, true)?)).filter(|_| fits)
    }

    fn shape(&self, input: &[usize]) -> Result<(usize, Vec<usize>), LayerError> {
        let misfit = || LayerError::new(self.class(), EXPECTED, input);
        let (&channels, extents) = input.split_last().ok_or_else(misfit)?;
        let (output, _) = self.over(extents).ok_or_else(misfit)?;
        let z = [output, vec![self.filters]].concat();
        Ok((channels, self.common.activation.shape(self.class(), z)?))
    }
}

impl<const N: usize> Layer for ConvTranspose<N> {
    fn class(&self) -> &'static str {
        ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"][N - 1]
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let shape = self.common.kernel_shape([self.filters, self.shape(input)?.0]);
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
        let x = input.tensor;
        let extents = Spatial::<N>::extents(cx, x);
        let misfit = || cx.misfit(self.class(), x, EXPECTED);
        let (output, windows) = self.over(&extents).ok_or_else(misfit)?;
        let kernel = [windows.taps(), self.filters, cx.graph.shape(x).last()];
        let kernel = cx.graph.reshape(w[0], kernel)?;
        let op = ConvInput { windows, source: Spatial::<N>::placed(&output) };
        let z = Spatial::<N>::apply(cx, op, (x, &[kernel]), &output)?;
        let z = Convolution::<N>::add_bias(cx, z, w.get(1))?;
        self.common.finish(cx, z)
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    /// ONNX makes A' = (A - 1) stride + R + output_padding - the pixels cut off at both ends.
    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { value, dims } = cx.input()?;
        let extents = dims.split_last().map_or(&[][..], |(_, extents)| extents);
        let output = self.over(extents).ok_or_else(|| cx.refuse(format!("it takes {EXPECTED}")))?.0;
        let strides = self.common.spatial.strides;
        let ends = |axis: usize| {
            let whole = (extents[axis] - 1) * strides[axis] + self.reach(axis);
            let (cut, added) =
                (whole.saturating_sub(output[axis]), output[axis].saturating_sub(whole));
            [cut / 2, cut - cut / 2, added].map(|pixels| pixels as i64)
        };
        let ends: Vec<[i64; 3]> = (0..N).map(ends).collect();
        let of = |i: usize| ends.iter().map(move |ends| ends[i]);
        let windows = self.common.spatial.onnx();
        let attributes = [
            ("kernel_shape", Ints(windows.size)),
            ("strides", Ints(windows.strides)),
            ("dilations", Ints(windows.dilations)),
            ("pads", Ints(of(0).chain(of(1)).collect())),
            ("output_padding", Ints(of(2).collect())),
        ];
        // [K1, .., KN, filters, C] as [C, filters, K1, .., KN].
        let kernel = cx.conv_kernel("kernel", N)?;
        let mut operands = vec![cx.channels_first(&value, N), cx.graph.tensor("kernel", &kernel)];
        if self.common.use_bias {
            operands.push(cx.constant_weight("bias")?);
        }
        let operands: Vec<&ValueName> = operands.iter().collect();
        let z = cx.node("ConvTranspose", &operands, &attributes);
        let z = cx.channels_last(&z, N);
        Ok(vec![self.common.activation.apply_onnx(cx, &z)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("filters", &mut self.filters)?;
        self.common.spatial.arguments(a, false)?;
        let Spatial { strides, dilation_rate, .. } = self.common.spatial;
        if strides != [1; N] && dilation_rate != [1; N] {
            let supported = format!("1, as the strides are {strides:?}");
            return Err(a.refuse("dilation_rate", &json!(dilation_rate.to_vec()), supported));
        }
        a.optional("output_padding", &mut self.output_padding)?;
        let given = self.output_padding.0.unwrap_or([0; N]);
        if given.iter().zip(strides).any(|(&padding, stride)| padding >= stride) {
            let supported = format!("numbers below the strides {strides:?}");
            return Err(a.refuse("output_padding", &json!(given.to_vec()), supported));
        }
        self.common.output_arguments(a, &mut [("kernel", &mut self.kernel)])
    }
}

/// Pixels at the end of each axis, or null.
#[derive(Clone, Copy, Debug)]
struct OutputPadding<const N: usize>(Option<[usize; N]>);

impl<const N: usize> Argument for OutputPadding<N> {
    fn supported() -> String {
        format!("null, a whole number from 0 on, or {N} of them")
    }

    fn read(value: &serde_json::Value, _: Dialect) -> Option<Self> {
        let number = |n: &serde_json::Value| {
            n.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n < 1 << 31)
        };
        Some(Self(match value {
            serde_json::Value::Null => None,
            serde_json::Value::Array(list) => {
                Some(list.iter().map(number).collect::<Option<Vec<_>>>()?.try_into().ok()?)
            }
            one => Some([number(one)?; N]),
        }))
    }

    fn write(&self, reader: Reader) -> Option<serde_json::Value> {
        Some(match self.0 {
            None => serde_json::Value::Null,
            Some(padding) if N == 1 && reader == Reader::Keras => json!(padding[0]),
            Some(padding) => json!(padding.to_vec()),
        })
    }
}
