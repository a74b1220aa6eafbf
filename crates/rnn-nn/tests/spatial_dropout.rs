//! SpatialDropout1D draws its factors itself, so that no golden can hold them.

use rnn_core::HostTensor;
use rnn_graph::{Device, Graph, TensorType};
use rnn_nn::{ForwardContext, Layer, SpatialDropout1D};
use std::sync::Arc;

const STEPS: usize = 5;
const COLUMNS: usize = 40 * 50;

#[test]
fn whole_features_are_dropped_and_the_others_scaled_up() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([STEPS, 40, 50]));
    let random = graph.input("random", TensorType::u32([4]));
    let layer = SpatialDropout1D::new(0.25);
    let mut cx = ForwardContext::new(&mut graph, Some(random));
    let y = layer.forward(&mut cx, x.into(), &[]).expect("the layer fits").tensor;
    graph.output(y);
    let mut session = rnn_cpu::CpuDevice::new().session();
    let program = session.compile(Arc::new(graph)).expect("it compiles");
    let x: Vec<f32> = (1..=STEPS * COLUMNS).map(|i| i as f32).collect();
    let input = HostTensor::from_f32([STEPS, 40, 50], x.clone()).expect("a sequence");
    let key = HostTensor::from_u32([4], vec![1, 2, 3, 4]).expect("a key");
    session.run(program, &[&input, &key]).expect("it runs");
    let y = session.fetch(program).expect("an output").remove(0);
    let y = y.as_f32().expect("floats");
    let mut dropped = 0;
    for column in 0..COLUMNS {
        let places = (0..STEPS).map(|t| t * COLUMNS + column);
        let factor = if y[column] == 0.0 { 0.0 } else { 1.0 / 0.75 };
        dropped += usize::from(y[column] == 0.0);
        for i in places {
            assert!((y[i] - factor * x[i]).abs() <= 1e-6 * x[i], "element {i}");
        }
    }
    let share = dropped as f64 / COLUMNS as f64;
    assert!((share - 0.25).abs() < 0.04, "{share} dropped");
}
