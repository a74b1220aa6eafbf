//! Our results beside Keras's, on every device: tests/golden/README.md says how they were made.

mod batch_normalization;
mod conv;
mod fitting;
mod golden;
mod layers;
mod masked_losses;
mod masked_models;
mod models;
mod recurrent;
mod stateful_fit;

use golden::{Golden, goldens};
use rnn::nn::{Dense, Embedding, ForwardContext, Layer};
use rnn_graph::{Graph, TensorId};
use rnn_ops::{Matmul, Softmax, TransposeLeading};

/// Two f32 computations of sums of a few dozen terms.
const TOLERANCE: f64 = 5e-6;

/// A layer between batch-major ends, forward and backward.
fn check_layer(golden: &Golden, layer: &dyn Layer, input: &str, weights: &[&str]) {
    let mut graph = Graph::new();
    let x = golden.input(&mut graph, input);
    let sequence = graph.shape(x).dims().len() > 2 || layer.vocabulary().is_some();
    let flip = |graph: &mut Graph, t: TensorId| graph.apply(TransposeLeading, &[t]).expect("axes");
    let inner = if sequence { flip(&mut graph, x) } else { x };
    let ids: Vec<TensorId> = weights.iter().map(|w| golden.input(&mut graph, w)).collect();
    let mut cx = ForwardContext::new(&mut graph, None);
    let mut output = layer.forward(&mut cx, inner.into(), &ids).expect("the layer fits").tensor;
    if golden.tensor("output").shape().dims().len() > 2 {
        output = flip(&mut graph, output);
    }
    let mut sources: Vec<(&str, TensorId)> = weights.iter().copied().zip(ids).collect();
    if layer.vocabulary().is_none() {
        sources.push((input, x));
    }
    golden.check(graph, &[("output", output)], &sources, TOLERANCE);
}

fn weight_names<'a>(golden: &Golden, names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| golden.has(name)).collect()
}

#[test]
fn embedding() {
    for golden in goldens("embedding") {
        check_layer(&golden, &Embedding::new(11, 5), "tokens", &["weights"]);
    }
}

#[test]
fn dense() {
    for golden in goldens("dense") {
        let weights = weight_names(&golden, &["kernel", "bias"]);
        if golden.args["activation"] == "softmax" {
            softmax(&golden);
            continue;
        }
        let layer = Dense::new(6, golden.activation("activation"));
        let layer = if golden.flag("use_bias") { layer } else { layer.without_bias() };
        check_layer(&golden, &layer, "x", &weights);
    }
}

/// Softmax is an op of its own, not an activation of a layer.
fn softmax(golden: &Golden) {
    let mut graph = Graph::new();
    let names = ["x", "kernel", "bias"];
    let ids = names.map(|name| golden.input(&mut graph, name));
    let z = graph.apply(Matmul { bias: true, ..Matmul::default() }, &ids).expect("it fits");
    let y = graph.apply(Softmax, &[z]).expect("it fits");
    let sources: Vec<_> = names.into_iter().zip(ids).collect();
    golden.check(graph, &[("output", y)], &sources, TOLERANCE);
}
