//! What cannot be exported is refused by the name of the layer, and with the reason.

use super::stack;
use rnn::Activation;
use rnn::nn::{Dense, Embedding, InputSpec, Model, TimeDistributed};
use serde_json::json;

#[test]
fn tokens_are_looked_up_or_refused() {
    let layer = json!({"class_name": "Embedding", "config": {"input_dim": 5, "output_dim": 2}});
    let words = json!({"layer": layer, "name": "words"});
    assert!(stack(&[3, 4], &[("TimeDistributed", words)]).to_onnx().is_ok());
    let mut model = Model::new(1);
    let x = model.input(InputSpec::floats([3, 4]));
    let problem = model.apply(TimeDistributed(Embedding::new(5, 2)), &[x]).unwrap_err();
    assert!(problem.to_string().contains("takes an input of tokens"), "{problem}");
    let tokens = Model::sequential(InputSpec::tokens([4]), 1).add(Dense::new(2, Activation::Tanh));
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
    let scan = json!({"class_name": "LSTM", "config": {"units": 2}});
    let scans = json!({"layer": scan, "name": "scans"});
    let within = [("Embedding", embedding.clone()), ("TimeDistributed", scans)];
    assert!(problem(stack(&[3, 4], &within)).contains("layer scans (TimeDistributed)"));
    let stateful = json!({"units": 2, "stateful": true, "name": "scan"});
    assert!(problem(stack(&[4, 2], &[("GRU", stateful)])).contains("keeps its state"));
    // A mask that no layer asks for does no harm.
    let flat = stack(&[4], &[("Embedding", embedding), ("Flatten", json!({}))]);
    assert!(flat.to_onnx().is_ok());
}
