//! The CPU device makes the x of a recurrent layer step by step, where x comes from a table or a
//! product: what comes out, and all gradients, are those of the two ops by themselves.

use rnn_core::{DType, HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_graph::{Device, Graph, Op, TensorId, TensorType, Values, evaluate};
use rnn_ops::{
    Activation, DropoutMatmul, Embedding, Gru, Lstm, LstmGates, Matmul, Sample, ScanInputs,
    SimpleRnn, gradients,
};
use rnn_verify::compare;
use std::collections::HashMap;
use std::sync::Arc;

const GATES: LstmGates =
    LstmGates { activation: Activation::Tanh, recurrent_activation: Activation::Sigmoid };

/// A recurrent layer.
struct Layer {
    op: fn(ScanInputs) -> Arc<dyn Op>,
    gates: usize,
    /// Number of states, h and c.
    states: usize,
    /// Has a bias after U.
    bias: bool,
    half: bool,
    /// The outputs that have gradients.
    seeds: &'static [usize],
}

const LSTM: Layer = Layer {
    op: |inputs| Arc::new(Lstm { gates: GATES, inputs }),
    gates: 4,
    states: 2,
    bias: false,
    half: true,
    seeds: &[0, 3],
};

const GRU: Layer = Layer {
    op: |inputs| {
        let LstmGates { activation, recurrent_activation } = GATES;
        Arc::new(Gru { activation, recurrent_activation, reset_after: true, bias: true, inputs })
    },
    gates: 3,
    states: 1,
    bias: true,
    half: false,
    seeds: &[0],
};

const SIMPLE_RNN: Layer = Layer {
    op: |inputs| Arc::new(SimpleRnn { activation: Activation::Tanh, inputs }),
    gates: 1,
    states: 1,
    bias: false,
    half: true,
    seeds: &[0, 1],
};

impl Layer {
    /// U, so small that rounding does not grow over many steps, and the bias.
    fn weights(&self, h: usize) -> Vec<Sample> {
        let bound = 1.2 / (h as f32).sqrt();
        let mut samples = vec![Sample::Uniform(vec![h, self.gates * h], -bound, bound)];
        samples.extend(self.bias.then(|| Sample::Normal(vec![self.gates * h])));
        samples
    }

    /// The inputs besides x and the weights.
    fn optional(&self, inputs: ScanInputs, [t, b, h]: [usize; 3]) -> Vec<Sample> {
        let mask = (0..t * b).map(|i| u32::from((i * 7 + i / 3) % 3 != 0 && i % b + 1 < b));
        let state = inputs.state.then(|| Sample::Uniform(vec![self.states, b, h], -1.0, 1.0));
        let mask = inputs.mask.then(|| Sample::Exactly(vec![t, b], mask.collect()));
        let dropout = inputs.dropout.then(|| Sample::Uniform(vec![self.gates, b, h], 0.0, 2.0));
        [state, mask, dropout].into_iter().flatten().collect()
    }

    fn name(&self) -> &'static str {
        (self.op)(ScanInputs::default()).name()
    }
}

/// The producer of x: an op, its inputs, and those of them that have gradients.
struct Producer {
    op: Arc<dyn Op>,
    inputs: Vec<Sample>,
    differentiable: Vec<usize>,
    half: bool,
}

fn producers(layer: &Layer, [t, b, h]: [usize; 3], rows: usize, features: usize) -> Vec<Producer> {
    let width = layer.gates * h;
    let w = Sample::Uniform(vec![features, width], -0.4, 0.4);
    let x = [Sample::Normal(vec![t, b, features]), w];
    let bias = Sample::Normal(vec![width]);
    let factors = |gates| Sample::Uniform(vec![gates, b, features], 0.0, 2.0);
    let table = vec![Sample::Below(vec![t, b], rows as u32), Sample::Normal(vec![rows, width])];
    let linear = Matmul { bias: true, ..Matmul::default() };
    let dropout = |bias, output| Arc::new(DropoutMatmul { bias, output });
    let with = |more: &[Sample]| [&x[..], more].concat();
    let of = |op, inputs, differentiable: &[usize], half| Producer {
        op,
        inputs,
        differentiable: differentiable.to_vec(),
        half,
    };
    let all = [
        of(Arc::new(Embedding), table, &[1], false),
        of(Arc::new(linear), with(std::slice::from_ref(&bias)), &[0, 1, 2], false),
        of(dropout(false, DType::F32), with(&[factors(1)]), &[0, 1], false),
        of(dropout(true, DType::F32), with(&[factors(layer.gates), bias]), &[0, 1, 3], false),
        of(dropout(false, DType::F16), with(&[factors(layer.gates)]), &[], true),
    ];
    all.into_iter().filter(|producer| layer.half || !producer.half).collect()
}

