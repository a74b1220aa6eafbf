//! Functional models, as Keras 2 and Keras 3 write them.

use super::keywords::{SWITCHES, TENSORS, masked_tensor, with_switches};
use super::masks::{MaskOperations, refuse_masks_beside_states};
use super::nested::Nested;
use super::operation::{self, is_operation, of_values};
use super::read::{Models, field, input, is_input, name_of};
use super::{foreign, limits};
use crate::ConfigError;
use crate::architecture::{Architecture, Call, LayerNode, TensorRef};
use crate::layer::{Dialect, shown};
use crate::layers::is_model;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A tensor by the layer that makes it, which of its calls, and which of its outputs.
pub(super) type History = (String, usize, usize);

/// A part of a functional model.
enum Part {
    Layer(usize),
    Model(Nested),
}

/// One call as it is described.
struct Node {
    inputs: Vec<History>,
    /// Of those inputs that are given one.
    masks: Vec<(usize, History)>,
}

pub(super) fn functional(
    config: &Value,
    (dialect, models): (Dialect, Models),
) -> Result<Architecture, ConfigError> {
    let described = foreign::with_operations(field(config, "layers", "the model")?)?;
    let mut inputs = Vec::new();
    let mut layers: Vec<LayerNode> = Vec::new();
    let mut parts = Vec::new();
    let mut waiting = Vec::new();
    let mut made: HashMap<History, TensorRef> = HashMap::new();
    let ends = ends(config, "input_layers")?;
    for (name, ..) in &ends {
        let layer = described.iter().find(|layer| name_of(layer) == name);
        let unknown = || ConfigError::structure(format!("there is no layer {name} to feed"));
        let own = layer.ok_or_else(unknown)?.get("config").unwrap_or(&Value::Null);
        made.insert((name.clone(), 0, 0), TensorRef::Input(inputs.len()));
        inputs.push(input(name, own)?);
    }
    let mut outputs = self::ends(config, "output_layers")?;
    let mut described_calls = Vec::new();
    for layer in described.iter().filter(|layer| !is_input(layer)) {
        let name = name_of(layer);
        let nodes = field(layer, "inbound_nodes", &format!("layer {name}"))?;
        let read = match is_operation(layer) {
            true => {
                |_: &str, node: &Value| Ok(Node { inputs: operation::inputs(node), masks: vec![] })
            }
            false => self::node,
        };
        let nodes = nodes.iter().map(|node| read(name, node)).collect::<Result<Vec<_>, _>>()?;
        described_calls.push((name, layer, nodes));
    }
    let mut operations: Vec<&str> = Vec::new();
    for (name, layer, nodes) in &described_calls {
        let first = nodes.first().and_then(|node| node.inputs.first());
        let of_operation = first.is_some_and(|(of, ..)| operations.contains(&of.as_str()));
        if is_operation(layer) || operation::may_join_masks(layer) && of_operation {
            operations.push(name);
        }
    }
    let sources = described_calls.iter().map(|(name, _, nodes)| {
        (*name, nodes.iter().flat_map(|node| &node.inputs).cloned().collect())
    });
    let of_values = of_values(&sources.collect::<Vec<_>>(), &operations, &outputs);
    let mut mask_operations = MaskOperations::default();
    let mut masks = Vec::new();
    for (name, layer, nodes) in described_calls {
        if operations.contains(&name) {
            mask_operations.add(name, layer);
            if !of_values.contains(&name) {
                continue;
            }
        }
        let nested = match models {
            Models::Opened => Nested::read(name, layer, dialect, &mut layers)?,
            Models::Layers => None,
        };
        let part = match nested {
            Some(nested) => Part::Model(nested),
            None => {
                let calls = field(layer, "inbound_nodes", &format!("layer {name}"))?;
                let layer = with_switches(name, layer, calls)?;
                layers.push(LayerNode::read(name.to_owned(), &layer, dialect)?);
                Part::Layer(layers.len() - 1)
            }
        };
        for (index, node) in nodes.into_iter().enumerate() {
            waiting.push((parts.len(), index, node));
        }
        parts.push((name, part));
    }
    limits::calls(waiting.len())?;
    let references = waiting.iter().flat_map(|(.., node): &(_, _, Node)| &node.inputs);
    let from_zero: HashSet<&str> =
        references.chain(&outputs).filter(|(_, call, _)| *call == 0).map(|of| &*of.0).collect();
    let mut named: HashMap<String, usize> = HashMap::new();
    let references = waiting.iter().flat_map(|(.., node): &(_, _, Node)| &node.inputs);
    for (name, _, output) in references.chain(&outputs).filter(|(.., output)| *output > 0) {
        let count = named.entry(name.clone()).or_default();
        *count = (*count).max(*output).min(MAX_STATES);
    }
    // Keras counts the calls of a model within the model from 1, since making it is a call as well:
    // before Keras 3 wherever they are referred to (get_network_config, kept_nodes), in Keras 3 in
    // output_layers alone (keras/src/models/functional.py, get_tensor).
    let starts: Vec<usize> = parts
        .iter()
        .map(|(name, part)| {
            let model = match part {
                Part::Model(_) => true,
                Part::Layer(layer) => is_model(layers[*layer].layer.class()),
            };
            usize::from(model && dialect != Dialect::Keras3 && !from_zero.contains(name))
        })
        .collect();
    if dialect == Dialect::Keras3 {
        for (name, call, _) in &mut outputs {
            let of_name = |layer: &&Cow<'_, Value>| name_of(layer) == name;
            let class = described.iter().find(of_name).and_then(|layer| layer.get("class_name"));
            if class.is_some_and(|class| class == "Functional" || class == "Model") {
                *call = call.saturating_sub(1);
            }
        }
    }
    let mut calls: Vec<Call> = Vec::new();
    // Each round places what only needs what is there; the file's order need not be one of calls.
    while !waiting.is_empty() {
        let mut later = Vec::new();
        let before = waiting.len();
        for (part, index, node) in waiting {
            let sources: Option<Vec<TensorRef>> =
                node.inputs.iter().map(|input| made.get(input).copied()).collect();
            let Some(sources) = sources else {
                later.push((part, index, node));
                continue;
            };
            let start = starts[part];
            let (name, part) = &parts[part];
            for (input, mask) in node.masks {
                masks.push(((*name).to_owned(), sources[input], mask));
            }
            let outputs = match part {
                Part::Model(nested) => nested.call(&sources, &mut calls)?,
                Part::Layer(layer) => {
                    calls.push(Call { layer: *layer, inputs: sources });
                    let call = calls.len() - 1;
                    let states = named.get(*name).copied().unwrap_or(0);
                    (0..=states).map(|index| TensorRef::Output { call, index }).collect()
                }
            };
            for (output, source) in outputs.into_iter().enumerate() {
                made.insert(((*name).to_owned(), start + index, output), source);
            }
        }
        if later.len() == before {
            let (part, _, node) = &later[0];
            let missing = node.inputs.iter().find(|input| !made.contains_key(*input));
            return Err(ConfigError::structure(format!(
                "layer {} takes the output of layer {}, which is not computed before it",
                parts[*part].0,
                missing.map_or("?", |(name, ..)| name)
            )));
        }
        waiting = later;
    }
    let output = |end: History| {
        let unknown = || ConfigError::structure(format!("there is no output of layer {}", end.0));
        made.get(&end).copied().ok_or_else(unknown)
    };
    mask_operations.check(&masks, &made, &layers, &calls, dialect)?;
    if dialect.before_keras_3() {
        refuse_masks_beside_states(&layers, &calls)?;
    }
    let outputs = outputs.into_iter().map(output);
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    Ok(Architecture { inputs, layers, calls, outputs })
}

