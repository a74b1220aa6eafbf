//! Models of random layers with random arguments, as Keras describes them.

use rnn_core::Rng;
use serde_json::{Value, json};
use std::slice::from_ref;

mod sequences;

/// A model, and the layers that are in the way of its export, with the reasons.
pub struct Random {
    pub description: Value,
    pub refused: Vec<(String, &'static str)>,
}

/// What stands in the way of layers that skip steps.
const MASKED: &str = "it skips steps by the mask";
const STATEFUL: &str = "it keeps its state between batches";

/// A tensor of the model that is made.
#[derive(Clone)]
struct Tensor {
    layer: String,
    call: usize,
    index: usize,
    shape: Vec<usize>,
    masked: bool,
    used: bool,
}

impl Tensor {
    fn is(&self, other: &Self) -> bool {
        (&self.layer, self.call, self.index) == (&other.layer, other.call, other.index)
    }
}

struct Maker {
    rng: Rng,
    layers: Vec<Value>,
    tensors: Vec<Tensor>,
    inputs: Vec<String>,
    refused: Vec<(String, &'static str)>,
}

/// The model of a seed.
pub fn model(seed: u64) -> Random {
    let (rng, layers, tensors) = (Rng::new(seed, 1), vec![], vec![]);
    let mut maker = Maker { rng, layers, tensors, inputs: vec![], refused: vec![] };
    for _ in 0..=maker.below(2) {
        maker.input();
    }
    for _ in 0..2 + maker.below(6) {
        maker.step();
    }
    maker.finish()
}

impl Maker {
    fn below(&mut self, n: usize) -> usize {
        self.rng.below(n as u32) as usize
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    fn rarely(&mut self) -> bool {
        self.below(6) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn input(&mut self) {
        let name = format!("input_{}", self.inputs.len());
        self.inputs.push(name.clone());
        let tokens = self.below(3) == 0;
        let rank = 1 + self.below(5);
        let steps = 4 + self.below(4);
        let shape: Vec<usize> = match tokens {
            true => vec![steps],
            false => {
                (0..rank).map(|axis| if axis + 1 == rank { 3 } else { steps - axis % 2 }).collect()
            }
        };
        let all: Vec<Value> =
            [Value::Null].into_iter().chain(shape.iter().map(|&n| json!(n))).collect();
        let config = json!({"batch_shape": all, "name": name});
        let layer = json!({"class_name": "InputLayer", "config": config, "inbound_nodes": []});
        self.layers.push(layer);
        let tensor = Tensor { layer: name, call: 0, index: 0, shape, masked: false, used: false };
        self.tensors.push(tensor.clone());
        if tokens {
            let width = 2 + self.below(3);
            let mask = self.rarely();
            let config = json!({"input_dim": 7, "output_dim": width, "mask_zero": mask});
            let shape = [&tensor.shape[..], &[width]].concat();
            self.push("Embedding", config, &[tensor], &[], vec![shape], mask);
            // Nothing else takes tokens.
            self.tensors
                .retain(|tensor| tensor.layer != *self.inputs.last().expect("it was pushed"));
        }
    }

    /// Adds a layer and what it puts out; the mask is that of the first output.
    fn push(
        &mut self,
        class: &str,
        config: Value,
        inputs: &[Tensor],
        states: &[Tensor],
        outputs: Vec<Vec<usize>>,
        masked: bool,
    ) {
        let name = format!("{}_{}", class.to_lowercase(), self.layers.len());
        let mut config = config;
        config["name"] = json!(name);
        let node = Self::node(inputs, states);
        self.layers.push(
            json!({"class_name": class, "config": config, "name": name, "inbound_nodes": [node]}),
        );
        self.made(&name, 0, inputs, states, outputs, masked);
    }

    /// The same for one input and one output.
    fn behind(&mut self, class: &str, config: Value, x: &Tensor, shape: Vec<usize>, masked: bool) {
        self.push(class, config, from_ref(x), &[], vec![shape], masked);
    }

    fn node(inputs: &[Tensor], states: &[Tensor]) -> Value {
        let tensor = |t: &Tensor| {
            let history = json!([t.layer, t.call, t.index]);
            json!({"class_name": "__keras_tensor__", "config": {"keras_history": history}})
        };
        let args: Vec<Value> = inputs.iter().map(tensor).collect();
        let args = if args.len() > 1 { json!([args]) } else { json!(args) };
        let states: Vec<Value> = states.iter().map(tensor).collect();
        match states.is_empty() {
            true => json!({"args": args, "kwargs": {}}),
            false => json!({"args": args, "kwargs": {"initial_state": states}}),
        }
    }

    fn made(
        &mut self,
        name: &str,
        call: usize,
        inputs: &[Tensor],
        states: &[Tensor],
        outputs: Vec<Vec<usize>>,
        masked: bool,
    ) {
        for tensor in &mut self.tensors {
            tensor.used |= inputs.iter().chain(states).any(|t| t.is(tensor));
        }
        for (index, shape) in outputs.into_iter().enumerate() {
            let (layer, masked) = (name.to_owned(), masked && index == 0);
            self.tensors.push(Tensor { layer, call, index, shape, masked, used: false });
        }
    }

    /// A layer that skips masked steps cannot be exported.
    fn skips(&mut self, class: &str, x: &Tensor) {
        if x.masked {
            let name = format!("{}_{}", class.to_lowercase(), self.layers.len());
            self.refused.push((name, MASKED));
        }
    }

    fn step(&mut self) {
        // The newest are taken most often, so that models are deep.
        let newest = self.tensors.len() - 1 - self.below(self.tensors.len().min(3));
        let x = self.tensors[newest].clone();
        match (self.below(8), x.shape.len()) {
            (0, _) => self.merge(&x),
            (1, _) => self.again(&x),
            (2 | 3, 2) => self.recurrent(&x),
            (2, 3..) => self.conv_lstm(&x),
            (3 | 4, 2..=4) => self.windows(&x),
            (5, 2..) => self.distributed(&x),
            _ => self.plain(&x),
        }
    }

    fn activation(&mut self) -> &'static str {
        let all =
            ["linear", "relu", "sigmoid", "tanh", "hard_sigmoid", "softmax", "gelu", "mish", "elu"];
        self.pick(&all)
    }

    /// Layers of any rank.
    fn plain(&mut self, x: &Tensor) {
        let elements: usize = x.shape.iter().product();
        let rank = x.shape.len();
        let activation = self.activation();
        let (flag, other) = (self.flag(), self.flag());
        let kept = |maker: &mut Self, class: &str, config: Value| {
            maker.behind(class, config, x, x.shape.clone(), x.masked);
        };
        match self.below(14) {
            0 => kept(self, "Activation", json!({"activation": activation})),
            1 => kept(self, "Softmax", json!({})),
            2 => kept(self, "Dropout", json!({"rate": 0.3})),
            3 => kept(self, "BatchNormalization", json!({"scale": flag, "center": other})),
            4 => kept(self, "LayerNormalization", json!({"scale": flag, "center": other})),
            5 if rank == 2 => kept(self, "SpatialDropout1D", json!({"rate": 0.3})),
            5 if rank == 1 => {
                let shape = vec![3, elements];
                self.behind("RepeatVector", json!({"n": 3}), x, shape, false);
            }
            6 if rank == 2 => {
                let config = json!({"mask_value": 0.5});
                self.behind("Masking", config, x, x.shape.clone(), true);
            }
            7 => self.push("Flatten", json!({}), from_ref(x), &[], vec![vec![elements]], false),
            8 if elements.is_multiple_of(2) => {
                let (config, shape) = (json!({"target_shape": [2, -1]}), vec![2, elements / 2]);
                self.behind("Reshape", config, x, shape, false);
            }
            10 => kept(self, "Identity", json!({})),
            11 => kept(self, "GaussianNoise", json!({"stddev": 0.5})),
            12 if (2..=4).contains(&rank) => {
                let (padded, axes) = (self.flag(), rank - 1);
                let ends = if axes == 1 { json!([0, 1]) } else { json!(vec![[0, 1]; axes]) };
                let extent = |n: &usize| if padded { n + 1 } else { n - 1 };
                if !padded && x.shape[..axes].contains(&1) {
                    return self.plain(x);
                }
                let shape: Vec<usize> = x.shape[..axes].iter().map(extent).collect();
                let shape = [&shape[..], &x.shape[axes..]].concat();
                let (class, name) = match padded {
                    true => ("ZeroPadding", "padding"),
                    false => ("Cropping", "cropping"),
                };
                self.behind(&format!("{class}{axes}D"), json!({name: ends}), x, shape, false);
            }
            9 => {
                let shape = [&x.shape[1..], &x.shape[..1]].concat();
                let dims: Vec<usize> = (2..=rank).chain([1]).collect();
                self.behind("Permute", json!({"dims": dims}), x, shape, false);
            }
            _ => {
                let units = 1 + self.below(4);
                let config = json!({"units": units, "activation": activation, "use_bias": flag});
                let shape = [&x.shape[..rank - 1], &[units]].concat();
                self.behind("Dense", config, x, shape, x.masked);
            }
        }
    }

    fn merge(&mut self, x: &Tensor) {
        // Those of one mask alone can be merged.
        let alike = |t: &&Tensor| t.shape == x.shape && (t.is(x) || !t.masked && !x.masked);
        let others: Vec<Tensor> = self.tensors.iter().filter(alike).cloned().collect();
        let other = others[self.below(others.len())].clone();
        let mut inputs = vec![x.clone(), other];
        let classes =
            ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate"];
        let class = self.pick(&classes);
        if class != "Subtract" && self.flag() {
            inputs.push(x.clone());
        }
        let axis = if x.masked { x.shape.len() - 1 } else { self.below(x.shape.len()) };
        let mut shape = x.shape.clone();
        let config = match class {
            "Concatenate" => {
                shape[axis] *= inputs.len();
                json!({"axis": axis + 1})
            }
            _ => json!({}),
        };
        if ["Maximum", "Minimum", "Multiply"].contains(&class) {
            self.skips(class, x);
        }
        self.push(class, config, &inputs, &[], vec![shape], x.masked);
    }

    /// A Dense layer that there is, applied once more.
    fn again(&mut self, x: &Tensor) {
        let dense =
            |t: &&Tensor| t.layer.starts_with("dense_") && t.layer != x.layer && t.call == 0;
        let Some(made) = self.tensors.iter().find(dense).cloned() else { return self.plain(x) };
        let name = made.layer.clone();
        let at = self.layers.iter().position(|layer| layer["name"] == json!(name));
        let at = at.expect("it was made");
        let source =
            self.layers[at]["inbound_nodes"][0]["args"][0]["config"]["keras_history"].clone();
        let find = |t: &&Tensor| json!([t.layer, t.call, t.index]) == source;
        let first = self.tensors.iter().find(find).map(|t| t.shape.clone());
        if first.and_then(|shape| shape.last().copied()) != x.shape.last().copied() {
            return self.plain(x);
        }
        let nodes = self.layers[at]["inbound_nodes"].as_array_mut().expect("a list");
        nodes.push(Self::node(from_ref(x), &[]));
        let call = nodes.len() - 1;
        let rank = x.shape.len();
        let units = made.shape[made.shape.len() - 1];
        let shape = [&x.shape[..rank - 1], &[units]].concat();
        self.made(&name, call, from_ref(x), &[], vec![shape], x.masked);
    }

    /// The model that puts out all that no layer takes, and now and then something else.
    fn finish(mut self) -> Random {
        let every = self.rarely();
        let inputs = self.inputs.clone();
        let made = |t: &&Tensor| !inputs.contains(&t.layer) && (!t.used || every);
        let ends: Vec<Tensor> = self.tensors.iter().filter(made).cloned().collect();
        if ends.is_empty() {
            let x = self.tensors[0].clone();
            self.plain(&x);
            return self.finish();
        }
        let history = |t: &Tensor| json!([t.layer, t.call, t.index]);
        let config = json!({
            "layers": self.layers,
            "input_layers": inputs.iter().map(|name| json!([name, 0, 0])).collect::<Vec<_>>(),
            "output_layers": ends.iter().map(history).collect::<Vec<_>>(),
        });
        // Layers that stand behind no output are of the model all the same.
        let description = json!({"class_name": "Functional", "config": config});
        Random { description, refused: self.refused }
    }
}
