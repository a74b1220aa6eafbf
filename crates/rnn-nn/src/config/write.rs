//! Models as Keras 3 describes them.

use super::operation::{call_of, take_call};
use crate::ConfigError;
use crate::architecture::{Architecture, Call, Input, TensorRef};
use crate::layer::{Reader, object};
use serde_json::{Map, Value, json};

pub(super) fn architecture(of: &Architecture, reader: Reader) -> Result<Value, ConfigError> {
    described(of, of.is_stack(), reader)
}

/// The `config` of a model within a layer.
pub(super) fn inner(
    class: &str,
    name: &str,
    of: &Architecture,
    reader: Reader,
) -> Result<Map<String, Value>, ConfigError> {
    let mut config = match described(of, class == "Sequential", reader)?["config"].take() {
        Value::Object(config) => config,
        _ => Map::new(),
    };
    config.insert("name".into(), json!(name));
    Ok(config)
}

fn described(of: &Architecture, stack: bool, reader: Reader) -> Result<Value, ConfigError> {
    let layers =
        of.layers.iter().map(|layer| layer.write(reader)).collect::<Result<Vec<_>, _>>()?;
    match stack {
        true => {
            let input = object("keras.layers", "InputLayer", input_config(&of.inputs[0]));
            let layers: Vec<Value> = [vec![input], layers].concat();
            let config = json!({"name": "sequential", "trainable": true, "layers": layers});
            Ok(object("keras", "Sequential", config))
        }
        false => Ok(functional(of, layers)),
    }
}

fn input_config(input: &Input) -> Value {
    let dtype = if input.tokens { "int32" } else { "float32" };
    json!({"batch_shape": input.batch_shape, "dtype": dtype, "name": input.name})
}

fn functional(of: &Architecture, written: Vec<Value>) -> Value {
    let shapes = shapes(of);
    let mut layers = Vec::new();
    for input in &of.inputs {
        let mut layer = object("keras.layers", "InputLayer", input_config(input));
        layer["name"] = json!(input.name);
        layer["inbound_nodes"] = json!([]);
        layers.push(layer);
    }
    for (index, mut layer) in written.into_iter().enumerate() {
        let calls = of.calls.iter().filter(|call| call.layer == index);
        let own = of.layers[index].layer.operation().map(|_| take_call(&mut layer));
        let nodes: Vec<Value> = calls.map(|call| node(of, call, &shapes, own.as_ref())).collect();
        layer["name"] = json!(of.layers[index].name);
        layer["inbound_nodes"] = json!(nodes);
        layers.push(layer);
    }
    let ends = |sources: Vec<TensorRef>| -> Value {
        let mut ends: Vec<Value> = sources.into_iter().map(|s| history(of, s)).collect();
        // A single tensor stands for itself, so that the model takes and gives arrays, not lists.
        if ends.len() == 1 { ends.remove(0) } else { ends.into() }
    };
    let config = json!({
        "name": "functional",
        "trainable": true,
        "layers": layers,
        "input_layers": ends((0..of.inputs.len()).map(TensorRef::Input).collect()),
        "output_layers": ends(of.outputs.clone()),
    });
    object("keras.src.models.functional", "Functional", config)
}

/// Layer, which of its calls, which of the call's outputs.
fn history(of: &Architecture, source: TensorRef) -> Value {
    match source {
        TensorRef::Input(input) => json!([of.inputs[input].name, 0, 0]),
        TensorRef::Output { call, index } => {
            let layer = of.calls[call].layer;
            let before = of.calls[..call].iter().filter(|call| call.layer == layer).count();
            json!([of.layers[layer].name, before, index])
        }
    }
}

/// A call; `own` has what an operation is called on beside tensors.
fn node(
    of: &Architecture,
    call: &Call,
    shapes: &Shapes,
    own: Option<&(Option<Value>, Map<String, Value>)>,
) -> Value {
    let tensor = |&source: &TensorRef| {
        let tokens = matches!(source, TensorRef::Input(input) if of.inputs[input].tokens);
        json!({"class_name": "__keras_tensor__", "config": {
            "shape": shapes.of(source),
            "dtype": if tokens { "int32" } else { "float32" },
            "keras_history": history(of, source),
        }})
    };
    let tensors: Vec<Value> = call.inputs.iter().map(tensor).collect();
    if let Some((operands, keywords)) = own {
        let merges = of.layers[call.layer].layer.merges();
        let arguments = call_of(operands.as_ref(), tensors, merges);
        return json!({"args": arguments, "kwargs": keywords});
    }
    let layer = &of.layers[call.layer].layer;
    let on = layer.switches().into_iter().map(|name| (name.to_owned(), json!(true)));
    let mut keywords: Map<String, Value> = on.collect();
    if layer.merges() {
        return json!({"args": [tensors], "kwargs": keywords});
    }
    let count = if layer.separates() { tensors.len() } else { 1.min(tensors.len()) };
    let (arguments, states) = tensors.split_at(count);
    if !states.is_empty() {
        keywords.insert("initial_state".into(), states.into());
    }
    json!({"args": arguments, "kwargs": keywords})
}

/// The shapes of all tensors, where no extent is open.
struct Shapes {
    inputs: Vec<Value>,
    outputs: Vec<Option<Vec<Vec<usize>>>>,
}

impl Shapes {
    fn of(&self, source: TensorRef) -> Value {
        match source {
            TensorRef::Input(input) => self.inputs[input].clone(),
            TensorRef::Output { call, index } => {
                let shape = self.outputs[call].as_ref().and_then(|shapes| shapes.get(index));
                let extents = shape.into_iter().flatten().map(|&n| json!(n));
                [Value::Null].into_iter().chain(extents).collect()
            }
        }
    }
}

fn shapes(of: &Architecture) -> Shapes {
    let inputs = of.inputs.iter().map(|input| json!(input.batch_shape)).collect();
    let mut outputs: Vec<Option<Vec<Vec<usize>>>> = Vec::new();
    for call in &of.calls {
        let shape = |&source: &TensorRef| -> Option<Vec<usize>> {
            match source {
                TensorRef::Input(input) => {
                    of.inputs[input].batch_shape[1..].iter().copied().collect()
                }
                TensorRef::Output { call, index } => {
                    outputs.get(call)?.as_ref()?.get(index).cloned()
                }
            }
        };
        let given: Option<Vec<Vec<usize>>> = call.inputs.iter().map(shape).collect();
        let made = given.and_then(|given| {
            let given: Vec<&[usize]> = given.iter().map(Vec::as_slice).collect();
            of.layers[call.layer].layer.output_shapes(&given).ok()
        });
        outputs.push(made);
    }
    Shapes { inputs, outputs }
}
