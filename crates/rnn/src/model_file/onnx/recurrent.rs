//! LSTM, GRU and RNN.
//!
//! ONNX has gates in the order i, o, f, c and z, r, h, Keras i, f, c, o and z, r, h. Both biases of
//! an LSTM, of the products with W and with R, are one here; a GRU that resets behind the product
//! has both.

use super::super::{ModelFileError, Result};
use super::build::Layer;
use super::elementwise::hard_sigmoid;
use super::products::{transposed, weight};
use super::value::{Atom, Axis, BATCH, Source, Value, View, extent, refuse};
use super::{Import, float, int, text};
use rnn_core::HostTensor;
use rnn_formats::onnx::{Attribute, Elements, OnnxNode};
use serde_json::{Value as Json, json};

/// What is different between the three operators.
struct Cell {
    class: &'static str,
    /// The index of each gate in ONNX's order, in Keras's order of gates.
    gates: &'static [usize],
    /// The tensors of the state.
    states: usize,
    activations: &'static [&'static str],
}

const LSTM: Cell = Cell {
    class: "LSTM",
    gates: &[0, 2, 3, 1],
    states: 2,
    activations: &["Sigmoid", "Tanh", "Tanh"],
};
const GRU: Cell =
    Cell { class: "GRU", gates: &[0, 1, 2], states: 1, activations: &["Sigmoid", "Tanh"] };
const RNN: Cell = Cell { class: "SimpleRNN", gates: &[0], states: 1, activations: &["Tanh"] };