fn ty(values: &HostTensor) -> TensorType {
    TensorType { shape: values.shape().clone(), dtype: values.dtype() }
}

/// Runs a graph on the CPU device, compares its outputs with the definitions in f64 and returns the
/// names of the ops that ran.
fn check(graph: &Graph, given: &[(TensorId, HostTensor)], tolerance: f64) -> Vec<String> {
    let mut session = CpuDevice::new().session();
    let program = session.compile(Arc::new(graph.clone())).expect("it compiles");
    session.enable_profile();
    let inputs: Vec<&HostTensor> = given.iter().map(|(_, values)| values).collect();
    session.run(program, &inputs).expect("it runs");
    let got = session.fetch(program).expect("its outputs");
    let values = given.iter().map(|(id, values)| (*id, Values::from_host(values))).collect();
    let want: HashMap<TensorId, Values<f64>> = evaluate(graph, values);
    for (got, &output) in got.iter().zip(graph.outputs()) {
        let (root, offset) = graph.root(output);
        let want = &want[&root].floats()[offset..offset + got.shape().len()];
        let compared = compare(got.as_f32().expect("floats"), want, tolerance);
        compared.unwrap_or_else(|error| panic!("{}: {error}", graph[output].name));
    }
    session.profile().expect("a profile").rows.into_iter().map(|row| row.op).collect()
}

fn try_all(layer: &Layer, size: [usize; 3], rows: usize, features: usize) {
    let h = size[2];
    let full = ScanInputs { state: true, mask: true, dropout: true };
    for (i, producer) in producers(layer, size, rows, features).into_iter().enumerate() {
        for inputs in [ScanInputs::default(), full] {
            let name = producer.op.name();
            let mut rng = Rng::new(i as u64, u64::from(inputs.state));
            let mut samples = producer.inputs.clone();
            samples.extend(layer.weights(h));
            samples.extend(layer.optional(inputs, size));
            let mut graph = Graph::new();
            let mut given: Vec<(TensorId, HostTensor)> = Vec::new();
            let mut give = |graph: &mut Graph, values: HostTensor| {
                let id = graph.input(format!("input {}", given.len()), ty(&values));
                given.push((id, values));
                id
            };
            let ids: Vec<TensorId> =
                samples.iter().map(|sample| give(&mut graph, sample.draw(&mut rng))).collect();
            let own = producer.inputs.len();
            let x = graph.push_node(producer.op.clone(), &ids[..own], &[]).expect("x")[0];
            let operands = [&[x], &ids[own..]].concat();
            let out = graph.push_node((layer.op)(inputs), &operands, &[]).expect("a layer");
            let mut forward = graph.clone();
            out.iter().for_each(|&output| forward.output(output));
            let tolerance = if producer.half { 2e-3 } else { 1e-5 };
            let ran = check(&forward, &given, tolerance);
            assert_eq!(ran, [layer.name()], "{name} is a part of the scan");
            if producer.half {
                continue;
            }
            let mut give = |graph: &mut Graph, values: HostTensor| {
                let id = graph.input(format!("seed {}", given.len()), ty(&values));
                given.push((id, values));
                id
            };
            let mut seeds = Vec::new();
            for end in layer.seeds.iter().map(|&seed| out[seed]) {
                let shape = graph.shape(end).dims().to_vec();
                seeds.push((end, give(&mut graph, Sample::Normal(shape).draw(&mut rng))));
            }
            let mut wrt: Vec<TensorId> =
                producer.differentiable.iter().map(|&input| ids[input]).collect();
            wrt.extend(&ids[own..own + layer.weights(h).len()]);
            let found = gradients(&mut graph, &seeds, &wrt).expect("gradients");
            found.into_iter().for_each(|d| graph.output(d.expect("a gradient")));
            check(&graph, &given, 1e-5);
        }
    }
}

