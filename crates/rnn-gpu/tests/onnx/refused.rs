//! What cannot be exported is refused by the name of the layer, and with the reason.

use super::stack;
use rnn::Activation;
use rnn::nn::{Architecture, Dense, Embedding, InputSpec, Model, TimeDistributed};
use serde_json::json;

#[test]
fn tokens_are_looked_up_or_refused() {
    let layer = json!({"class_name": "Embedding", "config": {"input_dim": 5, "output_dim": 2}});
    let distributed = json!({"layer": layer, "name": "words"});
    let shape = json!([null, 3, 4]);
    let input = json!({"class_name": "InputLayer", "config": {"batch_shape": shape, "name": "x"}});
    let layers = [input, json!({"class_name": "TimeDistributed", "config": distributed})];
    let model = json!({"class_name": "Sequential", "config": {"layers": layers}});
    let read = Architecture::from_json(&model, None).and_then(|read| read.model(1));
    let problem = read.unwrap_err().to_string();
    assert!(problem.contains("input x, which goes into an Embedding"), "{problem}");
    let mut model = Model::new(1);
    let x = model.input(InputSpec::floats([3, 4]));
    let problem = model.apply(TimeDistributed(Embedding::new(5, 2)), &[x]).unwrap_err();
    assert!(problem.to_string().contains("takes an input of tokens"), "{problem}");
    let tokens = Model::sequential(InputSpec::Tokens(4), 1).add(Dense::new(2, Activation::Tanh));
    let problem = tokens.unwrap().to_onnx().unwrap_err().to_string();
    assert!(problem.starts_with("layer dense (Dense)") && problem.contains("tokens"), "{problem}");
}

#[test]
fn what_has_no_counterpart_is_refused_by_name() {
    let problem = |model: Model| model.to_onnx().unwrap_err().to_string();
    let embedding = json!({"input_dim": 5, "output_dim": 2, "mask_zero": true, "name": "words"});
    let lstm = json!({"units": 2, "name": "scan"});
    let masked = problem(stack(&[4], &[("Embedding", embedding.clone()), ("LSTM", lstm)]));
    assert!(masked.starts_with("layer scan (LSTM) has no counterpart in ONNX: it skips steps"));
    let stateful = json!({"units": 2, "stateful": true, "name": "scan"});
    assert!(problem(stack(&[4, 2], &[("GRU", stateful)])).contains("keeps its state"));
    // A mask that no layer asks for does no harm.
    let flat = stack(&[4], &[("Embedding", embedding), ("Flatten", json!({}))]);
    assert!(flat.to_onnx().is_ok());
}