/// The largest number of outputs of a layer behind the first: states of cells, parts of a split.
const MAX_STATES: usize = 1 << 10;

/// `["dense", 0, 0]`, a list of such, or an object of them.
fn ends(config: &Value, name: &str) -> Result<Vec<History>, ConfigError> {
    let value = config.get(name).unwrap_or(&Value::Null);
    if let Some(one) = history(value) {
        return Ok(vec![one]);
    }
    let all: Option<Vec<History>> = match value {
        Value::Array(list) => list.iter().map(history).collect(),
        Value::Object(named) => named.values().map(history).collect(),
        _ => None,
    };
    let odd = || ConfigError::structure(format!("{name} = {} names no tensors", shown(value)));
    all.filter(|all| !all.is_empty()).ok_or_else(odd)
}

fn history(value: &Value) -> Option<History> {
    let index = |i: usize| value.get(i)?.as_u64().map(|n| n as usize);
    Some((value.get(0)?.as_str()?.to_owned(), index(1)?, index(2)?))
}

/// A tensor as Keras 3 describes it in a call.
pub(super) fn tensor(value: &Value) -> Option<History> {
    (value.get("class_name")?.as_str()? == "__keras_tensor__")
        .then(|| history(value.get("config")?.get("keras_history")?))?
}

/// All tensors of an argument, which may be one, or a list.
fn tensors(value: &Value, of: fn(&Value) -> Option<History>) -> Option<Vec<History>> {
    match of(value) {
        Some(one) => Some(vec![one]),
        None => value.as_array()?.iter().map(of).collect(),
    }
}

