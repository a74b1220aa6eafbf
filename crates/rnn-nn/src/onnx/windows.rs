//! Windows over one to three axes. ONNX has channels before these axes, Keras after them.

use super::OnnxContext;
use crate::error::ExportError;
use rnn_core::HostTensor;
use rnn_formats::onnx::Attribute::{self, Int, Ints};
use rnn_formats::onnx::ValueName;
use rnn_ops::Padding;

/// The windows of a layer over N axes, with ONNX's names for their numbers.
pub(crate) struct OnnxWindows {
    /// The number of taps of a window along each axis.
    pub size: Vec<i64>,
    /// The distance in pixels between neighbouring windows along each axis.
    pub strides: Vec<i64>,
    /// The distance in pixels between neighbouring taps along each axis.
    pub dilations: Vec<i64>,
    /// The padding along all axes.
    pub padding: Padding,
}

impl OnnxWindows {
    /// Returns the attributes `kernel_shape`, `strides` and `pads` of a pooling operator over an
    /// input of the extents `extents`, without batch and channels. [`Padding::Same`] makes
    /// ceil(extent / stride) windows and adds an odd pixel of padding at the end
    /// (keras/src/backend/common/backend_utils.py).
    pub fn attributes(&self, extents: &[usize]) -> Vec<(&'static str, Attribute)> {
        let pad = |axis: usize| {
            let (extent, stride) = (extents[axis] as i64, self.strides[axis]);
            let reach = (self.size[axis] - 1) * self.dilations[axis];
            match self.padding {
                Padding::Same => {
                    let windows = (extent + stride - 1) / stride;
                    let all = ((windows - 1) * stride + reach + 1 - extent).max(0);
                    [all / 2, all - all / 2]
                }
                Padding::Causal => [reach, 0],
                Padding::Valid => [0, 0],
            }
        };
        let pads: Vec<[i64; 2]> = (0..self.size.len().min(extents.len())).map(pad).collect();
        let pads = pads.iter().map(|pad| pad[0]).chain(pads.iter().map(|pad| pad[1])).collect();
        vec![
            ("kernel_shape", Ints(self.size.clone())),
            ("strides", Ints(self.strides.clone())),
            ("pads", Ints(pads)),
        ]
    }

    /// Returns the attributes of a convolution over an input of these extents: those of
    /// [`Self::attributes`], and `dilations`.
    pub fn conv_attributes(&self, extents: &[usize]) -> Vec<(&'static str, Attribute)> {
        let mut attributes = self.attributes(extents);
        attributes.push(("dilations", Ints(self.dilations.clone())));
        attributes
    }
}

impl OnnxContext<'_> {
    /// `[B, A1, .., AN, C]` as `[B, C, A1, .., AN]`.
    pub(crate) fn channels_first(&mut self, x: &ValueName, axes: usize) -> ValueName {
        let last = axes as i64 + 1;
        let order: Vec<i64> = [0, last].into_iter().chain(1..last).collect();
        self.transpose(x, &order)
    }

    /// `[B, C, A1, .., AN]` as `[B, A1, .., AN, C]`.
    pub(crate) fn channels_last(&mut self, x: &ValueName, axes: usize) -> ValueName {
        let last = axes as i64 + 1;
        let order: Vec<i64> = [0].into_iter().chain(2..=last).chain([1]).collect();
        self.transpose(x, &order)
    }

    /// A kernel `[K1, .., KN, in, out]` as ONNX has it, `[out, in, K1, .., KN]`.
    pub(crate) fn conv_kernel(&self, name: &str, axes: usize) -> Result<HostTensor, ExportError> {
        let order: Vec<usize> = [axes + 1, axes].into_iter().chain(0..axes).collect();
        self.transposed(name, &order)
    }

    /// Adds a convolution of x, channels first, with a kernel as ONNX has it in a number of groups,
    /// and the weight `bias`.
    pub(crate) fn conv(
        &mut self,
        x: ValueName,
        (kernel, groups): (HostTensor, usize),
        windows: &OnnxWindows,
        extents: &[usize],
        use_bias: bool,
    ) -> Result<ValueName, ExportError> {
        let mut operands = vec![x, self.graph.tensor("kernel", &kernel)];
        if use_bias {
            operands.push(self.constant_weight("bias")?);
        }
        let operands: Vec<&ValueName> = operands.iter().collect();
        let mut attributes = windows.conv_attributes(extents);
        attributes.push(("group", Int(groups as i64)));
        Ok(self.node("Conv", &operands, &attributes))
    }
}
