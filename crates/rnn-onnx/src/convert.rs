//! Layers without a file of their own: class by class, what computes the same.

use crate::layer::{Layer, Tensor};
use crate::{ExportError, conv_lstm, recurrent, window};
use rnn_core::HostTensor;
use rnn_formats::onnx::Attribute::{Float, Int, Ints};
use rnn_formats::onnx::{Graph, ValueName};

/// Adds the layer's nodes and returns its outputs.
pub(crate) fn layer(graph: &mut Graph, layer: &Layer) -> Result<Vec<ValueName>, ExportError> {
    let x = &layer.input()?.value;
    let output = match layer.class.as_str() {
        "SimpleRNN" | "LSTM" | "GRU" => return recurrent::layer(graph, layer),
        "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => return conv_lstm::layer(graph, layer),
        "Bidirectional" => recurrent::bidirectional(graph, layer)?,
        "Conv1D" | "Conv2D" | "Conv3D" => window::conv(graph, layer)?,
        "MaxPooling1D" | "MaxPooling2D" | "MaxPooling3D" => window::pool(graph, layer, "MaxPool")?,
        "AveragePooling1D" | "AveragePooling2D" | "AveragePooling3D" => {
            window::pool(graph, layer, "AveragePool")?
        }
        "GlobalMaxPooling1D" | "GlobalMaxPooling2D" | "GlobalMaxPooling3D" => {
            window::global_pool(graph, layer, "ReduceMax")?
        }
        "GlobalAveragePooling1D" | "GlobalAveragePooling2D" | "GlobalAveragePooling3D" => {
            window::global_pool(graph, layer, "ReduceMean")?
        }
        "UpSampling1D" | "UpSampling2D" | "UpSampling3D" => window::up_sampling(graph, layer)?,
        "Embedding" => {
            let table = graph.tensor("embeddings", layer.weight("embeddings")?);
            graph.node("Gather", &[&table, x], &[("axis", Int(0))])
        }
        "Dense" => {
            let kernel = graph.tensor("kernel", layer.weight("kernel")?);
            let product = graph.node("MatMul", &[x, &kernel], &[]);
            let biased = bias(graph, layer, product)?;
            activation(graph, layer, "activation", &biased)?
        }
        "Activation" => activation(graph, layer, "activation", x)?,
        "Softmax" => graph.node("Softmax", &[x], &[("axis", Int(-1))]),
        "Dropout" | "SpatialDropout1D" => graph.node("Identity", &[x], &[]),
        "Flatten" | "Reshape" => reshape(graph, x, &[&[-1], &signed(layer.output())[..]].concat()),
        "Masking" => masking(graph, layer, x)?,
        "LayerNormalization" => layer_normalization(graph, layer)?,
        "BatchNormalization" => batch_normalization(graph, layer)?,
        "TimeDistributed" => time_distributed(graph, layer)?,
        "Add" => merge(graph, layer, "Sum", &[]),
        "Average" => merge(graph, layer, "Mean", &[]),
        "Subtract" => merge(graph, layer, "Sub", &[]),
        "Multiply" => {
            let mut others = layer.inputs.iter();
            let first = others.next().map_or(x, |first| &first.value).clone();
            others.fold(first, |product, t| graph.node("Mul", &[&product, &t.value], &[]))
        }
        "Concatenate" => merge(graph, layer, "Concat", &[("axis", Int(layer.int("axis")?))]),
        _ => return Err(layer.refuse("this layer is not known to the exporter")),
    };
    Ok(vec![output])
}

fn merge(
    graph: &mut Graph,
    layer: &Layer,
    op: &str,
    attributes: &[(&str, rnn_formats::onnx::Attribute)],
) -> ValueName {
    let inputs: Vec<&ValueName> = layer.inputs.iter().map(|tensor| &tensor.value).collect();
    graph.node(op, &inputs, attributes)
}

pub(crate) fn signed(dims: &[usize]) -> Vec<i64> {
    dims.iter().map(|&d| d as i64).collect()
}

/// -1 stands for the extent that is left, of the batch.
pub(crate) fn reshape(graph: &mut Graph, x: &ValueName, dims: &[i64]) -> ValueName {
    let shape = graph.ints("shape", dims);
    graph.node("Reshape", &[x, &shape], &[])
}

/// x + b over the last axis, if the layer has a bias.
fn bias(graph: &mut Graph, layer: &Layer, x: ValueName) -> Result<ValueName, ExportError> {
    if !layer.flag("use_bias") {
        return Ok(x);
    }
    let bias = graph.tensor("bias", layer.weight("bias")?);
    Ok(graph.node("Add", &[&x, &bias], &[]))
}

