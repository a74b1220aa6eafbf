//! The models with operations of tests/golden, exported to onnxruntime.

use super::{python, write_case};
use rnn::nn::{Architecture, Model, Reader};
use rnn_core::Rng;
use rnn_formats::safetensors;
use serde_json::Value;
use std::path::Path;

fn models() -> Vec<(String, Architecture)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let file = folder.join("operations.safetensors");
    let (_, metadata) = safetensors::load(&file).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&metadata["cases"]).unwrap();
    let read = |case: &Value| {
        let name = case["name"].as_str().unwrap().to_owned();
        let model = Architecture::from_json(&case["model"], None);
        (name.clone(), model.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    cases.iter().map(read).collect()
}

#[test]
fn operations_predict_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(6, 0);
    let mut count = 0;
    for (name, architecture) in models() {
        let model: Model = architecture.model(1).unwrap();
        match model.to_onnx() {
            Ok(_) => {
                write_case(folder.path(), &name, model, &mut rng);
                count += 1;
            }
            // Layers that skip steps are none of the operations.
            Err(error) => assert!(error.to_string().contains("skips steps"), "{name}: {error}"),
        }
    }
    assert!(count > 150, "{count} models");
    let test = "operations_predict_the_same";
    if let Some(said) = python::run(test, "check_onnx.py", &[folder.path()]) {
        assert!(said.contains(&format!("{count} of {count} models agree to 1e-05")), "{said}");
    }
}

#[test]
fn descriptions_say_the_same_again() {
    for (name, model) in models() {
        for reader in [Reader::Ours, Reader::Keras] {
            let written = model.to_json(reader).unwrap();
            let again = Architecture::from_json(&written, None);
            let again = again.unwrap_or_else(|error| panic!("{name}: {error}\n{written}"));
            assert_eq!(again.to_json(reader).unwrap(), written, "{name}");
        }
    }
}
