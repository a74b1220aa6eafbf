//! Whole models as Keras describes them: masks, statistics over a batch, steps of a sequence.

use crate::TOLERANCE;
use crate::golden::{Golden, expect_close};
use rnn::nn::{Architecture, Batch, Dialect, Loss, Model, Optimizer, Trainer, WeightRange};
use rnn_core::HostTensor;

/// The model, and of each of its weights the key in the golden.
fn model(golden: &Golden) -> (Model, Vec<(String, String)>) {
    let read = Architecture::from_json(&golden.args["model"], None);
    let read = read.unwrap_or_else(|error| panic!("{}: {error}", golden.name));
    let mut model = read.model(1).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
    let layers: Vec<&str> = read.layers().map(|(name, _)| name).collect();
    let mut counts = vec![0; layers.len()];
    let key = |slot: &WeightRange| {
        counts[slot.layer] += 1;
        (slot.name.clone(), format!("{}:{}", layers[slot.layer], counts[slot.layer] - 1))
    };
    let keys: Vec<(String, String)> = model.weight_ranges().iter().map(key).collect();
    let weights: Vec<(String, HostTensor)> =
        keys.iter().map(|(name, key)| (name.clone(), golden.tensor(key).clone())).collect();
    model.set_weights(&weights).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
    (model, keys)
}

pub fn check(golden: &Golden) {
    let (model, keys) = model(golden);
    let count = golden.number("inputs") as usize;
    let inputs = (0..count).map(|i| golden.tensor(&format!("x{i}")).clone()).collect();
    let batch = Batch { inputs, labels: vec![golden.tensor("y").clone()], weights: vec![] };
    let device = golden.device();
    let at = |what: &str| format!("{} {what} on {}", golden.name, device.info());
    let optimizer = Optimizer::from_json(&golden.args["optimizer"], Dialect::Keras3);
    let optimizer = optimizer.expect("an optimizer");
    let mut trainer = Trainer::new(model.clone(), device, optimizer, 1);
    trainer = trainer.loss(Loss::MeanSquaredError);
    let output = trainer.predict_batch(&batch.inputs).expect("it predicts");
    expect_close(&at("output"), &output[0], golden.tensor("output"), TOLERANCE);
    let wanted = golden.tensor("losses");
    let losses = (0..wanted.shape().len()).map(|_| {
        trainer.train_batch(&batch).expect("a step");
        trainer.take_metrics().expect("metrics").loss as f32
    });
    let losses = losses.collect::<Vec<f32>>();
    let losses = HostTensor::from_f32(wanted.shape().clone(), losses).expect("as many");
    expect_close(&at("losses"), &losses, wanted, TOLERANCE);
    for (name, weight) in trainer.model().expect("weights").weights().expect("weights") {
        let key = &keys.iter().find(|(slot, _)| *slot == name).expect("a weight").1;
        let after = golden.tensor(&format!("{key}:after"));
        expect_close(&at(&name), &weight, after, 4.0 * TOLERANCE);
    }
}