fn try_sizes(layer: &Layer) {
    try_all(layer, [3, 5, 9], 4, 6);
    try_all(layer, [7, 37, 20], 11, 13);
}

#[test]
fn an_lstm_makes_its_x_step_by_step() {
    try_sizes(&LSTM);
}

#[test]
fn a_gru_makes_its_x_step_by_step() {
    try_sizes(&GRU);
}

#[test]
fn a_simple_rnn_makes_its_x_step_by_step() {
    try_sizes(&SIMPLE_RNN);
}

/// The sizes of the IMDB tutorial, for two reviews.
#[test]
fn an_lstm_over_500_tokens_of_5000_makes_its_x_step_by_step() {
    try_all(&LSTM, [500, 2, 128], 5000, 32);
}

#[test]
fn a_gru_that_resets_before_the_product_is_given_its_x() {
    let (inputs, h) = (ScanInputs::default(), 9);
    let LstmGates { activation, recurrent_activation } = GATES;
    let gru = Gru { activation, recurrent_activation, reset_after: false, bias: false, inputs };
    let mut graph = Graph::new();
    let producer = &producers(&GRU, [3, 5, h], 4, 6)[1];
    let samples = [&producer.inputs[..], &GRU.weights(h)[..1]].concat();
    let mut rng = Rng::new(0, 0);
    let given: Vec<(TensorId, HostTensor)> = samples
        .iter()
        .map(|sample| sample.draw(&mut rng))
        .map(|values| (graph.input("given", ty(&values)), values))
        .collect();
    let ids: Vec<TensorId> = given.iter().map(|&(id, _)| id).collect();
    let own = producer.inputs.len();
    let x = graph.push_node(producer.op.clone(), &ids[..own], &[]).expect("x")[0];
    let out = graph.push(gru, &[x, ids[own]]).expect("a GRU");
    graph.output(out[0]);
    let mut ran = check(&graph, &given, 1e-5);
    ran.sort();
    assert_eq!(ran, ["gru", "matmul"]);
}

#[test]
fn a_matrix_that_is_too_large_for_the_cache_is_multiplied_before() {
    let (t, b, h, features) = (2, 3, 8, 40_000);
    let mut graph = Graph::new();
    let samples = [
        Sample::Normal(vec![t, b, features]),
        Sample::Uniform(vec![features, 4 * h], -0.01, 0.01),
        Sample::Uniform(vec![h, 4 * h], -0.4, 0.4),
    ];
    let mut rng = Rng::new(0, 0);
    let given = samples.map(|sample| {
        let values = sample.draw(&mut rng);
        (graph.input("x", ty(&values)), values)
    });
    let x = graph.apply(Matmul::default(), &[given[0].0, given[1].0]).expect("x");
    let lstm = Lstm { gates: GATES, inputs: ScanInputs::default() };
    let out = graph.push(lstm, &[x, given[2].0]).expect("an LSTM");
    graph.output(out[0]);
    let mut ran = check(&graph, &given, 1e-5);
    ran.sort();
    assert_eq!(ran, ["lstm", "matmul"]);
}

#[test]
fn an_x_that_others_read_is_made_for_all() {
    let size = [3, 5, 9];
    let h = size[2];
    for producer in producers(&LSTM, size, 4, 6) {
        let mut rng = Rng::new(1, 0);
        let mut graph = Graph::new();
        let mut samples = producer.inputs.clone();
        samples.push(Sample::Uniform(vec![h, 4 * h], -0.4, 0.4));
        let given: Vec<(TensorId, HostTensor)> = samples
            .iter()
            .map(|sample| sample.draw(&mut rng))
            .map(|values| (graph.input("given", ty(&values)), values))
            .collect();
        let ids: Vec<TensorId> = given.iter().map(|&(id, _)| id).collect();
        let own = producer.inputs.len();
        let x = graph.push_node(producer.op.clone(), &ids[..own], &[]).expect("x")[0];
        let lstm = Lstm { gates: GATES, inputs: ScanInputs::default() };
        let out = graph.push(lstm, &[x, ids[own]]).expect("an LSTM");
        graph.output(out[0]);
        graph.output(x);
        let ran = check(&graph, &given, if producer.half { 2e-3 } else { 1e-5 });
        assert_eq!(ran.len(), 2, "{ran:?}");
    }
}
