//! The layers of a model that is read, and its description at the end.

use super::super::Result;
use super::value::{Atom, Axis, Source, View, extent, refuse};
use super::{Import, Imported};
use crate::Tell;
use crate::nn::{distinct_names, snake_case};
use rnn_core::HostTensor;
use serde_json::{Value as Json, json};
use std::collections::HashSet;

/// A layer with its weights and the tensors that it is called on.
pub(super) struct Layer {
    pub class: &'static str,
    pub config: Json,
    pub inputs: Vec<Source>,
    pub weights: Vec<HostTensor>,
    /// True for a recurrent layer. Output 0 is then the sequence, the others are the states, and
    /// [`Import::finish`] decides what the layer returns.
    pub recurrent: bool,
}

/// Keras's layers that take a list of tensors.
const MERGING: [&str; 8] =
    ["Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"];

impl Import<'_> {
    /// A factor that no axis has yet. An axis of one element has none.
    pub(super) fn axis(&mut self, extent: Option<usize>) -> Axis {
        if extent == Some(1) {
            return vec![];
        }
        self.atoms += 1;
        vec![Atom { id: self.atoms, extent, reversed: false }]
    }

    /// Adds a layer of these weights, and returns its first output.
    pub(super) fn layer(
        &mut self,
        class: &'static str,
        config: Json,
        inputs: Vec<Source>,
        weights: Vec<HostTensor>,
    ) -> Result<Source> {
        self.spend(weights.iter().map(|weight| weight.shape().len()).sum())?;
        for input in &inputs {
            if let Source::Layer { layer, .. } = input {
                self.shared.insert(*layer);
            }
        }
        self.layers.push(Layer { class, config, inputs, weights, recurrent: false });
        Ok(Source::Layer { layer: self.layers.len() - 1, output: 0 })
    }

    /// A layer that works on each element by itself.
    pub(super) fn mapped(
        &mut self,
        view: &View,
        class: &'static str,
        config: Json,
    ) -> Result<View> {
        let source = self.layer(class, config, vec![view.source], vec![])?;
        Ok(View { source, ..view.clone() })
    }

    /// The tensor with the elements of `view` whose own axes are `want`.
    pub(super) fn arranged(&mut self, view: &View, want: &[Axis]) -> Result<Source> {
        let ids = |axes: &[Axis]| -> Vec<usize> { axes.iter().flatten().map(|a| a.id).collect() };
        let (have, wanted) = (ids(&view.own), ids(want));
        let backwards = view.own.iter().flatten().any(|own| {
            want.iter().flatten().any(|atom| atom.id == own.id && atom.reversed != own.reversed)
        });
        if backwards {
            let turned = self.turned(view, want)?;
            return self.arranged(&turned, want);
        }
        let (mut source, mut own) = (view.source, view.own.clone());
        if have != wanted {
            if sorted(&have) != sorted(&wanted) {
                return refuse("the parts of its axes are not those of its operand");
            }
            let mut order = blocks(&own, &wanted);
            if order.is_none() {
                own = own.concat().into_iter().map(|atom| vec![atom]).collect();
                source = self.reshaped(source, &own)?;
                order = blocks(&own, &wanted);
            }
            let Some(order) = order else { return refuse("axes that cannot be put in order") };
            let dims: Vec<usize> = order.iter().map(|axis| axis + 1).collect();
            source = self.layer("Permute", json!({"dims": dims}), vec![source], vec![])?;
            own = order.iter().map(|&axis| own[axis].clone()).collect();
        }
        if own == want { Ok(source) } else { self.reshaped(source, want) }
    }

    /// The view with its own axes in the direction that they have in `want`.
    fn turned(&mut self, view: &View, want: &[Axis]) -> Result<View> {
        let mut all: Axis = view.own.concat();
        let turns = |atom: &Atom| {
            want.iter()
                .flatten()
                .any(|other| other.id == atom.id && other.reversed != atom.reversed)
        };
        let Some(at) = all.iter().position(turns) else { return refuse("nothing to turn") };
        let mut along = all.remove(at);
        let source = self.arranged(view, &[vec![along], all.clone()])?;
        let config = json!({"go_backwards": true, "return_sequences": true});
        let source = self.copied(source, &all, config)?;
        along.reversed = !along.reversed;
        Ok(View { source, own: vec![vec![along], all], axes: view.axes.clone() })
    }

    /// An exact copy of steps, by a recurrence without a memory: the last of them, or, with the
    /// arguments `config`, the first, or all in the opposite order. Keras has no layer for it.
    pub(super) fn copied(
        &mut self,
        source: Source,
        features: &[Atom],
        mut config: Json,
    ) -> Result<Source> {
        let Some(width) = extent(features) else { return refuse("several open axes") };
        self.spend(width.saturating_mul(width))?;
        let mut identity = vec![0.0; width * width];
        identity.iter_mut().step_by(width + 1).for_each(|one| *one = 1.0);
        let weights = vec![
            HostTensor::from_f32([width, width], identity)?,
            HostTensor::from_f32([width, width], vec![0.0; width * width])?,
        ];
        for (name, value) in [
            ("units", json!(width)),
            ("activation", json!("linear")),
            ("use_bias", json!(false)),
            ("trainable", json!(false)),
        ] {
            config[name] = value;
        }
        self.layer("SimpleRNN", config, vec![source], weights)
    }

    /// The same elements with these axes.
    fn reshaped(&mut self, source: Source, axes: &[Axis]) -> Result<Source> {
        let extents: Vec<Option<usize>> = axes.iter().map(|axis| extent(axis)).collect();
        if extents.iter().filter(|n| n.is_none()).count() > 1 {
            return refuse("a reshape with several open extents: export the model with fixed ones");
        }
        let target: Vec<i64> = extents.iter().map(|n| n.map_or(-1, |n| n as i64)).collect();
        self.layer("Reshape", json!({"target_shape": target}), vec![source], vec![])
    }

    /// The tensor whose axes are those of the view without the batch, in ONNX's order.
    pub(super) fn canonical(&mut self, view: &View) -> Result<(Source, Vec<Axis>)> {
        let (want, _) = view.canonical()?;
        Ok((self.arranged(view, &want)?, want))
    }

    /// Tensors side by side along a new axis, as one.
    pub(super) fn join(&mut self, axis: usize, views: &[View]) -> Result<View> {
        let Some(first) = views.first() else { return refuse("nothing to stack") };
        let mut sources = Vec::new();
        let mut want = vec![];
        for view in views {
            let (source, own) = self.canonical(view)?;
            sources.push(source);
            want = own;
        }
        // Along the last axis, the part before the elements.
        let new = self.axis(Some(views.len()));
        let Some(last) = want.pop() else { return refuse("single numbers are stacked") };
        want.push([&new[..], &last].concat());
        let source = match sources[..] {
            [only] => only,
            _ => self.layer("Concatenate", json!({"axis": -1}), sources, vec![])?,
        };
        // All have the factors of the last, whose extents are those of the first.
        let mut axes = views.last().unwrap_or(first).axes.clone();
        axes.insert(axis.min(axes.len()), new);
        Ok(View { source, own: want, axes })
    }

    /// Describes the model, whose outputs are the values of these names.
    pub(super) fn finish(mut self, outputs: &[String], tell: &Tell) -> Result<Imported> {
        let mut ends = Vec::new();
        for name in outputs {
            let value = self.values.get(name).cloned();
            let view = match value {
                Some(super::Value::View(view)) => Ok(view),
                Some(super::Value::Stack(axis, views)) => self.join(axis, &views),
                Some(_) => refuse(format!("output {name} does not depend on the data")),
                None => refuse(format!("no node makes the output {name}")),
            }?;
            let failed = |error| super::in_output(name, error);
            if view.batch_axis().map_err(failed)? != 0 {
                tell(&format!("output {name} has the batch as its first axis here"));
            }
            ends.push(self.canonical(&view).map_err(failed)?.0);
        }
        if ends.is_empty() {
            return refuse("the graph has no outputs");
        }
        self.drop_unused(&mut ends);
        self.choose_returns(&mut ends);
        self.described(&ends)
    }

    /// Removes the layers that no output depends on.
    fn drop_unused(&mut self, ends: &mut [Source]) {
        let mut used = vec![false; self.layers.len()];
        let mark = |source: &Source, used: &mut Vec<bool>| {
            if let Source::Layer { layer, .. } = *source {
                used[layer] = true;
            }
        };
        ends.iter().for_each(|source| mark(source, &mut used));
        for index in (0..self.layers.len()).rev() {
            if used[index] {
                self.layers[index].inputs.iter().for_each(|source| mark(source, &mut used));
            }
        }
        let mut places = Vec::new();
        let mut count = 0;
        for &used in &used {
            places.push(count);
            count += usize::from(used);
        }
        let mut index = 0;
        self.layers.retain(|_| {
            index += 1;
            used[index - 1]
        });
        let inputs = self.layers.iter_mut().flat_map(|layer| layer.inputs.iter_mut());
        for source in inputs.chain(ends.iter_mut()) {
            if let Source::Layer { layer, .. } = source {
                *layer = places[*layer];
            }
        }
    }

    /// Lets recurrent layers return what is used: a sequence, states, or the last step alone.
    fn choose_returns(&mut self, ends: &mut [Source]) {
        let used: HashSet<(usize, usize)> = self
            .layers
            .iter()
            .flat_map(|layer| &layer.inputs)
            .chain(ends.iter())
            .filter_map(|source| match *source {
                Source::Layer { layer, output } => Some((layer, output)),
                Source::Input(_) => None,
            })
            .collect();
        let mut last_alone = HashSet::new();
        for (index, layer) in self.layers.iter_mut().enumerate().filter(|(_, l)| l.recurrent) {
            let both = layer.class == "Bidirectional";
            let sequence = used.contains(&(index, 0));
            let other = (if both { 1 } else { 2 }..5).any(|output| used.contains(&(index, output)));
            let state = other || (sequence && used.contains(&(index, 1)));
            if !state {
                last_alone.insert(index);
            }
            let config =
                if both { &mut layer.config["layer"]["config"] } else { &mut layer.config };
            config["return_sequences"] = json!(sequence);
            config["return_state"] = json!(state);
        }
        let inputs = self.layers.iter_mut().flat_map(|layer| layer.inputs.iter_mut());
        for source in inputs.chain(ends.iter_mut()) {
            if let Source::Layer { layer, output } = source
                && last_alone.contains(layer)
            {
                *output = 0;
            }
        }
    }

    fn described(self, ends: &[Source]) -> Result<Imported> {
        let given: Vec<&str> = self.inputs.iter().map(|input| &*input.name).collect();
        let classes: Vec<String> = self.layers.iter().map(|l| snake_case(l.class)).collect();
        let all: Vec<&str> =
            given.iter().copied().chain(classes.iter().map(String::as_str)).collect();
        let names = distinct_names(&all, str::to_owned);
        let (inputs, names) = names.split_at(given.len());
        let history = |source: &Source| match *source {
            Source::Input(input) => json!([inputs[input], 0, 0]),
            Source::Layer { layer, output } => json!([names[layer], 0, output]),
        };
        let tensor = |source: &Source| {
            json!({"class_name": "__keras_tensor__",
                "config": {"keras_history": history(source)}})
        };
        let mut described: Vec<Json> = self
            .inputs
            .iter()
            .zip(inputs)
            .map(|(input, name)| {
                let config = json!({"batch_shape": input.batch_shape(), "name": name});
                json!({"class_name": "InputLayer", "name": name, "config": config,
                    "inbound_nodes": []})
            })
            .collect();
        let mut weights = Vec::new();
        for (layer, name) in self.layers.into_iter().zip(names) {
            let tensors: Vec<Json> = layer.inputs.iter().map(tensor).collect();
            let call = match (MERGING.contains(&layer.class), tensors.split_first()) {
                (false, Some((first, states))) if !states.is_empty() => {
                    json!({"args": [first], "kwargs": {"initial_state": states}})
                }
                (true, _) => json!({"args": [tensors], "kwargs": {}}),
                _ => json!({"args": tensors, "kwargs": {}}),
            };
            let mut config = layer.config;
            config["name"] = json!(name);
            described.push(json!({"class_name": layer.class, "name": name, "config": config,
                "inbound_nodes": [call]}));
            if !layer.weights.is_empty() {
                weights.push((name.clone(), layer.weights));
            }
        }
        let input_layers: Vec<Json> = inputs.iter().map(|name| json!([name, 0, 0])).collect();
        let output_layers: Vec<Json> = ends.iter().map(history).collect();
        let config = json!({"name": "functional", "layers": described,
            "input_layers": input_layers, "output_layers": output_layers});
        let description = json!({"class_name": "Functional", "config": config});
        Ok(Imported { description, weights })
    }
}

fn sorted(ids: &[usize]) -> Vec<usize> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

/// The order in which whole axes have these factors; those of one element stand at the end.
fn blocks(own: &[Axis], wanted: &[usize]) -> Option<Vec<usize>> {
    let mut order = Vec::new();
    let mut at = 0;
    while at < wanted.len() {
        let begins = |axis: &Axis| axis.first().is_some_and(|atom| atom.id == wanted[at]);
        let block = own.iter().position(begins)?;
        let fits = own[block].iter().zip(&wanted[at..]).all(|(atom, id)| atom.id == *id);
        if !fits || at + own[block].len() > wanted.len() {
            return None;
        }
        at += own[block].len();
        order.push(block);
    }
    order.extend((0..own.len()).filter(|&axis| own[axis].is_empty()));
    Some(order)
}
