//! SimpleRNN, LSTM and GRU as ONNX's operators over whole sequences.
//!
//! Keras has gates in the order i, f, c, o and z, r, h; ONNX i, o, f, c and z, r, h. Its operators
//! take time-major sequences `[T, B, F]`, and one direction leads all else.

use crate::ExportError;
use crate::layer::Layer;
use rnn_core::HostTensor;
use rnn_formats::onnx::Attribute::{Floats, Int, Ints, Text, Texts};
use rnn_formats::onnx::{Graph, ValueName};

/// What a scan puts out: h of every step, in the order of the steps, and the final states.
struct Scanned {
    sequence: ValueName,
    states: Vec<ValueName>,
}

pub(crate) fn layer(graph: &mut Graph, layer: &Layer) -> Result<Vec<ValueName>, ExportError> {
    let Scanned { sequence, states } = scan(graph, layer)?;
    let output = match (layer.flag("return_sequences"), layer.flag("go_backwards")) {
        (false, _) => states[0].clone(),
        (true, false) => sequence,
        // Keras returns steps in the order in which they were taken.
        (true, true) => reverse(graph, &sequence),
    };
    let more = if layer.flag("return_state") { states } else { vec![] };
    Ok([vec![output], more].concat())
}

pub(crate) fn bidirectional(graph: &mut Graph, layer: &Layer) -> Result<ValueName, ExportError> {
    let mut outputs = Vec::new();
    for (argument, prefix) in [("layer", "forward_"), ("backward_layer", "backward_")] {
        let part = layer.part(argument, prefix)?;
        if !matches!(part.class.as_str(), "SimpleRNN" | "LSTM" | "GRU") {
            return Err(layer.refuse(format!("its layer {}", part.class)));
        }
        let mut output = self::layer(graph, &part)?.remove(0);
        if part.flag("return_sequences") && prefix == "backward_" {
            output = reverse(graph, &output);
        }
        outputs.push(output);
    }
    let both = [&outputs[0], &outputs[1]];
    Ok(match layer.text("merge_mode")? {
        "concat" => graph.node("Concat", &both, &[("axis", Int(-1))]),
        "sum" => graph.node("Add", &both, &[]),
        "mul" => graph.node("Mul", &both, &[]),
        "ave" => graph.node("Mean", &both, &[]),
        other => return Err(layer.refuse(format!("its merge_mode {other}"))),
    })
}

/// The steps of `[B, T, ..]` from the last to the first.
pub(crate) fn reverse(graph: &mut Graph, sequence: &ValueName) -> ValueName {
    let [start, end] = [-1, i64::MIN].map(|at| graph.ints("steps", &[at]));
    let [axis, step] = [1, -1].map(|at| graph.ints("steps", &[at]));
    graph.node("Slice", &[sequence, &start, &end, &axis, &step], &[])
}

