//! ConvLSTM step by step: ONNX has no operator for it.
//!
//! z(t) = conv(x(t), W) + b + conv(h(t-1), U), of gates i, f, c, o;
//! c(t) = f c(t-1) + i act(z_c), h(t) = o act(c(t)).

use crate::convert::{activation, reshape, signed};
use crate::layer::Layer;
use crate::window::{Windows, channels_first, channels_last, kernel};
use crate::{ExportError, convert};
use rnn_formats::onnx::Attribute::Int;
use rnn_formats::onnx::{Graph, ValueName};

/// Twelve nodes a step: beyond this no runtime loads the graph in a reasonable time.
const MAX_STEPS: usize = 1000;

pub(crate) fn layer(graph: &mut Graph, layer: &Layer) -> Result<Vec<ValueName>, ExportError> {
    if layer.flag("stateful") {
        return Err(layer.refuse("it keeps its state between batches; use return_state"));
    }
    let axes = layer.axes();
    let steps = layer.input()?.dims.first().copied().unwrap_or(0);
    if !(1..=MAX_STEPS).contains(&steps) {
        return Err(layer.refuse(format!("{steps} steps, of which 1 to {MAX_STEPS} are unrolled")));
    }
    let sequence = layer.flag("return_sequences");
    let output = layer.output().get(usize::from(sequence)..).unwrap_or_default();
    let [extents @ .., filters] = output else { return Err(layer.refuse("a state of no axes")) };
    let projected = project(graph, layer, &[&[4 * filters], extents].concat())?;
    let mut order: Vec<usize> = (0..steps).collect();
    if layer.flag("go_backwards") {
        order.reverse();
    }
    let states = layer.inputs.get(1..).unwrap_or_default().iter();
    let mut states = states.map(|state| channels_first(graph, &state.value, axes));
    let mut state = states.next().zip(states.next());
    let same = Windows {
        size: layer.ints("kernel_size")?,
        strides: vec![1; axes],
        dilations: vec![1; axes],
        padding: "same".into(),
    };
    let same = same.conv_attributes(extents);
    let recurrent = graph.tensor("recurrent_kernel", &kernel(layer, "recurrent_kernel")?);
    let channels = graph.ints("axes", &[1]);
    let mut hidden = Vec::new();
    for step in order {
        let mut z = graph.node("Squeeze", &[&projected[step], &channels], &[]);
        if let Some((h, _)) = &state {
            let seen = graph.node("Conv", &[h, &recurrent], &same);
            z = graph.node("Add", &[&z, &seen], &[]);
        }
        let gates = graph.node_with_outputs("Split", &[&z], 4, &[("axis", Int(1))]);
        let gate = |graph: &mut Graph, i: usize, by| activation(graph, layer, by, &gates[i]);
        let [i, f, o] = [0, 1, 3].map(|i| gate(graph, i, "recurrent_activation"));
        let (i, f, o) = (i?, f?, o?);
        let candidate = gate(graph, 2, "activation")?;
        let mut c = graph.node("Mul", &[&i, &candidate], &[]);
        if let Some((_, before)) = &state {
            let kept = graph.node("Mul", &[&f, before], &[]);
            c = graph.node("Add", &[&kept, &c], &[]);
        }
        let shown = activation(graph, layer, "activation", &c)?;
        let h = graph.node("Mul", &[&o, &shown], &[]);
        hidden.push(h.clone());
        state = Some((h, c));
    }
    let (h, c) = state.ok_or_else(|| layer.refuse("no steps"))?;
    let last = channels_last(graph, &h, axes);
    let mut outputs = vec![last.clone()];
    if sequence {
        let mut step = |h: &ValueName| {
            let h = channels_last(graph, h, axes);
            graph.node("Unsqueeze", &[&h, &channels], &[])
        };
        let steps: Vec<ValueName> = hidden.iter().map(&mut step).collect();
        let steps: Vec<&ValueName> = steps.iter().collect();
        outputs[0] = graph.node("Concat", &steps, &[("axis", Int(1))]);
    }
    if layer.flag("return_state") {
        outputs.extend([last, channels_last(graph, &c, axes)]);
    }
    Ok(outputs)
}

/// conv(x, W) + b of each step, `[B, 1, 4 F, ..]`, all in one convolution.
fn project(
    graph: &mut Graph,
    layer: &Layer,
    gates: &[usize],
) -> Result<Vec<ValueName>, ExportError> {
    let input = layer.input()?;
    let [steps, frame @ ..] = &*input.dims else { return Err(layer.refuse("an input of no axes")) };
    let x = reshape(graph, &input.value, &[&[-1], &signed(frame)[..]].concat());
    let x = channels_first(graph, &x, layer.axes());
    let mut operands = vec![x, graph.tensor("kernel", &kernel(layer, "kernel")?)];
    if layer.flag("use_bias") {
        operands.push(graph.tensor("bias", layer.weight("bias")?));
    }
    let extents = frame.split_last().map_or(&[][..], |(_, extents)| extents);
    let windows = Windows::of(layer)?.conv_attributes(extents);
    let z = graph.node("Conv", &operands.iter().collect::<Vec<_>>(), &windows);
    let z = convert::reshape(graph, &z, &[&[-1, *steps as i64], &signed(gates)[..]].concat());
    Ok(graph.node_with_outputs("Split", &[&z], *steps, &[("axis", Int(1))]))
}
