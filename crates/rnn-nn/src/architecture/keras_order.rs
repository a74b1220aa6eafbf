//! The order in which Keras's files keep the layers of a model.

use super::{Architecture, Call, TensorRef};
use crate::layer::MaskFlow;
use crate::naming::snake_case;
use std::collections::{HashMap, HashSet};

/// An input or a layer, which Keras sorts together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Input(usize),
    Layer(usize),
}

impl Architecture {
    fn operation(&self, source: TensorRef) -> Operation {
        match source {
            TensorRef::Input(input) => Operation::Input(input),
            TensorRef::Output { call, .. } => Operation::Layer(self.calls[call].layer),
        }
    }

    /// The calls that the outputs need, each behind those that make its inputs, and the operations
    /// in the order in which the outputs' ancestors are met (`_build_map` in
    /// keras/src/ops/function.py).
    fn walk(&self) -> (Vec<usize>, HashMap<Operation, usize>) {
        let mut order = Vec::new();
        let mut met = HashMap::new();
        let mut done = vec![false; self.calls.len()];
        // A call is met before its inputs, and over after them.
        let mut stack: Vec<(TensorRef, bool)> =
            self.outputs.iter().rev().map(|&output| (output, false)).collect();
        while let Some((source, over)) = stack.pop() {
            let next = met.len();
            match source {
                TensorRef::Output { call, .. } if over => {
                    if !std::mem::replace(&mut done[call], true) {
                        order.push(call);
                    }
                }
                TensorRef::Output { call, .. } if done[call] => {}
                TensorRef::Output { call, .. } => {
                    met.entry(self.operation(source)).or_insert(next);
                    stack.push((source, true));
                    stack.extend(self.calls[call].inputs.iter().rev().map(|&s| (s, false)));
                }
                TensorRef::Input(_) => {
                    met.entry(self.operation(source)).or_insert(next);
                }
            }
        }
        (order, met)
    }

    /// The depth of each operation and of each call that the outputs need, as the distance from the
    /// outputs, and the places of the calls in the order in which they got theirs (`map_graph` in
    /// keras/src/ops/function.py).
    fn depths(&self) -> (HashMap<Operation, usize>, HashMap<usize, (usize, usize)>) {
        let (order, _) = self.walk();
        let mut depths: HashMap<Operation, usize> = HashMap::new();
        let mut of_calls: HashMap<usize, (usize, usize)> = HashMap::new();
        let deepen = |of_calls: &mut HashMap<usize, (usize, usize)>, call, depth| {
            let place = of_calls.len();
            let known = of_calls.entry(call).or_insert((0, place));
            known.0 = known.0.max(depth);
            known.0
        };
        for &call in order.iter().rev() {
            let operation = Operation::Layer(self.calls[call].layer);
            let others = depths.get(&operation).copied().unwrap_or(0);
            let depth = deepen(&mut of_calls, call, others);
            depths.insert(operation, depth);
            for &source in &self.calls[call].inputs {
                match source {
                    TensorRef::Output { call, .. } => {
                        deepen(&mut of_calls, call, depth + 1);
                    }
                    TensorRef::Input(_) => {
                        let above = depths.entry(self.operation(source)).or_insert(0);
                        *above = (*above).max(depth + 1);
                    }
                }
            }
        }
        (depths, of_calls)
    }

    /// The calls that the outputs need, in the order in which Keras makes them
    /// (`run_through_graph` in keras/src/ops/function.py).
    pub(super) fn calls_in_keras_order(&self) -> Vec<usize> {
        let (_, of_calls) = self.depths();
        let mut all: Vec<(usize, (usize, usize))> = of_calls.into_iter().collect();
        all.sort_by_key(|&(_, (depth, place))| (usize::MAX - depth, place));
        all.into_iter().map(|(call, _)| call).collect()
    }

    /// The layers in the order of Keras's `Model.layers`: those farthest from the outputs first. A
    /// layer that no output needs is not among them.
    fn sorted(&self) -> Vec<Operation> {
        let (_, met) = self.walk();
        let (depths, _) = self.depths();
        let mut all: Vec<(Operation, usize)> = depths.into_iter().collect();
        all.sort_by_key(|&(operation, depth)| {
            (usize::MAX - depth, met.get(&operation).copied().unwrap_or(usize::MAX))
        });
        all.into_iter().map(|(operation, _)| operation).collect()
    }

    /// The layers that a tensor depends on.
    fn ancestors(&self, of: TensorRef) -> HashSet<usize> {
        let (mut open, mut found) = (vec![of], HashSet::new());
        while let Some(source) = open.pop() {
            if let TensorRef::Output { call, .. } = source
                && found.insert(self.calls[call].layer)
            {
                open.extend(&self.calls[call].inputs);
            }
        }
        found
    }

    /// Returns the names of two layers of one class whose order in Keras's files is not worked out
    /// here; `None` if there are none. Keras concatenates masks by operations of their own, behind
    /// the tensors that are concatenated, which moves the layers before them away from the outputs.
    pub fn layers_of_unknown_order(&self) -> Option<[&str; 2]> {
        let (depths, _) = self.depths();
        let flow = |layer: usize| self.layers[layer].layer.mask_flow();
        let concatenates = |call: &&Call| {
            let joins = [MaskFlow::ConcatenatedFeatures, MaskFlow::ConcatenatedSteps];
            joins.contains(&flow(call.layer))
        };
        for call in self.calls.iter().filter(concatenates) {
            let branches: Vec<HashSet<usize>> =
                call.inputs.iter().map(|&input| self.ancestors(input)).collect();
            let masks =
                |&layer: &usize| matches!(flow(layer), MaskFlow::Tokens | MaskFlow::Steps(_));
            if !branches.iter().flatten().any(masks) {
                continue;
            }
            let depth = |layer| depths.get(&Operation::Layer(layer));
            let class = |layer: usize| self.layers[layer].layer.class();
            for (i, branch) in branches.iter().enumerate() {
                for other in &branches[i + 1..] {
                    let pairs = branch.difference(other).flat_map(|&a| {
                        other.difference(branch).map(move |&b| [a.min(b), a.max(b)])
                    });
                    let unlike =
                        |&[a, b]: &[usize; 2]| class(a) == class(b) && depth(a) != depth(b);
                    if let Some(pair) = pairs.filter(unlike).min() {
                        return Some(pair.map(|layer| self.layers[layer].name.as_str()));
                    }
                }
            }
        }
        None
    }

    /// Returns, in Keras's order of layers, the index of each layer in [`Architecture::layers`],
    /// from 0 on, with its path in the weights of a `.keras` file. The first layer of a class has
    /// the path `layers/lstm`, the second `layers/lstm_1`, and so on. Layers that no output needs
    /// are left out.
    pub fn keras_paths(&self) -> Vec<(usize, String)> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut path = |class: &str| {
            let stem = snake_case(class);
            let count = counts.entry(stem.clone()).or_insert(0);
            *count += 1;
            let number = if *count > 1 { format!("_{}", *count - 1) } else { String::new() };
            format!("layers/{stem}{number}")
        };
        let mut paths = Vec::new();
        for operation in self.sorted() {
            match operation {
                Operation::Input(_) => drop(path("InputLayer")),
                Operation::Layer(layer) => {
                    paths.push((layer, path(self.layers[layer].layer.class())));
                }
            }
        }
        paths
    }
}