fn scan(graph: &mut Graph, layer: &Layer) -> Result<Scanned, ExportError> {
    if layer.flag("stateful") {
        return Err(layer.refuse("it keeps its state between batches; use return_state"));
    }
    let gates: &[u32] = match layer.class.as_str() {
        "LSTM" => &[0, 3, 1, 2],
        "GRU" => &[0, 1, 2],
        _ => &[0],
    };
    let states = if layer.class == "LSTM" { 2 } else { 1 };
    let operator = if layer.class == "SimpleRNN" { "RNN" } else { layer.class.as_str() };
    let x = graph.node("Transpose", &[&layer.input()?.value], &[("perm", Ints(vec![1, 0, 2]))]);
    let mut operands = vec![x];
    for name in ["kernel", "recurrent_kernel"] {
        let rows = layer.reordered(&layer.transposed(name, &[1, 0])?, gates)?;
        let dims = [&[1], rows.shape().dims()].concat();
        operands.push(graph.tensor(name, &shaped(layer, rows, dims)?));
    }
    operands.push(match biases(layer, gates)? {
        Some(biases) => graph.tensor("bias", &biases),
        None => ValueName::none(),
    });
    if let [_, initial @ ..] = &*layer.inputs
        && !initial.is_empty()
    {
        // No lengths: all sequences are whole.
        operands.push(ValueName::none());
        for state in initial {
            let direction = graph.ints("axes", &[0]);
            operands.push(graph.node("Unsqueeze", &[&state.value, &direction], &[]));
        }
    }
    let mut attributes = activations(layer)?;
    let direction = if layer.flag("go_backwards") { "reverse" } else { "forward" };
    attributes.push(("direction", Text(direction.into())));
    attributes.push(("hidden_size", Int(layer.int("units")?)));
    if layer.class == "GRU" {
        attributes.push(("linear_before_reset", Int(layer.flag("reset_after").into())));
    }
    let operands: Vec<&ValueName> = operands.iter().collect();
    let made = graph.node_with_outputs(operator, &operands, 1 + states, &attributes);
    let mut without = |value: &ValueName, axis: i64| {
        let axis = graph.ints("axes", &[axis]);
        graph.node("Squeeze", &[value, &axis], &[])
    };
    let steps = without(&made[0], 1);
    let states = made[1..].iter().map(|state| without(state, 0)).collect();
    let sequence = graph.node("Transpose", &[&steps], &[("perm", Ints(vec![1, 0, 2]))]);
    Ok(Scanned { sequence, states })
}

fn shaped(layer: &Layer, tensor: HostTensor, dims: Vec<usize>) -> Result<HostTensor, ExportError> {
    tensor.reshape(dims).map_err(|error| layer.refuse(error.to_string()))
}

/// That of the product with W, then that of the product with U, which only a GRU has that resets
/// behind it.
fn biases(layer: &Layer, gates: &[u32]) -> Result<Option<HostTensor>, ExportError> {
    if !layer.flag("use_bias") {
        return Ok(None);
    }
    let bias = layer.weight("bias")?;
    let (rows, width) = (bias.shape().len() / bias.shape().last().max(1), bias.shape().last());
    let count = gates.len() as u32;
    let parts = (0..rows as u32).flat_map(|row| gates.iter().map(move |gate| row * count + gate));
    let flat = shaped(layer, bias.clone(), vec![rows * width])?;
    let ordered = layer.reordered(&flat, &parts.collect::<Vec<_>>())?;
    let mut values = layer.floats(&ordered)?.to_vec();
    values.resize(2 * width, 0.0);
    layer.tensor([1, 2 * width], values).map(Some)
}

/// The activations by ONNX's names, with what HardSigmoid and Affine are scaled by.
fn activations(
    layer: &Layer,
) -> Result<Vec<(&'static str, rnn_formats::onnx::Attribute)>, ExportError> {
    let arguments: &[&str] = match layer.class.as_str() {
        "LSTM" => &["recurrent_activation", "activation", "activation"],
        "GRU" => &["recurrent_activation", "activation"],
        _ => &["activation"],
    };
    let (mut names, mut alphas, mut betas) = (vec![], vec![], vec![]);
    for argument in arguments {
        let (name, scaled) = match layer.text(argument)? {
            "tanh" => ("Tanh", None),
            "sigmoid" => ("Sigmoid", None),
            "relu" => ("Relu", None),
            "linear" => ("Affine", Some((1.0, 0.0))),
            "hard_sigmoid" => ("HardSigmoid", Some((1.0 / 6.0, 0.5))),
            "hard_sigmoid_2018" => ("HardSigmoid", Some((0.2, 0.5))),
            other => return Err(layer.refuse(format!("its {argument} {other}"))),
        };
        names.push(name.to_owned());
        alphas.extend(scaled.map(|(alpha, _)| alpha));
        betas.extend(scaled.map(|(_, beta)| beta));
    }
    let mut attributes = vec![("activations", Texts(names))];
    if !alphas.is_empty() {
        attributes.push(("activation_alpha", Floats(alphas)));
        attributes.push(("activation_beta", Floats(betas)));
    }
    Ok(attributes)
}
