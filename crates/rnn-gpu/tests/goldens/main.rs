//! Our results beside Keras's, a test for each case and device: tests/golden/README.md says how
//! they were made. `cargo test --test goldens -- recurrent::lstm` runs those whose names hold that.

mod activations;
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
use libtest_mimic::{Arguments, Trial};
use rnn::nn::{Dense, Embedding, ForwardContext, Layer};
use rnn_graph::{Graph, TensorId};
use rnn_ops::{Matmul, Softmax, TransposeLeading};
use std::process::ExitCode;
use std::sync::Arc;

/// Two f32 computations of sums of a few dozen terms.
const TOLERANCE: f64 = 5e-6;

/// The check of a case.
type Check = fn(&Golden);

/// What is checked on every device: its name, its file under tests/golden, the check of a case.
const CHECKS: &[(&str, &str, Check)] = &[
    ("activations", "activations", activations::activations),
    ("activations::layers", "activation_layers", activations::layers),
    ("batch_normalization", "batch_normalization", batch_normalization::batch_normalization),
    ("batch_normalization::zero_debias", "zero_debias", batch_normalization::zero_debias),
    ("conv::conv2d", "conv2d", conv::conv2d),
    ("conv::conv3d", "conv3d", conv::conv3d),
    ("conv::conv_lstm", "conv_lstm", conv::conv_lstm),
    ("conv::pooling2d", "pooling2d", conv::pooling2d),
    ("conv::pooling3d", "pooling3d", conv::pooling3d),
    ("convolutions", "convolutions", masked_models::check),
    ("dense", "dense", dense),
    ("embedding", "embedding", embedding),
    ("fitting::binary_cross_entropy", "bce", fitting::binary_cross_entropy),
    ("fitting::losses", "losses", fitting::losses),
    ("fitting::metrics", "metrics", fitting::metrics),
    ("fitting::optimizers", "optimizers", fitting::optimizers),
    ("fitting::ten_training_losses", "training", fitting::ten_training_losses),
    ("layers::attention", "attention", masked_models::check),
    ("layers::bidirectional", "bidirectional", layers::bidirectional),
    ("layers::conv1d", "conv1d", layers::conv1d),
    ("layers::described", "described_layers", masked_models::check),
    ("layers::layer_normalization", "layer_normalization", layers::layer_normalization),
    ("layers::masking", "masking", layers::masking),
    ("layers::operations", "operations", masked_models::check),
    ("layers::operations_of_keras_2", "tensorflow_operations", masked_models::check),
    ("layers::permute", "permute", layers::permute),
    ("layers::pooling", "pooling", layers::pooling),
    ("layers::repeat_vector", "repeat_vector", layers::repeat_vector),
    ("layers::stateful", "stateful", layers::stateful),
    ("layers::time_distributed", "time_distributed", layers::time_distributed),
    ("masked_losses", "masked_losses", masked_losses::masked_losses),
    ("masked_models", "masked_models", masked_models::check),
    // Gradients of a token that repeats are summed before an optimizer sees them, as on torch.
    ("masked_models::embedding_optimizers", "embedding_optimizers", masked_models::check),
    ("models::functional", "functional", models::functional),
    ("models::next_frame", "next_frame", models::next_frame),
    ("normalizations", "normalizations", masked_models::check),
    ("recurrent::gru", "gru", recurrent::gru),
    ("recurrent::lstm", "lstm", recurrent::lstm),
    ("recurrent::simple_rnn", "simple_rnn", recurrent::simple_rnn),
    ("stateful_fit", "stateful_fit", stateful_fit::stateful_fit),
];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for (place, device) in rnn_testing::named_devices() {
        let device = Arc::new(device);
        for &(name, file, check) in CHECKS {
            for (case, golden) in goldens(file, &device) {
                tests.push(test(format!("{name}::{case}::{place}"), golden, check));
            }
        }
        // Numbers that the host computes alone.
        if device.gpu().is_none() {
            for (case, golden) in goldens("schedules", &device) {
                tests.push(test(format!("fitting::schedules::{case}"), golden, fitting::schedules));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn test(name: String, golden: Golden, check: Check) -> Trial {
    Trial::test(name, move || {
        check(&golden);
        Ok(())
    })
}

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

fn embedding(golden: &Golden) {
    check_layer(golden, &Embedding::new(11, 5), "tokens", &["weights"]);
}

fn dense(golden: &Golden) {
    let weights = weight_names(golden, &["kernel", "bias"]);
    if golden.args["activation"] == "softmax" {
        return softmax(golden);
    }
    let layer = Dense::new(6, golden.activation("activation"));
    let layer = if golden.flag("use_bias") { layer } else { layer.without_bias() };
    check_layer(golden, &layer, "x", &weights);
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