impl Import<'_> {
    pub(super) fn recurrent(&mut self, node: &OnnxNode) -> Result<Vec<Value>> {
        let cell = match node.operator.as_str() {
            "LSTM" => LSTM,
            "GRU" => GRU,
            _ => RNN,
        };
        let direction = text(node, "direction", "forward");
        let directions = if direction == "bidirectional" { 2 } else { 1 };
        if float(node, "clip", 0.0) != 0.0 {
            return refuse("clip is not supported");
        }
        if int(node, "input_forget", 0) != 0 {
            return refuse("input_forget is not supported");
        }
        if self.optional(node, 7)?.is_some() {
            return refuse("weights of peepholes (P) are not supported");
        }
        let x = self.view(node, 0)?;
        let [outer, middle, features] = &x.axes[..] else {
            return refuse(format!("a sequence of {} axes; it takes three", x.axes.len()));
        };
        let batch_first = int(node, "layout", 0) != 0;
        let (time, batch) = if batch_first { (middle, outer) } else { (outer, middle) };
        if batch.len() != 1 || batch[0].id != BATCH {
            return refuse(
                "its second axis is not the batch of the model: export the model with a batch",
            );
        }
        self.check_lengths(node, time)?;
        let (units, weights) = self.weights(node, &cell, directions)?;
        let width = extent(features);
        if weights.first().map(|kernel| kernel.shape().dims()[0]) != width {
            return refuse("weights for another number of features");
        }
        // The order in which the layer sees the steps, and that in which ONNX does.
        let seen_backwards = time.iter().any(|atom| atom.reversed);
        if seen_backwards && directions == 2 {
            return refuse("a sequence in reversed order for both directions");
        }
        let forwards: Axis = time.iter().map(|atom| Atom { reversed: false, ..*atom }).collect();
        let straight = View {
            own: x.own.clone(),
            axes: x
                .axes
                .iter()
                .map(|axis| if axis == time { forwards.clone() } else { axis.clone() })
                .collect(),
            source: x.source,
        };
        let source = self.arranged(&straight, &[forwards, features.clone()])?;
        let backwards = direction == "reverse";
        let mut config = self.configured(node, &cell, directions)?;
        config["units"] = json!(units);
        config["use_bias"] = json!(self.optional(node, 3)?.is_some());
        let states = self.initial_states(node, &cell, directions)?;
        let class = match directions {
            2 => {
                config = json!({"layer": {"class_name": cell.class, "config": config}});
                "Bidirectional"
            }
            _ => {
                config["go_backwards"] = json!(backwards != seen_backwards);
                cell.class
            }
        };
        let time = match time[..] {
            [atom] => vec![atom],
            _ => self.axis(extent(time)),
        };
        let marked = |reversed| -> Axis { time.iter().map(|a| Atom { reversed, ..*a }).collect() };
        let inputs: Vec<Source> = [source].into_iter().chain(states).collect();
        self.spend(weights.iter().map(|weight| weight.shape().len()).sum())?;
        for input in &inputs {
            if let Source::Layer { layer, .. } = input {
                self.shared.insert(*layer);
            }
        }
        self.layers.push(Layer { class, config, inputs, weights, recurrent: true });
        let layer = self.layers.len() - 1;
        let (unit, both) = (self.axis(Some(units)), self.axis(Some(directions)));
        let batch = batch.clone();
        let ordered = |time: Axis, both: Axis, unit: Axis| match batch_first {
            true => vec![batch.clone(), time, both, unit],
            false => vec![time, both, batch.clone(), unit],
        };
        let sequence = View {
            source: Source::Layer { layer, output: 0 },
            own: vec![marked(false), [&both[..], &unit].concat()],
            axes: ordered(marked(backwards), both, unit.clone()),
        };
        let mut made = vec![Value::View(sequence)];
        for state in 0..cell.states {
            let views = (0..directions).map(|direction| View {
                source: Source::Layer { layer, output: 1 + direction * cell.states + state },
                own: vec![unit.clone()],
                axes: vec![batch.clone(), unit.clone()],
            });
            made.push(Value::Stack(usize::from(batch_first), views.collect()));
        }
        Ok(made)
    }

    /// Lengths of sequences are taken where all are whole.
    fn check_lengths(&self, node: &OnnxNode, time: &Axis) -> Result<()> {
        let all = |lengths: &[i64]| {
            extent(time).is_some_and(|steps| lengths.iter().all(|&n| n == steps as i64))
        };
        let whole = match self.optional(node, 4)? {
            None => true,
            Some(Value::Array(array)) => {
                matches!(&array.elements, Elements::Ints(lengths) if all(lengths))
            }
            Some(Value::Fill(_, length)) => all(&[length as i64]),
            Some(_) => false,
        };
        match whole {
            true => Ok(()),
            false => refuse(
                "the lengths of the sequences (sequence_lens) are data: export the model without \
                 pack_padded_sequence",
            ),
        }
    }

    /// The units, and the weights in Keras's order: kernel, recurrent kernel and bias of each
    /// direction.
    fn weights(
        &self,
        node: &OnnxNode,
        cell: &Cell,
        directions: usize,
    ) -> Result<(usize, Vec<HostTensor>)> {
        let gates = cell.gates.len();
        let ((w_dims, w), (r_dims, r)) = (self.floats(node, 1)?, self.floats(node, 2)?);
        let ([d, rows, inputs], [e, others, units]) = (&w_dims[..], &r_dims[..]) else {
            return refuse("weights of other than three axes");
        };
        let (inputs, units) = (*inputs, *units);
        let rows_fit = units.checked_mul(gates) == Some(*rows) && rows == others;
        if [*d, *e] != [directions; 2] || !rows_fit || inputs == 0 || units == 0 {
            return refuse(format!("weights of shapes {w_dims:?} and {r_dims:?}"));
        }
        let biases = match self.optional(node, 3)? {
            None => None,
            Some(_) => {
                let (dims, values) = self.floats(node, 3)?;
                if dims != [directions, 2 * rows] {
                    return refuse(format!("a bias of shape {dims:?}"));
                }
                Some(values)
            }
        };
        let mut weights = Vec::new();
        for direction in 0..directions {
            for (values, columns) in [(&w, inputs), (&r, units)] {
                let part = &values[direction * rows * columns..(direction + 1) * rows * columns];
                let ordered = reordered(part, cell.gates, units * columns);
                weights.push(transposed(&[*rows, columns], ordered, &[1, 0])?);
            }
            if let Some(values) = &biases {
                let part = &values[direction * 2 * rows..(direction + 1) * 2 * rows];
                let (outer, inner) = part.split_at(*rows);
                let [outer, inner] = [outer, inner].map(|b| reordered(b, cell.gates, units));
                weights.push(match cell.class == "GRU" && resets_after(node) {
                    true => weight([2, *rows], [outer, inner].concat())?,
                    false => {
                        let sums = outer.iter().zip(inner).map(|(a, b)| a + b).collect();
                        weight([*rows], sums)?
                    }
                });
            }
        }
        Ok((units, weights))
    }

    /// The activations, which must be the same in both directions.
    fn configured(&self, node: &OnnxNode, cell: &Cell, directions: usize) -> Result<Json> {
        let count = cell.activations.len();
        let named: Vec<&str> = match node.attributes.get("activations") {
            Some(Attribute::Texts(names)) => names.iter().map(String::as_str).collect(),
            _ => cell.activations.repeat(directions),
        };
        let list = |name: &str| match node.attributes.get(name) {
            Some(Attribute::Floats(values)) => values.clone(),
            _ => vec![],
        };
        let (mut alphas, mut betas) =
            (list("activation_alpha").into_iter(), list("activation_beta").into_iter());
        let mut names = Vec::new();
        for name in named {
            names.push(activation(name, &mut alphas, &mut betas)?);
        }
        let (first, others) = names.split_at(count.min(names.len()));
        if first.len() != count || !(others.is_empty() || others == first) {
            return refuse("other activations in the other direction");
        }
        match (cell.class, first) {
            ("LSTM", [gate, candidate, output]) if candidate == output => {
                Ok(json!({"recurrent_activation": gate, "activation": candidate}))
            }
            ("GRU", [gate, candidate]) => Ok(json!({"recurrent_activation": gate,
                "activation": candidate, "reset_after": resets_after(node)})),
            ("SimpleRNN", [activation]) => Ok(json!({"activation": activation})),
            _ => refuse("one activation for the candidate and another for the output"),
        }
    }

    /// The states to begin with, those of the first direction first; none, if they are zeros.
    fn initial_states(
        &mut self,
        node: &OnnxNode,
        cell: &Cell,
        directions: usize,
    ) -> Result<Vec<Source>> {
        let mut given = Vec::new();
        for state in 0..cell.states {
            match self.optional(node, 5 + state)? {
                None | Some(Value::Fill(_, 0.0)) => {}
                Some(Value::Array(array)) if matches!(&array.elements, Elements::Floats(v) if v.iter().all(|v| *v == 0.0)) =>
                    {}
                Some(Value::Array(_) | Value::Fill(..)) => {
                    return refuse("an initial state that is a constant other than zero");
                }
                Some(value) => given.push(value),
            }
        }
        if given.is_empty() {
            return Ok(vec![]);
        }
        if given.len() != cell.states {
            return refuse("one initial state without the other");
        }
        let axis = usize::from(int(node, "layout", 0) != 0);
        let mut states = Vec::new();
        for direction in 0..directions {
            for value in &given {
                let one = match value {
                    // The axis of a single direction.
                    Value::View(view) if directions == 1 => {
                        let mut view = view.clone();
                        if view.axes.get(axis).is_none_or(|axis| !axis.is_empty()) {
                            return refuse("an initial state of more than one direction");
                        }
                        view.axes.remove(axis);
                        Value::View(view)
                    }
                    value => self.selected(value.clone(), axis, direction as i64)?,
                };
                let view = self.value_view(one)?;
                states.push(self.canonical(&view)?.0);
            }
        }
        Ok(states)
    }
}

