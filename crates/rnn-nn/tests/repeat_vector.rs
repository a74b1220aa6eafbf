//! RepeatVector by its definition: y(t) = x, so that dx is the sum of dy over t.

use rnn_core::{HostTensor, Rng};
use rnn_graph::{Device, Graph, TensorId, TensorType};
use rnn_nn::{ForwardContext, Layer, RepeatVector};
use std::sync::Arc;

const STEPS: usize = 4;
const BATCH: usize = 3;
const FEATURES: usize = 5;

fn normal(rng: &mut Rng, shape: &[usize]) -> HostTensor {
    let values = (0..shape.iter().product()).map(|_| rng.normal() as f32).collect();
    HostTensor::from_f32(shape, values).expect("a tensor")
}

fn forward(graph: &mut Graph, input: &[usize]) -> Result<[TensorId; 2], String> {
    let x = graph.input("x", TensorType::f32(input));
    let mut cx = ForwardContext::new(graph, None);
    let y = RepeatVector::new(STEPS).forward(&mut cx, x.into(), &[]);
    let y = y.map_err(|error| error.to_string())?;
    assert_eq!(y.mask, None);
    Ok([x, y.tensor])
}

#[test]
fn each_step_is_the_vector_and_the_gradient_their_sum() {
    let mut graph = Graph::new();
    let [x, y] = forward(&mut graph, &[BATCH, FEATURES]).expect("the layer fits");
    let dy = graph.input("dy", TensorType::f32([STEPS, BATCH, FEATURES]));
    let dx = rnn_ops::gradients(&mut graph, &[(y, dy)], &[x]).expect("gradients");
    graph.output(y);
    graph.output(dx[0].expect("y depends on x"));
    let mut session = rnn_cpu::CpuDevice::new().session();
    let program = session.compile(Arc::new(graph)).expect("it compiles");
    let mut rng = Rng::new(5, 0);
    let x = normal(&mut rng, &[BATCH, FEATURES]);
    let dy = normal(&mut rng, &[STEPS, BATCH, FEATURES]);
    session.run(program, &[&x, &dy]).expect("it runs");
    let outputs = session.fetch(program).expect("outputs");
    assert_eq!(outputs[0].shape().dims(), [STEPS, BATCH, FEATURES]);
    assert_eq!(outputs[1].shape(), x.shape());
    let [x, dy, y, dx] = [&x, &dy, &outputs[0], &outputs[1]].map(|t| t.as_f32().expect("floats"));
    for step in y.chunks(BATCH * FEATURES) {
        assert_eq!(step, x);
    }
    for (i, dx) in dx.iter().enumerate() {
        let sum: f32 = dy.iter().skip(i).step_by(BATCH * FEATURES).sum();
        assert!((dx - sum).abs() < 1e-5, "element {i}: {dx}, the sum is {sum}");
    }
}

#[test]
fn only_vectors_are_repeated() {
    let layer = RepeatVector::new(STEPS);
    assert_eq!(layer.output_shape(&[FEATURES]).expect("a vector"), [STEPS, FEATURES]);
    layer.output_shape(&[6, FEATURES]).expect_err("a sequence");
    let error = forward(&mut Graph::new(), &[6, BATCH, FEATURES]).expect_err("a sequence");
    assert!(error.contains("a vector [F]"), "{error}");
}
