//! Batch normalization: steps of training, what they leave in the moving averages, inference.

use crate::TOLERANCE;
use crate::golden::{Golden, expect_close};
use rnn::nn::{BatchNormalization, ForwardContext, Layer};
use rnn_core::HostTensor;
use rnn_graph::{Graph, Session, TensorId, TensorType};
use std::sync::Arc;

const NAMES: [&str; 4] = ["w0", "w1", "w2", "w3"];

/// The layer between inputs and weights that stay on the device; outputs are y and, in training,
/// the gradients of x, gamma and beta.
fn graph(golden: &Golden, layer: &BatchNormalization, training: bool) -> Arc<Graph> {
    let mut graph = Graph::new();
    let ty = TensorType::f32(golden.tensor("x0").shape().clone());
    let x = graph.input("x", ty.clone());
    let weights = NAMES.map(|name| graph.resident(name, TensorType::f32([5])));
    let random = training.then(|| graph.input("random", TensorType::u32([4])));
    let mut cx = ForwardContext::new(&mut graph, random);
    let y = layer.forward(&mut cx, x.into(), &weights).expect("the layer fits").tensor;
    graph.output(y);
    if training {
        let d = graph.input("d_output", ty);
        let sources = [x, weights[0], weights[1]];
        let gradients = rnn_ops::gradients(&mut graph, &[(y, d)], &sources).expect("gradients");
        let gradients: Vec<TensorId> = gradients.into_iter().flatten().collect();
        gradients.iter().for_each(|&g| graph.output(g));
    }
    Arc::new(graph)
}

/// Steps of training, of which each checks outputs, gradients and averages; inference of one
/// probe after each, or of `x2` after the last.
fn check(golden: &Golden, layer: &BatchNormalization, steps: usize) {
    let key = HostTensor::from_u32([4], vec![0; 4]).expect("a key");
    let device = golden.device();
    let mut session = device.session();
    let check = |name: String, got: &HostTensor| {
        let place = format!("{} {name} on {}", golden.name, device.info());
        expect_close(&place, got, golden.tensor(&name), TOLERANCE);
    };
    let training = session.compile(graph(golden, layer, true)).expect("it compiles");
    let inference = session.compile(graph(golden, layer, false)).expect("it compiles");
    let infer = |session: &mut Box<dyn Session>, x: &str, y: String| {
        session.run(inference, &[golden.tensor(x)]).expect("it runs");
        check(y, &session.fetch(inference).expect("outputs")[0]);
    };
    for name in NAMES {
        session.write(name, golden.tensor(name)).expect("a weight");
    }
    for step in 0..steps {
        let tensor = |name: &str| golden.tensor(&format!("{name}{step}"));
        let inputs = [tensor("x"), &key, tensor("d_output")];
        session.run(training, &inputs).expect("it runs");
        let outputs = session.fetch(training).expect("outputs");
        for (name, got) in ["output", "d_x", "d_gamma", "d_beta"].iter().zip(&outputs) {
            check(format!("{name}{step}"), got);
        }
        for (name, weight) in [("moving_mean", "w2"), ("moving_variance", "w3")] {
            check(format!("{name}{step}"), &session.read(weight).expect("a weight"));
        }
        if golden.has("probe") {
            infer(&mut session, "probe", format!("inference{step}"));
        }
    }
    if !golden.has("probe") {
        infer(&mut session, "x2", "output2".into());
    }
}

fn layer(golden: &Golden) -> BatchNormalization {
    let layer = BatchNormalization::new().momentum(golden.number("momentum") as f32);
    layer.epsilon(golden.number("epsilon") as f32)
}

pub fn batch_normalization(golden: &Golden) {
    let layer = layer(golden);
    let layer = if golden.flag("corrected") { layer.corrected_variance() } else { layer };
    check(golden, &layer, 2);
}

/// Moving averages without the bias of their first values, zero.
pub fn zero_debias(golden: &Golden) {
    let layer = layer(golden).corrected_variance().zero_debiased();
    check(golden, &layer, golden.number("steps") as usize);
}