fn resets_after(node: &OnnxNode) -> bool {
    int(node, "linear_before_reset", 0) != 0
}

/// Blocks of `size` numbers in this order.
fn reordered(values: &[f32], order: &[usize], size: usize) -> Vec<f32> {
    order.iter().flat_map(|&gate| values[gate * size..(gate + 1) * size].iter().copied()).collect()
}

/// An activation by our name. Those with numbers take the next of them.
fn activation(
    name: &str,
    alphas: &mut impl Iterator<Item = f32>,
    betas: &mut impl Iterator<Item = f32>,
) -> Result<&'static str> {
    let known = match name.to_ascii_lowercase().as_str() {
        "relu" => Some("relu"),
        "tanh" => Some("tanh"),
        "sigmoid" => Some("sigmoid"),
        "softsign" => Some("softsign"),
        "softplus" => Some("softplus"),
        "hardsigmoid" => hard_sigmoid(alphas.next().unwrap_or(0.2), betas.next().unwrap_or(0.5)),
        "leakyrelu" => (alphas.next() == Some(0.2)).then_some("leaky_relu"),
        "elu" => (alphas.next().unwrap_or(1.0) == 1.0).then_some("elu"),
        "affine" => {
            let (alpha, beta) = (alphas.next().unwrap_or(1.0), betas.next().unwrap_or(0.0));
            (alpha == 1.0 && beta == 0.0).then_some("linear")
        }
        _ => None,
    };
    known.ok_or_else(|| {
        ModelFileError::Description(format!("the activation {name} with these numbers"))
    })
}
