//! Reading, writing and replacing weights: `cargo run --release --example weights`.

use rnn::formats::safetensors;
use rnn::prelude::*;
use std::collections::BTreeMap;

fn model(seed: u64) -> Result<Model, ModelError> {
    Model::sequential(InputSpec::floats([10, 3]), seed)
        .add(Lstm::new(8).return_sequences())?
        .add(Lstm::new(4))?
        .add(Dense::new(2, Softmax::new()))
}

fn main() -> anyhow::Result<()> {
    let first = model(1)?;
    for (name, tensor) in first.weights()? {
        println!("{name:<24} {}", tensor.shape());
    }
    // The forget gate's bias, which begins at 1: gates are i, f, c, o.
    let weights = first.weights()?;
    let bias = weights.iter().find(|(name, _)| name == "lstm/bias").map(|(_, bias)| bias);
    anyhow::ensure!(bias.is_some_and(|b| b.as_f32().is_ok_and(|b| b[8..16] == [1.0; 8])));

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.safetensors");
    let metadata = BTreeMap::from([("made by".to_owned(), "an example".to_owned())]);
    safetensors::save(&file, &weights, &metadata)?;
    println!("wrote {} bytes", std::fs::metadata(&file)?.len());

    // A model of other first weights predicts the same once it has these.
    let mut second = model(2)?;
    second.set_weights(&safetensors::load(&file)?.0)?;
    let (device, _) = device::open("auto")?;
    let x = HostTensor::from_f32([5, 10, 3], (0..150).map(|i| (i as f32).sin()).collect())?;
    let predict = |model: Model| {
        Trainer::new(model, &*device, Optimizer::adam(), 1).predict_batch(std::slice::from_ref(&x))
    };
    anyhow::ensure!(predict(first)? == predict(second)?, "the weights are others");
    Ok(())
}
