//! Damaged and malicious files of users and of runs: an error or a result, no panic, no allocation
//! beyond a bound; and sizes that no machine has.

#[path = "../../../../tests/hostile/mod.rs"]
mod hostile;
mod targets;

use hostile::{alone, worst};
use rnn::model_file::ModelFile;
use rnn::nn::TrainerState;
use targets::all;

#[test]
fn every_byte_changed_and_every_length_cut_is_survived() {
    let _alone = alone();
    for target in all() {
        // Of a text the beginning may be a text.
        let shortest = target.seeds.iter().min_by_key(|seed| seed.len()).expect("a seed");
        target.survives_every_damage(shortest, false);
    }
}

#[test]
fn damaged_files_are_errors_or_results() {
    let _alone = alone();
    all().iter().for_each(|target| target.survives(500));
}

/// Inputs that a run of `examples/fuzz.rs` found too much for an earlier version.
#[test]
fn the_worst_cases_stay_within_their_bounds() {
    let _alone = alone();
    worst(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/worst"), &all());
}

#[test]
fn steps_that_cannot_be_counted_on_from_are_refused() {
    let state = serde_json::to_string(&TrainerState::default()).expect("JSON");
    let damaged = state.replace("\"step\":0", &format!("\"step\":{}", u64::MAX));
    assert_ne!(damaged, state);
    let error = serde_json::from_str::<TrainerState>(&damaged).expect_err("a refusal");
    assert!(error.to_string().contains("18446744073709551615 steps"), "{error}");
}

#[test]
fn sizes_that_no_machine_has_are_refused_by_name_before_they_are_allocated() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |input: &str, layers: &[&str]| {
        let path = folder.path().join("model.toml");
        let layers: Vec<_> = layers.iter().map(|layer| format!("[[layer]]\n{layer}\n")).collect();
        std::fs::write(&path, format!("input = {{ {input} }}\n{}", layers.concat())).expect("room");
        let made = ModelFile::open(&path).and_then(|file| file.model(None, 1));
        format!("{:#}", anyhow::Error::from(made.expect_err("a refusal")))
    };
    let message = refused("tokens = 9", &["type = \"LSTM\"\nunits = 1000000000000"]);
    assert!(message.contains("units = 1000000000000 is not supported"), "{message}");
    let embedding = "type = \"Embedding\"\ninput_dim = 2000000000\noutput_dim = 2000000000";
    let message = refused("tokens = 9", &[embedding]);
    assert!(message.contains("layer embedding: the weight embeddings"), "{message}");
    assert_eq!(message.matches("the weight embeddings").count(), 1, "{message}");
    let wide = "type = \"Dense\"\nunits = 40000\nname = \"wide\"";
    let message = refused("shape = [40000]", &[wide, &wide.replace("wide", "wider")]);
    assert!(message.contains("layer wider: the arena of all weights"), "{message}");
    let up = "type = \"UpSampling1D\"\nsize = 2000000000";
    let message = refused("shape = [2000000000, 1]", &[up, up]);
    assert!(message.contains("layer up_sampling1d: the output of shape"), "{message}");
    let message = refused("shape = [4294967296]", &["type = \"Dense\"\nunits = 1"]);
    assert!(message.contains("batch_shape"), "{message}");
    let message = refused("shape = [3]", &["type = \"Dense\"\nunits = 1"; 10_001]);
    assert!(message.contains("10001 layers, 10000 are the most"), "{message}");
}
