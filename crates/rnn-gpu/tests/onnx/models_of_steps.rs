//! Models that are applied to every step.

use super::{VOCABULARY, stack};
use rnn::nn::Model;
use serde_json::{Value, json};

pub fn stacks() -> Vec<(String, Model)> {
    let described = |class: &str, config: Value| json!({"class_name": class, "config": config});
    let every = |layers: Value| {
        let inner = described("Sequential", json!({"name": "inner", "layers": layers}));
        ("TimeDistributed", json!({"layer": inner}))
    };
    let frames = every(json!([
        described("Conv1D", json!({"name": "conv", "filters": 2, "kernel_size": 2})),
        described("BatchNormalization", json!({"name": "normal"})),
        described("GRU", json!({"name": "scan", "units": 3})),
    ]));
    let embedding = json!({"name": "words", "input_dim": VOCABULARY, "output_dim": 3});
    let sentences = every(json!([
        described("Embedding", embedding),
        described("LSTM", json!({"name": "scan", "units": 2})),
    ]));
    vec![
        ("time_distributed_model".into(), stack(&[4, 5, 3], &[frames])),
        ("sentences".into(), stack(&[3, 5], &[sentences])),
    ]
}
