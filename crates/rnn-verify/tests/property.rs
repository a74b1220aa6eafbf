//! Layers of random configurations on every device against the f64 evaluation of the same graph:
//! outputs and all gradients.

use rnn_core::{HostTensor, Rng};
use rnn_graph::{Device, Graph, TensorId, TensorType, Values, evaluate};
use rnn_nn::{
    AveragePooling1D, AveragePooling3D, Bidirectional, Cell, Conv1D, Conv2D, Conv3D, ConvLstm1D,
    ConvLstm2D, Dense, ForwardContext, Gru, Layer, LayerNormalization, Lstm, MaxPooling1D,
    MaxPooling2D, Merge, Precision, Recurrent, SimpleRnn, SpatialDropout1D, TimeDistributed, Value,
};
use rnn_ops::{Activation, Padding};
use rnn_testing::devices;
use rnn_verify::compare;
use std::collections::HashMap;
use std::sync::Arc;

/// Extents around the sizes of workgroups, tiles and vectors, and a prime.
const WIDTHS: [usize; 12] = [1, 2, 31, 32, 33, 61, 63, 64, 65, 127, 128, 129];
const STEPS: [usize; 6] = [1, 2, 3, 7, 16, 33];
const BATCHES: [usize; 6] = [1, 2, 5, 31, 32, 33];
/// Multiplications of one configuration in the reference, at most.
const BUDGET: usize = 6_000_000;
const CONFIGURATIONS: u64 = 60;
/// Sums of up to 300 terms, fed back through up to 33 steps, relative to the largest element.
const TOLERANCE: f64 = 5e-5;
/// The same with factors and gates that have an error of half of 2^-10.
const MIXED_TOLERANCE: f64 = 1e-2;

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u32) as usize]
}

fn coin(rng: &mut Rng) -> bool {
    rng.below(2) == 1
}

fn recurrent<C: Cell>(rng: &mut Rng, mut layer: Recurrent<C>) -> Recurrent<C> {
    if coin(rng) {
        layer = layer.return_sequences();
    }
    if coin(rng) {
        layer = layer.go_backwards();
    }
    if coin(rng) {
        layer = layer.without_bias();
    }
    if coin(rng) {
        layer = layer.dropout(0.3);
    }
    if coin(rng) {
        layer = layer.recurrent_dropout(0.4);
    }
    layer
}

fn draw_layer(rng: &mut Rng, units: usize) -> Box<dyn Layer> {
    let gate = pick(rng, &[Activation::Sigmoid, Activation::HardSigmoid2018]);
    match rng.below(10) {
        0 => Box::new(recurrent(rng, SimpleRnn::new(units))),
        1 | 2 => Box::new(recurrent(rng, Lstm::new(units).recurrent_activation(gate))),
        3 => Box::new(recurrent(rng, Gru::new(units).recurrent_activation(gate))),
        4 => Box::new(recurrent(rng, Gru::new(units).reset_before())),
        5 => {
            let merge = pick(rng, &[Merge::Concat, Merge::Sum, Merge::Mul, Merge::Average]);
            let layer = recurrent(rng, Lstm::new(units));
            Box::new(Bidirectional::new(layer).merge_mode(merge))
        }
        6 => {
            let layer = Conv1D::new(units, 1 + rng.below(4) as usize)
                .padding(pick(rng, &[Padding::Same, Padding::Causal]))
                .activation(Activation::Tanh);
            Box::new(layer.strides(1 + rng.below(2) as usize))
        }
        7 => match coin(rng) {
            true => Box::new(MaxPooling1D(2).padding(Padding::Same)),
            false => Box::new(AveragePooling1D(3).padding(Padding::Same)),
        },
        8 => match coin(rng) {
            true => Box::new(LayerNormalization::new()),
            false => Box::new(SpatialDropout1D::new(0.5)),
        },
        _ => Box::new(TimeDistributed(Dense::new(units, Activation::Tanh))),
    }
}

/// A layer, and the axes of its samples besides channels.
fn draw_pixel_layer(rng: &mut Rng) -> (Box<dyn Layer>, usize) {
    let filters = pick(rng, &[1, 3, 16, 17, 33]);
    let mut small = || 1 + rng.below(3) as usize;
    let (size, strides) = ([small(), small(), small()], [small(), small(), small()]);
    let padding = pick(rng, &[Padding::Same, Padding::Valid]);
    match rng.below(6) {
        0 => {
            let layer = Conv2D::new(filters, [size[0], size[1]]).padding(padding);
            (Box::new(layer.strides([strides[0], strides[1]])), 2)
        }
        1 => (Box::new(Conv3D::new(filters, size).padding(padding).strides(strides)), 3),
        2 => (Box::new(MaxPooling2D([size[0], size[1]]).padding(padding)), 2),
        3 => (Box::new(AveragePooling3D(size).padding(padding).strides(strides)), 3),
        4 => {
            let layer = ConvLstm2D::new(filters, [size[0], size[1]]).padding(padding);
            (Box::new(recurrent(rng, layer)), 3)
        }
        _ => (Box::new(recurrent(rng, ConvLstm1D::new(filters, size[0]).padding(padding))), 2),
    }
}

/// A layer between random tensors, with its gradients.
struct Trial {
    name: String,
    graph: Graph,
    given: HashMap<TensorId, HostTensor>,
    results: Vec<TensorId>,
    precision: Precision,
}

