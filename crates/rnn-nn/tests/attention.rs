//! Attention: which masks its calls find, what they put out, and what is refused.

use rnn_graph::{Graph, TensorId, TensorType};
use rnn_nn::{
    AdditiveAttention, Architecture, Attention, EinsumDense, ForwardContext, Layer,
    MultiHeadAttention, Reader, Value,
};
use serde_json::{Value as Json, json};

fn shapes(layer: &dyn Layer, inputs: &[&[usize]]) -> Option<Vec<Vec<usize>>> {
    layer.output_shapes(inputs).ok()
}

#[test]
fn outputs_have_the_steps_of_the_query_and_the_width_of_the_value() {
    let scored = Attention::new().return_attention_scores();
    let inputs: [&[usize]; 3] = [&[4, 3], &[5, 2], &[5, 3]];
    assert_eq!(shapes(&scored, &inputs), Some(vec![vec![4, 2], vec![4, 5]]));
    assert_eq!(shapes(&scored, &inputs[..2]), None, "the value is no key: it is narrower");
    assert_eq!(shapes(&scored, &[&[4, 3], &[5, 2], &[6, 3]]), None, "six keys of five values");
    let heads = MultiHeadAttention::new(2, 7).return_attention_scores();
    assert_eq!(shapes(&heads, &inputs), Some(vec![vec![4, 3], vec![2, 4, 5]]));
    let wide = MultiHeadAttention::new(2, 7).output_shape([2, 6]);
    assert_eq!(shapes(&wide, &inputs[..2]), Some(vec![vec![4, 2, 6]]));
    assert_eq!(shapes(&wide, &inputs[..1]), None);
}

#[test]
fn weights_are_as_wide_as_what_they_are_multiplied_with() {
    let heads = MultiHeadAttention::new(2, 7).value_dim(5);
    let weights = heads.weights_of(&[&[4, 3], &[5, 2], &[5, 1]]).expect("it fits");
    let shapes: Vec<(&str, &[usize])> =
        weights.iter().map(|weight| (weight.name.as_str(), &weight.shape[..])).collect();
    let expected: [(&str, &[usize]); 8] = [
        ("query/kernel", &[3, 2, 7]),
        ("query/bias", &[2, 7]),
        ("key/kernel", &[1, 2, 7]),
        ("key/bias", &[2, 7]),
        ("value/kernel", &[2, 2, 5]),
        ("value/bias", &[2, 5]),
        ("attention_output/kernel", &[2, 5, 3]),
        ("attention_output/bias", &[3]),
    ];
    assert_eq!(shapes, expected);
    assert_eq!(weights[0].fans, Some([3, 14]));
    assert_eq!(weights[6].fans, Some([10, 3]));
}

fn value(graph: &mut Graph, name: &'static str, steps: usize, mask: bool) -> Value {
    let tensor = graph.input(name, TensorType::f32([steps, 2, 3]));
    let mask = mask.then(|| graph.input(name, TensorType::u32([steps, 2])));
    Value { tensor, mask }
}

#[test]
fn the_output_has_the_mask_of_the_query() {
    for (of_query, of_value) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut graph = Graph::new();
        let query = value(&mut graph, "query", 4, of_query);
        let value = value(&mut graph, "value", 5, of_value);
        for layer in
            [Attention::new().return_attention_scores(), AdditiveAttention().use_scale(false)]
        {
            let mut cx = ForwardContext::new(&mut graph, None);
            let made = layer.forward_all(&mut cx, &[query, value], &[]).expect("it fits");
            assert_eq!(made[0].mask, query.mask);
            assert!(made[1..].iter().all(|shares| shares.mask.is_none()));
        }
        let layer = MultiHeadAttention::new(2, 2).without_bias();
        let weights = layer.weights_of(&[&[4, 3], &[5, 3]]).expect("it fits");
        let weights: Vec<TensorId> =
            weights.iter().map(|w| graph.input("w", TensorType::f32(w.shape.clone()))).collect();
        let mut cx = ForwardContext::new(&mut graph, None);
        let made = layer.forward_all(&mut cx, &[query, value], &weights).expect("it fits");
        assert_eq!(made[0].mask, query.mask);
    }
}

