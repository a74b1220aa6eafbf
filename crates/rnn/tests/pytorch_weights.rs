//! State dicts of PyTorch, for models that are described here. tests/interchange/onnx_torch.py wrote
//! them, with what the models predict there.

use anyhow::Result;
use rnn::HostTensor;
use rnn::model_file::ModelFile;
use rnn::nn::{Optimizer, Trainer};
use rnn_cpu::CpuDevice;
use rnn_formats::npz::Npz;
use std::path::Path;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/onnx");

fn described(input: &str, layers: &[&str], weights: &str) -> Result<ModelFile> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.toml");
    let layers: String = layers.iter().map(|layer| format!("[[layer]]\n{layer}\n")).collect();
    std::fs::write(&path, format!("input = {{ {input} }}\n{layers}"))?;
    Ok(ModelFile::open(&path)?.with_weights(&Path::new(FILES).join(weights))?)
}

fn predicted(file: &ModelFile, name: &str, tokens: bool) -> Result<(HostTensor, Vec<f32>)> {
    let mut arrays = Npz::open(&Path::new(FILES).join(format!("{name}.npz")))?;
    let x = arrays.read("input_0")?;
    let x = if tokens { x.to_u32()? } else { x.to_f32()? };
    let model = file.trained_model(Some(&[&x.shape().dims()[1..]]))?;
    let device = CpuDevice::new();
    let y = Trainer::new(model, &device, Optimizer::adam(), 0).predict_batch(&[x])?.remove(0);
    Ok((y, arrays.read("output_0")?.to_f32()?.as_f32()?.to_vec()))
}

fn expect_close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= 1e-5, "{got} instead of {want}");
    }
}

const WORDS: [&str; 4] = [
    "type = \"Embedding\"\ninput_dim = 9\noutput_dim = 4",
    "type = \"Bidirectional\"\nlayer = { type = \"LSTM\", units = 3, return_sequences = true }",
    "type = \"Bidirectional\"\nlayer = { type = \"LSTM\", units = 3, return_sequences = true }",
    "type = \"Dense\"\nunits = 2",
];

/// The model of PyTorch takes the last step of what its layers return.
#[test]
fn stacked_lstms_of_both_directions() -> Result<()> {
    let file = described("tokens = 5", &WORDS, "last.safetensors")?;
    let (y, want) = predicted(&file, "last", true)?;
    let last: Vec<f32> = y.as_f32()?.chunks(10).flat_map(|steps| steps[8..].to_vec()).collect();
    expect_close(&last, &want);
    Ok(())
}

#[test]
fn stacked_grus_and_a_normalization() -> Result<()> {
    let gru = |sequences| {
        let layer = format!("{{ type = \"GRU\", units = 3, return_sequences = {sequences} }}");
        format!("type = \"Bidirectional\"\nlayer = {layer}")
    };
    let (first, second) = (gru(true), gru(false));
    let norm = "type = \"LayerNormalization\"\nepsilon = 1e-5";
    let fc = "type = \"Dense\"\nunits = 2\nactivation = \"softmax\"";
    let layers = [&first, &second, norm, fc];
    let file = described("shape = [5, 4]", &layers, "hidden.safetensors")?;
    let (y, want) = predicted(&file, "hidden", false)?;
    expect_close(y.as_f32()?, &want);
    Ok(())
}

#[test]
fn convolutions_and_moving_averages() -> Result<()> {
    let layers = [
        "type = \"Permute\"\ndims = [2, 1]",
        "type = \"Conv1D\"\nfilters = 6\nkernel_size = 3\npadding = \"same\"",
        "type = \"BatchNormalization\"\nepsilon = 1e-5",
        "type = \"ReLU\"",
        "type = \"MaxPooling1D\"",
        "type = \"SimpleRNN\"\nunits = 5\nactivation = \"relu\"",
        "type = \"Dense\"\nunits = 2\nactivation = \"gelu\"",
    ];
    let file = described("shape = [4, 8]", &layers, "pictures.safetensors")?;
    let (y, want) = predicted(&file, "pictures", false)?;
    expect_close(y.as_f32()?, &want);
    Ok(())
}

#[test]
fn weights_that_fit_nothing_are_refused_by_name() -> Result<()> {
    let refused = |layers: &[&str]| -> Result<String> {
        let file = described("tokens = 5", layers, "last.safetensors")?;
        Ok(file.model(None, 0).expect_err("a refusal").to_string())
    };
    let message = refused(&WORDS[..3])?;
    assert!(message.contains("no layer for the weights of fc"), "{message}");
    let wide = "type = \"Dense\"\nunits = 3";
    let message = refused(&[WORDS[0], WORDS[1], WORDS[2], wide])?;
    assert!(message.contains("no weights fit layer dense (Dense)"), "{message}");
    assert!(message.contains("those that are left: fc"), "{message}");
    Ok(())
}