impl Trial {
    /// A layer over a sequence.
    fn sequence(seed: u64, precision: Precision) -> Self {
        let rng = &mut Rng::new(seed, 0);
        let units = if rng.below(12) == 0 { 300 } else { pick(rng, &WIDTHS) };
        let layer = draw_layer(rng, units);
        let width = pick(rng, &WIDTHS);
        let (mut steps, mut batch) = (pick(rng, &STEPS), pick(rng, &BATCHES));
        while steps * batch * units * (units + width) > BUDGET {
            (steps, batch) = (steps.div_ceil(2), batch.div_ceil(2));
        }
        Self::draw(rng, (seed, precision), &*layer, &[steps, width], batch)
    }

    /// A layer over pictures, volumes or films, with extents around those of its windows.
    fn pixels(seed: u64, precision: Precision) -> Self {
        let rng = &mut Rng::new(seed, 1);
        let (layer, axes) = draw_pixel_layer(rng);
        let mut sample: Vec<usize> = (0..axes).map(|_| 3 + rng.below(4) as usize).collect();
        sample.push(pick(rng, &[1, 2, 5, 17]));
        let batch = pick(rng, &[1, 2, 3]);
        Self::draw(rng, (seed, precision), &*layer, &sample, batch)
    }

    /// A layer between random tensors.
    fn draw(
        rng: &mut Rng,
        (seed, precision): (u64, Precision),
        layer: &dyn Layer,
        sample: &[usize],
        batch: usize,
    ) -> Self {
        let steps = sample[0];
        let mut trial = Self {
            name: format!("seed {seed}, {precision:?}: {layer:?} on {sample:?}, batch {batch}"),
            graph: Graph::new(),
            given: HashMap::new(),
            results: vec![],
            precision,
        };
        let x = trial.input(rng, &[&[steps, batch], &sample[1..]].concat(), 1.0);
        let weights = layer.weights(sample).expect("it fits");
        let mut sources = vec![x];
        for weight in &weights {
            let fan = weight.shape.iter().rev().skip(1).product::<usize>().max(1);
            sources.push(trial.input(rng, &weight.shape, (fan as f32).sqrt().recip()));
        }
        let mask = coin(rng).then(|| {
            let bits = (0..steps * batch).map(|_| u32::from(rng.below(3) > 0)).collect();
            trial.uints(HostTensor::from_u32([steps, batch], bits).expect("the shape"))
        });
        let key = HostTensor::from_u32([4], vec![seed as u32, 7, 3, 0]).expect("a key");
        let key = trial.uints(key);
        let mut cx = ForwardContext::new(&mut trial.graph, Some(key)).precision(precision);
        let value = Value { tensor: x, mask };
        let output = layer.forward(&mut cx, value, &sources[1..]).expect("it fits").tensor;
        let shape = trial.graph.shape(output).dims().to_vec();
        let seed = trial.input(rng, &shape, 1.0);
        let gradients = rnn_ops::gradients(&mut trial.graph, &[(output, seed)], &sources);
        trial.results.push(output);
        trial.results.extend(gradients.expect("gradients").into_iter().flatten());
        assert_eq!(trial.results.len(), 1 + sources.len(), "{}", trial.name);
        trial.results.iter().for_each(|&t| trial.graph.output(t));
        trial
    }

    fn input(&mut self, rng: &mut Rng, shape: &[usize], scale: f32) -> TensorId {
        let count = shape.iter().product();
        let values = (0..count).map(|_| scale * rng.normal() as f32).collect();
        let id = self.graph.input("floats", TensorType::f32(shape));
        self.given.insert(id, HostTensor::from_f32(shape, values).expect("the shape"));
        id
    }

    fn uints(&mut self, values: HostTensor) -> TensorId {
        let id = self.graph.input("integers", TensorType::u32(values.shape().clone()));
        self.given.insert(id, values);
        id
    }

    fn reference(&self) -> Vec<Vec<f64>> {
        let given = self.given.iter().map(|(&id, t)| (id, Values::from_host(t))).collect();
        let values = evaluate::<f64>(&self.graph, given);
        let part = |&t: &TensorId| {
            let (root, offset) = self.graph.root(t);
            values[&root].floats()[offset..offset + self.graph[t].ty.len()].to_vec()
        };
        self.results.iter().map(part).collect()
    }

    fn check(&self, device: &dyn Device, want: &[Vec<f64>]) -> Result<(), String> {
        let inputs: Vec<&HostTensor> = self.graph.inputs().iter().map(|t| &self.given[t]).collect();
        let run = || -> Result<Vec<HostTensor>, rnn_graph::DeviceError> {
            let mut session = device.session();
            let program = session.compile(Arc::new(self.graph.clone()))?;
            session.run(program, &inputs)?;
            session.fetch(program)
        };
        let got = run().map_err(|e| e.to_string())?;
        let tolerance = match self.precision {
            Precision::F32 => TOLERANCE,
            Precision::Mixed => MIXED_TOLERANCE,
        };
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            compare(got.as_f32().map_err(|e| e.to_string())?, want, tolerance)
                .map_err(|e| format!("result {i}: {e}"))?;
        }
        Ok(())
    }
}

#[test]
fn random_layers_agree_with_their_definition() {
    let devices = devices();
    let mut failures = Vec::new();
    let trials = |precision, count: u64| {
        let sequences = (0..count).map(move |seed| Trial::sequence(seed, precision));
        sequences.chain((0..count).map(move |seed| Trial::pixels(seed, precision)))
    };
    // Those of half of the configurations, as far as devices know half precision.
    let mixed = trials(Precision::Mixed, CONFIGURATIONS / 2);
    for trial in trials(Precision::F32, CONFIGURATIONS).chain(mixed) {
        let single = trial.precision == Precision::F32;
        let want = trial.reference();
        for device in devices.iter().filter(|device| single || device.limits().half) {
            if let Err(error) = trial.check(&**device, &want) {
                failures.push(format!("{} on {}: {error}", trial.name, device.info()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
