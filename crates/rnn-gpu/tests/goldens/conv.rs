//! Convolutions, and the recurrent layers made of them.

use crate::TOLERANCE;
use crate::golden::Golden;
use crate::layers::{check_any, padding_of};
use crate::recurrent::{flip, stacked};
use rnn::nn::{
    AveragePooling2D, AveragePooling3D, Cell, Conv, ConvLstm1D, ConvLstm2D, ConvLstm3D,
    ForwardContext, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer, MaxPooling2D, MaxPooling3D,
    Recurrent, Value,
};
use rnn_graph::{Graph, TensorId, TensorType};

/// An argument of one number an axis.
fn axes<const N: usize>(golden: &Golden, name: &str) -> [usize; N] {
    let list = golden.args[name].as_array().expect("a list");
    std::array::from_fn(|axis| list[axis].as_u64().expect("a number") as usize)
}

fn check_conv<const N: usize>(golden: &Golden) {
    let layer: Conv<N> = Conv::new(4, axes(golden, "kernel_size"))
        .strides(axes(golden, "strides"))
        .dilation_rate(axes(golden, "dilation_rate"))
        .padding(padding_of(golden))
        .activation(golden.activation("activation"));
    check_any(golden, &layer);
}

pub fn conv2d(golden: &Golden) {
    check_conv::<2>(golden);
}

pub fn conv3d(golden: &Golden) {
    check_conv::<3>(golden);
}

macro_rules! pooling {
    ($golden:ident, $layer:ident) => {
        $layer(axes($golden, "pool_size"))
            .strides(axes($golden, "strides"))
            .padding(padding_of($golden))
    };
}

pub fn pooling2d(golden: &Golden) {
    let layer = match golden.args["kind"].as_str() {
        Some("Max") => pooling!(golden, MaxPooling2D),
        Some("Average") => pooling!(golden, AveragePooling2D),
        Some("GlobalMax") => GlobalMaxPooling2D(),
        _ => GlobalAveragePooling2D(),
    };
    check_any(golden, &layer);
}

pub fn pooling3d(golden: &Golden) {
    let layer = match golden.args["kind"].as_str() {
        Some("Max") => pooling!(golden, MaxPooling3D),
        _ => pooling!(golden, AveragePooling3D),
    };
    check_any(golden, &layer);
}

macro_rules! conv_lstm {
    ($golden:ident, $layer:ident) => {{
        let layer = $layer::new(3, axes($golden, "kernel_size"))
            .strides(axes($golden, "strides"))
            .dilation_rate(axes($golden, "dilation_rate"))
            .padding(padding_of($golden))
            .recurrent_activation($golden.activation("recurrent_activation"));
        check($golden, layer)
    }};
}

pub fn conv_lstm(golden: &Golden) {
    match golden.number("axes") as usize {
        1 => conv_lstm!(golden, ConvLstm1D),
        2 => conv_lstm!(golden, ConvLstm2D),
        _ => conv_lstm!(golden, ConvLstm3D),
    }
}

fn check<C: Cell>(golden: &Golden, mut layer: Recurrent<C>) {
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
    let given = layer.weights(&golden.tensor("x").shape().dims()[1..]).expect("the layer fits");
    let names: Vec<String> = (0..given.len()).map(|i| format!("w{i}")).collect();
    let weights: Vec<TensorId> = names.iter().map(|name| golden.input(g, name)).collect();
    let states = ["initial_state_h", "initial_state_c"];
    let initial: Vec<TensorId> =
        states.iter().filter(|n| golden.has(n)).map(|n| golden.input(g, n)).collect();
    let state = (!initial.is_empty()).then(|| stacked(g, &initial));
    let tensor = flip(g, x);
    let mask = golden.has("mask").then(|| {
        let mask = golden.input(g, "mask");
        flip(g, mask)
    });
    let factors: Vec<TensorId> = ["recurrent_factors", "input_factors"]
        .into_iter()
        .filter(|name| golden.has(name))
        .map(|name| golden.input(g, name))
        .collect();
    let random = (!factors.is_empty()).then(|| g.resident("random", TensorType::u32([4])));
    if random.is_some() {
        layer = layer.dropout(0.5).recurrent_dropout(0.5);
    }
    let mut cx = ForwardContext::new(g, random).given_factors(factors);
    let result = layer.call(&mut cx, Value { tensor, mask }, state, &weights);
    let result = result.expect("the layer fits");
    let output = flip(g, result.output.tensor);
    let shape = g.shape(result.state).dims()[1..].to_vec();
    let len: usize = shape.iter().product();
    let mut ends = vec![("output", output)];
    for (i, name) in ["last_h", "last_c"].into_iter().enumerate() {
        ends.push((name, g.view(result.state, i * len, shape.as_slice()).expect("a state")));
    }
    let mut sources = vec![("x", x)];
    sources.extend(names.iter().map(String::as_str).zip(weights));
    sources.extend(states.into_iter().zip(initial));
    golden.check(std::mem::take(g), &ends, &sources, TOLERANCE);
}