/// The activation that an argument names.
pub(crate) fn activation(
    graph: &mut Graph,
    layer: &Layer,
    argument: &str,
    x: &ValueName,
) -> Result<ValueName, ExportError> {
    let hard_sigmoid = |alpha| [("alpha", Float(alpha)), ("beta", Float(0.5))];
    Ok(match layer.text(argument)? {
        "linear" => x.clone(),
        "relu" => graph.node("Relu", &[x], &[]),
        "sigmoid" => graph.node("Sigmoid", &[x], &[]),
        "tanh" => graph.node("Tanh", &[x], &[]),
        "hard_sigmoid" => graph.node("HardSigmoid", &[x], &hard_sigmoid(1.0 / 6.0)),
        "hard_sigmoid_2018" => graph.node("HardSigmoid", &[x], &hard_sigmoid(0.2)),
        "softmax" => graph.node("Softmax", &[x], &[("axis", Int(-1))]),
        other => return Err(layer.refuse(format!("its {argument} {other}"))),
    })
}

/// Steps of which every feature is the mask's value become zeros.
fn masking(graph: &mut Graph, layer: &Layer, x: &ValueName) -> Result<ValueName, ExportError> {
    let value = HostTensor::scalar(layer.float("mask_value")? as f32);
    let value = graph.tensor("mask_value", &value);
    let equal = graph.node("Equal", &[x, &value], &[]);
    let differs = graph.node("Not", &[&equal], &[]);
    let differs = graph.node("Cast", &[&differs], &[("to", Int(1))]);
    let last = [("axes", Ints(vec![-1])), ("keepdims", Int(1))];
    let kept = graph.node("ReduceMax", &[&differs], &last);
    Ok(graph.node("Mul", &[x, &kept], &[]))
}

fn layer_normalization(graph: &mut Graph, layer: &Layer) -> Result<ValueName, ExportError> {
    let Tensor { value: x, dims } = layer.input()?;
    let width = dims.last().copied().unwrap_or(1);
    let ones = layer.tensor([width], vec![1.0; width])?;
    let gamma = if layer.flag("scale") { layer.weight("gamma")? } else { &ones };
    let gamma = graph.tensor("gamma", gamma);
    let mut operands = vec![x.clone(), gamma];
    if layer.flag("center") {
        operands.push(graph.tensor("beta", layer.weight("beta")?));
    }
    let operands: Vec<&ValueName> = operands.iter().collect();
    let epsilon = Float(layer.float("epsilon")? as f32);
    Ok(graph.node("LayerNormalization", &operands, &[("axis", Int(-1)), ("epsilon", epsilon)]))
}

/// With the moving averages, y = x s + t: s = gamma / sqrt(variance + epsilon), t = beta - mean s.
fn batch_normalization(graph: &mut Graph, layer: &Layer) -> Result<ValueName, ExportError> {
    let x = &layer.input()?.value;
    let epsilon = layer.float("epsilon")?;
    let floats = |name: &str| layer.floats(layer.weight(name)?);
    let (mean, variance) = (floats("moving_mean")?, floats("moving_variance")?);
    let gamma = if layer.flag("scale") { Some(floats("gamma")?) } else { None };
    let beta = if layer.flag("center") { Some(floats("beta")?) } else { None };
    let at = |weight: Option<&[f32]>, i: usize, or: f64| weight.map_or(or, |w| w[i].into());
    let scale = |i: usize| at(gamma, i, 1.0) / (f64::from(variance[i]) + epsilon).sqrt();
    let shift = |i: usize| at(beta, i, 0.0) - f64::from(mean[i]) * scale(i);
    let mut constant = |name: &str, of: &dyn Fn(usize) -> f64| {
        let values = (0..mean.len()).map(|i| of(i) as f32).collect();
        Ok::<_, ExportError>(graph.tensor(name, &layer.tensor([mean.len()], values)?))
    };
    let (scale, shift) = (constant("scale", &scale)?, constant("shift", &shift)?);
    let scaled = graph.node("Mul", &[x, &scale], &[]);
    Ok(graph.node("Add", &[&scaled, &shift], &[]))
}

/// Steps become examples of the layer within.
fn time_distributed(graph: &mut Graph, layer: &Layer) -> Result<ValueName, ExportError> {
    let Tensor { value: x, dims } = layer.input()?;
    let step = dims.get(1..).unwrap_or_default();
    let examples = reshape(graph, x, &[&[-1], &signed(step)[..]].concat());
    let mut inner = layer.part("layer", "")?;
    inner.inputs = vec![Tensor { value: examples, dims: step.to_vec() }];
    inner.outputs = vec![layer.output().get(1..).unwrap_or_default().to_vec()];
    let output = self::layer(graph, &inner)?.remove(0);
    Ok(reshape(graph, &output, &[&[-1], &signed(layer.output())[..]].concat()))
}