fn node(layer: &str, value: &Value) -> Result<Node, ConfigError> {
    let odd = |value: &Value| {
        ConfigError::structure(format!(
            "layer {layer} is called with {}, which is not supported; supported: tensors, \
             initial_state, query, value, key, use_causal_mask, return_attention_scores",
            shown(value)
        ))
    };
    let none = serde_json::Map::new();
    let mut inputs = Vec::new();
    let mut keywords = &none;
    let of = match value {
        // Keras 2: [["lstm", 0, 0, {"initial_state": ..}], ..].
        Value::Array(list) => {
            for input in list {
                inputs.push(history(input).ok_or_else(|| odd(input))?);
                if let Some(Value::Object(given)) = input.get(3) {
                    keywords = given;
                }
            }
            history as fn(&Value) -> Option<History>
        }
        // Keras 3: {"args": [tensor, ..], "kwargs": {"initial_state": [tensor, ..]}}.
        _ => {
            for argument in field(value, "args", &format!("a call of layer {layer}"))? {
                inputs.extend(tensors(argument, tensor).ok_or_else(|| odd(argument))?);
            }
            if let Some(Value::Object(given)) = value.get("kwargs") {
                keywords = given;
            }
            tensor
        }
    };
    let mut masks = vec![];
    for name in TENSORS {
        if let Some(value) = keywords.get(name).filter(|value| !value.is_null()) {
            inputs.push(of(value).ok_or_else(|| odd(&serde_json::json!({name: value})))?);
        }
    }
    for (name, value) in keywords {
        match name.as_str() {
            _ if matches!(value, Value::Null | Value::Bool(false)) => {}
            name if TENSORS.contains(&name) || SWITCHES.contains(&name) => {}
            "initial_state" => inputs.extend(tensors(value, of).ok_or_else(|| odd(value))?),
            "mask" => {
                // One, or a list of one for each input, of which some may have none.
                let list = value.as_array().filter(|_| of(value).is_none());
                let each = list.map_or(std::slice::from_ref(value), Vec::as_slice);
                for (input, mask) in each.iter().enumerate().filter(|(_, mask)| !mask.is_null()) {
                    let known = of(mask).filter(|_| input < inputs.len());
                    masks.push((input, known.ok_or_else(|| odd(value))?));
                }
            }
            name => {
                let input = masked_tensor(name).filter(|input| *input < inputs.len());
                let known = input.and_then(|input| Some((input, of(value)?)));
                masks.push(known.ok_or_else(|| odd(&serde_json::json!({name: value})))?);
            }
        }
    }
    match inputs.is_empty() {
        true => Err(ConfigError::Structure(format!("layer {layer} is called without a tensor"))),
        false => Ok(Node { inputs, masks }),
    }
}
