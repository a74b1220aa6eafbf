//! Recurrent layers: every argument, masks, states and dropout with given factors.

use crate::TOLERANCE;
use crate::golden::Golden;
use rnn::nn::{Cell, ForwardContext, Gru, Lstm, Recurrent, SimpleRnn, Value};
use rnn_core::DType;
use rnn_graph::{Graph, TensorId};
use rnn_ops::{self as ops, Concat, DropoutMatmul, LstmGates, ScanInputs, TransposeLeading};

const UNITS: usize = 5;

pub fn simple_rnn(golden: &Golden) {
    check(golden, SimpleRnn::new(UNITS), &["h"]);
}

pub fn lstm(golden: &Golden) {
    let gate = golden.activation("recurrent_activation");
    check(golden, Lstm::new(UNITS).recurrent_activation(gate), &["h", "c"]);
}

pub fn gru(golden: &Golden) {
    let mut layer = Gru::new(UNITS).recurrent_activation(golden.activation("recurrent_activation"));
    if !golden.flag("reset_after") {
        layer = layer.reset_before();
    }
    check(golden, layer, &["h"]);
}

fn check<C: Cell>(golden: &Golden, mut layer: Recurrent<C>, states: &[&str]) {
    layer = layer.activation(golden.activation("activation"));
    if golden.flag("return_sequences") {
        layer = layer.return_sequences();
    }
    if golden.flag("go_backwards") {
        layer = layer.go_backwards();
    }
    if !golden.flag("use_bias") {
        layer = layer.without_bias();
    }
    let g = &mut Graph::new();
    let x = golden.input(g, "x");
    let mut sources = vec![("x", x)];
    for name in ["kernel", "recurrent_kernel", "bias"].into_iter().filter(|name| golden.has(name)) {
        sources.push((name, golden.input(g, name)));
    }
    let weights: Vec<TensorId> = sources[1..].iter().map(|&(_, t)| t).collect();
    let initial: Vec<String> = states.iter().map(|s| format!("initial_state_{s}")).collect();
    if golden.flag("initial_state") {
        sources.extend(initial.iter().map(|name| (name.as_str(), golden.input(g, name))));
    }
    let given: Vec<TensorId> = sources[1 + weights.len()..].iter().map(|&(_, t)| t).collect();
    let state = (!given.is_empty()).then(|| stacked(g, &given));
    let tensor = flip(g, x);
    let mask = golden.has("mask").then(|| {
        let mask = golden.input(g, "mask");
        flip(g, mask)
    });
    let (mut output, last) = if golden.has("input_factors") {
        with_factors(golden, g, tensor, &weights)
    } else {
        let result =
            layer.call(&mut ForwardContext::new(g, None), Value { tensor, mask }, state, &weights);
        let result = result.expect("the layer fits");
        (result.output.tensor, result.state)
    };
    if golden.flag("return_sequences") {
        output = flip(g, output);
    }
    let [batch, units] = [1, 2].map(|axis| g.shape(last).dims()[axis]);
    let lasts: Vec<String> = states.iter().map(|s| format!("last_{s}")).collect();
    let mut ends = vec![("output", output)];
    for (i, name) in lasts.iter().enumerate() {
        let part = g.view(last, i * batch * units, [batch, units]).expect("a state");
        ends.push((name, part));
    }
    golden.check(std::mem::take(g), &ends, &sources, TOLERANCE);
}

/// Time-major to batch-major, and back.
pub fn flip(g: &mut Graph, t: TensorId) -> TensorId {
    g.apply(TransposeLeading, &[t]).expect("axes")
}

/// States `[B, ..]` as one tensor `[STATES, B, ..]`.
pub fn stacked(g: &mut Graph, states: &[TensorId]) -> TensorId {
    let shape = g.shape(states[0]).clone();
    let flat: Vec<TensorId> =
        states.iter().map(|&s| g.reshape(s, [1, shape.len()]).expect("elements")).collect();
    let all = g.apply(Concat, &flat).expect("one row");
    g.reshape(all, [&[states.len()], shape.dims()].concat()).expect("elements")
}

/// What a layer builds in training, with the golden's dropout factors in place of random ones.
fn with_factors(
    golden: &Golden,
    g: &mut Graph,
    x: TensorId,
    w: &[TensorId],
) -> (TensorId, TensorId) {
    let gates = g.shape(w[1]).last() / UNITS;
    let factors = golden.input(g, "input_factors");
    let bias = g.view(w[2], 0, [gates * UNITS]).expect("a bias");
    let x = g
        .apply(DropoutMatmul { bias: true, output: DType::F32 }, &[x, w[0], factors, bias])
        .expect("it fits");
    let each = golden.has("recurrent_factors");
    let inputs = ScanInputs { dropout: each, ..ScanInputs::default() };
    let mut operands = vec![x, w[1]];
    let activation = golden.activation("activation");
    let gru_bias = gates == 3 && golden.flag("reset_after");
    if gru_bias {
        operands.push(g.view(w[2], gates * UNITS, [gates * UNITS]).expect("a second bias"));
    }
    operands.extend(each.then(|| golden.input(g, "recurrent_factors")));
    let (hidden, last) = match gates {
        1 => {
            let out = g.push(ops::SimpleRnn { activation, inputs }, &operands).expect("it fits");
            (out[0], out[1])
        }
        3 => {
            let recurrent_activation = golden.activation("recurrent_activation");
            let (reset_after, bias) = (golden.flag("reset_after"), gru_bias);
            let op = ops::Gru { activation, recurrent_activation, reset_after, bias, inputs };
            let hidden = g.push(op, &operands).expect("it fits")[0];
            let [steps, batch] = [0, 1].map(|axis| g.shape(hidden).dims()[axis]);
            let from = (steps - 1) * batch * UNITS;
            (hidden, g.view(hidden, from, [1, batch, UNITS]).expect("the last step"))
        }
        _ => {
            let recurrent_activation = golden.activation("recurrent_activation");
            let gates = LstmGates { activation, recurrent_activation };
            let op = ops::Lstm { gates, inputs };
            let out = g.push(op, &operands).expect("it fits");
            (out[0], out[3])
        }
    };
    let [batch, units] = [1, 2].map(|axis| g.shape(last).dims()[axis]);
    match golden.flag("return_sequences") {
        true => (hidden, last),
        false => (g.view(last, 0, [batch, units]).expect("h"), last),
    }
}
