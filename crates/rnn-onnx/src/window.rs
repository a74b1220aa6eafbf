//! Layers that move windows over one to three axes. ONNX has channels before these axes, Keras
//! behind.

use crate::convert::activation;
use crate::layer::{Layer, Tensor};
use crate::{ExportError, convert};
use rnn_core::HostTensor;
use rnn_formats::onnx::Attribute::{self, Int, Ints, Text};
use rnn_formats::onnx::{Graph, ValueName};

pub(crate) fn channels_first(graph: &mut Graph, x: &ValueName, axes: usize) -> ValueName {
    let last = axes as i64 + 1;
    let order = [0, last].into_iter().chain(1..last).collect();
    graph.node("Transpose", &[x], &[("perm", Ints(order))])
}

pub(crate) fn channels_last(graph: &mut Graph, x: &ValueName, axes: usize) -> ValueName {
    let last = axes as i64 + 1;
    let order = [0].into_iter().chain(2..=last).chain([1]).collect();
    graph.node("Transpose", &[x], &[("perm", Ints(order))])
}

/// The windows of a layer.
pub(crate) struct Windows {
    pub size: Vec<i64>,
    pub strides: Vec<i64>,
    pub dilations: Vec<i64>,
    pub padding: String,
}

impl Windows {
    /// Those of a convolution.
    pub fn of(layer: &Layer) -> Result<Self, ExportError> {
        Ok(Self {
            size: layer.ints("kernel_size")?,
            strides: layer.ints("strides")?,
            dilations: layer.ints("dilation_rate")?,
            padding: layer.text("padding")?.to_owned(),
        })
    }

    /// What ONNX calls them, over these extents. `same` makes ceil(extent / stride) windows and
    /// puts the odd pixel of padding behind (keras/src/backend/common/backend_utils.py).
    pub fn attributes(&self, extents: &[usize]) -> Vec<(&'static str, Attribute)> {
        let pad = |axis: usize| {
            let (extent, stride) = (extents[axis] as i64, self.strides[axis]);
            let reach = (self.size[axis] - 1) * self.dilations[axis];
            match self.padding.as_str() {
                "same" => {
                    let windows = (extent + stride - 1) / stride;
                    let all = ((windows - 1) * stride + reach + 1 - extent).max(0);
                    [all / 2, all - all / 2]
                }
                "causal" => [reach, 0],
                _ => [0, 0],
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

    /// The same for a convolution, which has dilations in every version of its operator.
    pub fn conv_attributes(&self, extents: &[usize]) -> Vec<(&'static str, Attribute)> {
        let mut attributes = self.attributes(extents);
        attributes.push(("dilations", Ints(self.dilations.clone())));
        attributes
    }
}

/// A kernel `[.., in, out]` as ONNX has it, `[out, in, ..]`.
pub(crate) fn kernel(layer: &Layer, name: &str) -> Result<HostTensor, ExportError> {
    let axes = layer.axes();
    let order: Vec<usize> = [axes + 1, axes].into_iter().chain(0..axes).collect();
    layer.transposed(name, &order)
}

fn extents(tensor: &Tensor) -> &[usize] {
    tensor.dims.split_last().map_or(&[], |(_, extents)| extents)
}

pub(crate) fn conv(graph: &mut Graph, layer: &Layer) -> Result<ValueName, ExportError> {
    let input = layer.input()?;
    let x = channels_first(graph, &input.value, layer.axes());
    let mut operands = vec![x, graph.tensor("kernel", &kernel(layer, "kernel")?)];
    if layer.flag("use_bias") {
        operands.push(graph.tensor("bias", layer.weight("bias")?));
    }
    let attributes = Windows::of(layer)?.conv_attributes(extents(input));
    let z = graph.node("Conv", &operands.iter().collect::<Vec<_>>(), &attributes);
    let z = channels_last(graph, &z, layer.axes());
    activation(graph, layer, "activation", &z)
}

pub(crate) fn pool(graph: &mut Graph, layer: &Layer, op: &str) -> Result<ValueName, ExportError> {
    let input = layer.input()?;
    let size = layer.ints("pool_size")?;
    let windows = Windows {
        strides: layer.ints("strides")?,
        dilations: vec![1; size.len()],
        padding: layer.text("padding")?.to_owned(),
        size,
    };
    let x = channels_first(graph, &input.value, layer.axes());
    let pooled = graph.node(op, &[&x], &windows.attributes(extents(input)));
    Ok(channels_last(graph, &pooled, layer.axes()))
}

pub(crate) fn global_pool(
    graph: &mut Graph,
    layer: &Layer,
    op: &str,
) -> Result<ValueName, ExportError> {
    let axes = Ints((1..=layer.axes() as i64).collect());
    Ok(graph.node(op, &[&layer.input()?.value], &[("axes", axes), ("keepdims", Int(0))]))
}

/// Each pixel becomes a block of itself.
pub(crate) fn up_sampling(graph: &mut Graph, layer: &Layer) -> Result<ValueName, ExportError> {
    let size = layer.ints("size")?;
    let scales = [1].iter().chain(&size).chain(&[1]).map(|&s| s as f32).collect::<Vec<f32>>();
    let scales = graph.tensor("scales", &layer.tensor([scales.len()], scales)?);
    let attributes = [
        ("mode", Text("nearest".into())),
        ("coordinate_transformation_mode", Text("asymmetric".into())),
        ("nearest_mode", Text("floor".into())),
    ];
    let operands = [&layer.input()?.value, &ValueName::none(), &scales];
    let enlarged = graph.node("Resize", &operands, &attributes);
    Ok(convert::reshape(graph, &enlarged, &[&[-1], &convert::signed(layer.output())[..]].concat()))
}