fn tensor(layer: &str, shape: Json) -> Json {
    let config = json!({"shape": shape, "dtype": "float32", "keras_history": [layer, 0, 0]});
    json!({"class_name": "__keras_tensor__", "config": config})
}

/// A model of one attention over its two inputs, called as `nodes` say.
fn described(class: &str, config: Json, nodes: Json) -> Result<Architecture, String> {
    let input = |name: &str| {
        json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [],
            "config": {"batch_shape": [null, 4, 3], "name": name}})
    };
    let layer = json!({"class_name": class, "name": "seen", "config": config,
        "inbound_nodes": nodes});
    let ends = json!([["a", 0, 0], ["b", 0, 0]]);
    let config = json!({"layers": [input("a"), input("b"), layer],
        "input_layers": ends, "output_layers": ["seen", 0, 0]});
    let model = json!({"class_name": "Functional", "config": config});
    Architecture::from_json(&model, None).map_err(|error| error.to_string())
}

#[test]
fn calls_are_read_however_they_name_their_tensors() {
    let [a, b] = ["a", "b"].map(|name| tensor(name, json!([null, 4, 3])));
    let heads = || json!({"num_heads": 2, "key_dim": 2});
    let whole = json!([{"args": [a, b], "kwargs": {}}]);
    let named = json!([{"args": [a], "kwargs": {"value": b, "training": false}}]);
    let [whole, named] = [whole, named].map(|nodes| {
        let read = described("MultiHeadAttention", heads(), nodes).expect("it is read");
        read.to_json(Reader::Keras).expect("it is written")
    });
    assert_eq!(whole, named);
    let causal = json!([{"args": [[a, b]], "kwargs": {"use_causal_mask": true}}]);
    let read = described("Attention", json!({}), causal.clone()).expect("it is read");
    let written = read.to_json(Reader::Keras).expect("it is written");
    assert_eq!(written["config"]["layers"][2]["inbound_nodes"][0]["kwargs"], causal[0]["kwargs"]);
}

#[test]
fn calls_that_differ_and_masks_of_ones_own_are_refused() {
    let [a, b] = ["a", "b"].map(|name| tensor(name, json!([null, 4, 3])));
    let twice = json!([
        {"args": [[a, b]], "kwargs": {"use_causal_mask": true}},
        {"args": [[b, a]], "kwargs": {}},
    ]);
    let error = described("Attention", json!({}), twice).expect_err("two kinds of calls");
    assert!(error.contains("seen is called with use_causal_mask, and without it"), "{error}");
    let own = json!([{"args": [a, b], "kwargs": {"attention_mask": a}}]);
    let heads = json!({"num_heads": 2, "key_dim": 2});
    let error = described("MultiHeadAttention", heads, own).expect_err("a mask");
    assert!(error.contains("attention_mask"), "{error}");
    let causal = json!([{"args": [a], "kwargs": {"use_causal_mask": true}}]);
    let error = described("Dense", json!({"units": 2}), causal).expect_err("a dense layer");
    assert!(error.contains("use_causal_mask"), "{error}");
}

#[test]
fn equations_that_are_no_product_are_refused() {
    for (equation, extents) in [
        ("abc,cd", vec![Some(2)]),
        ("abc,cd->abcd", vec![None, None, Some(2)]),
        ("abc,cd->bad", vec![None, Some(2)]),
        ("abc,ce->abd", vec![None, Some(2)]),
        ("abc,cc->ab", vec![None]),
        ("abc,cd->abd", vec![Some(7), Some(2)]),
        ("...,cd->...d", vec![Some(2)]),
    ] {
        let layer = EinsumDense::new(equation, extents);
        assert!(layer.output_shape(&[4, 3]).is_err(), "{equation}");
    }
    let layer = EinsumDense::new("abc,cde->adbe", [Some(2), None, Some(5)]);
    assert_eq!(layer.output_shape(&[4, 3]).expect("a product"), [2, 4, 5]);
}
