//! Whole models: those that are no stack, and the next-frame model in small.

use crate::TOLERANCE;
use crate::golden::{Golden, expect_close};
use rnn::nn::{
    Add, Average, Batch, BatchNormalization, Concatenate, Conv2D, Conv3D, ConvLstm2D, Dense,
    Flatten, Gru, InputSpec, Loss, Lstm, MaxPooling2D, Model, ModelError, Multiply, Optimizer,
    Reshape, SimpleRnn, Subtract, TensorRef, Trainer, UpSampling2D, UpSampling3D,
};
use rnn::{Activation, Padding};
use rnn_core::HostTensor;

fn branches(model: &mut Model) -> Result<Vec<TensorRef>, ModelError> {
    let [a, b] = [3, 4].map(|width| model.input(InputSpec::floats([5, width])));
    let x = model.apply(Lstm::new(4).return_sequences(), &[a])?;
    let y = model.apply(Gru::new(4).return_sequences(), &[b])?;
    let merged =
        [Add(), Multiply(), Average(), Subtract()].map(|layer| model.apply(layer, &[x, y]));
    let merged = merged.into_iter().collect::<Result<Vec<_>, _>>()?;
    let features = model.apply(Concatenate::new(), &merged)?;
    let steps = model.apply(Concatenate::axis(0), &[features, features])?;
    let flat = model.apply(Flatten, &[steps])?;
    Ok(vec![model.apply(Dense::new(3, Activation::Linear), &[flat])?])
}

fn encoder_decoder(model: &mut Model) -> Result<Vec<TensorRef>, ModelError> {
    let a = model.input(InputSpec::floats([5, 3]));
    let b = model.input(InputSpec::floats([4, 2]));
    let encoded = model.call(Lstm::new(4).return_state(), &[a])?;
    let decoder = Lstm::new(4).return_sequences();
    let told = model.apply(decoder, &[b, encoded[1], encoded[2]])?;
    let told = model.apply(Dense::new(2, Activation::Linear), &[told])?;
    Ok(vec![told, encoded[0]])
}

fn siamese(model: &mut Model) -> Result<Vec<TensorRef>, ModelError> {
    let [a, b] = [(); 2].map(|()| model.input(InputSpec::floats([5, 3])));
    let one = model.apply(SimpleRnn::new(4), &[a])?;
    let other = model.call_again(one, &[b])?[0];
    let difference = model.apply(Subtract(), &[one, other])?;
    Ok(vec![model.apply(Dense::new(1, Activation::Linear), &[difference])?])
}

fn pictures(model: &mut Model) -> Result<Vec<TensorRef>, ModelError> {
    let a = model.input(InputSpec::floats([4, 6, 2]));
    let conv = Conv2D::new(3, 3).padding(Padding::Same).activation(Activation::Tanh);
    let first = model.apply(conv, &[a])?;
    let small = model.apply(MaxPooling2D(2), &[first])?;
    let large = model.apply(UpSampling2D(2), &[small])?;
    let both = model.apply(Concatenate::new(), &[first, large])?;
    let turned = model.apply(Reshape::new([8, -1]), &[both])?;
    let film = model.apply(Reshape::new([2, 4, 3, 6]), &[turned])?;
    let layer = || ConvLstm2D::new(2, 3).padding(Padding::Same);
    let going = model.call(layer().return_state(), &[film])?;
    let frames = model.apply(layer().return_sequences(), &[film, going[1], going[2]])?;
    Ok(vec![model.apply(UpSampling3D([1, 2, 1]), &[frames])?, going[0]])
}

/// Keras's weights in the order of our slots.
pub fn set_weights(model: &mut Model, golden: &Golden) {
    let slots: Vec<String> = model.weight_ranges().iter().map(|slot| slot.name.clone()).collect();
    assert_eq!(slots.len(), golden.number("weights") as usize, "{}", golden.name);
    let weight = |(i, name)| (name, golden.tensor(&format!("w{i}")).clone());
    let weights: Vec<(String, HostTensor)> = slots.into_iter().enumerate().map(weight).collect();
    model.set_weights(&weights).expect("Keras's shapes are ours");
}

fn expect_loss(golden: &Golden, step: usize, loss: f64, device: &dyn rnn_graph::Device) {
    let want = f64::from(golden.tensor("losses").as_f32().expect("floats")[step]);
    let error = (loss / want - 1.0).abs();
    let place = format!("{} step {step} on {}", golden.name, device.info());
    assert!(error < 1e-4, "{place}: {loss}, Keras has {want}");
}

pub fn functional(golden: &Golden) {
    let mut model = Model::new(1);
    let outputs = match golden.name.as_str() {
        "functional branches" => branches(&mut model),
        "functional encoder_decoder" => encoder_decoder(&mut model),
        "functional siamese" => siamese(&mut model),
        _ => pictures(&mut model),
    };
    let mut model =
        model.with_outputs(outputs.expect("the layers fit")).expect("the model has them");
    set_weights(&mut model, golden);
    let many = |name: &str, count: &str| -> Vec<HostTensor> {
        let count = golden.number(count) as usize;
        (0..count).map(|i| golden.tensor(&format!("{name}{i}")).clone()).collect()
    };
    let batch =
        Batch { inputs: many("x", "inputs"), labels: many("y", "outputs"), weights: vec![] };
    let losses = [(Loss::MeanSquaredError, 1.0), (Loss::MeanSquaredError, 0.5)];
    let device = golden.device();
    let optimizer = Optimizer::sgd().learning_rate(0.1);
    let losses = &losses[..batch.labels.len()];
    let mut trainer = Trainer::new(model.clone(), device, optimizer, 1).losses(losses);
    let got = trainer.predict_batch(&batch.inputs).expect("it runs");
    for (got, want) in got.iter().zip(many("output", "outputs")) {
        let place = format!("{} on {}", golden.name, device.info());
        expect_close(&place, got, &want, TOLERANCE);
    }
    for step in 0..3 {
        trainer.train_batch(&batch).expect("a step");
        let loss = trainer.take_metrics().expect("metrics").loss;
        expect_loss(golden, step, loss, device);
    }
}

pub fn next_frame(golden: &Golden) {
    let mut model = Model::sequential(InputSpec::floats([4, 8, 8, 1]), 0);
    for _ in 0..4 {
        let layer = ConvLstm2D::new(golden.number("filters") as usize, 3)
            .padding(Padding::Same)
            .recurrent_activation(Activation::HardSigmoid2018)
            .return_sequences();
        let normalization = BatchNormalization::new();
        model = model.add(layer).and_then(|m| m.add(normalization)).expect("the layers fit");
    }
    let last = Conv3D::new(1, 3).padding(Padding::Same).activation(Activation::Sigmoid);
    let mut model = model.add(last).expect("the layer fits");
    set_weights(&mut model, golden);
    let device = golden.device();
    let optimizer = Optimizer::adadelta().learning_rate(1.0);
    let mut trainer = Trainer::new(model.clone(), device, optimizer, 0)
        .metric_sums(rnn::nn::MetricSums::Regression);
    for step in 0..golden.number("steps") as usize {
        let inputs = vec![golden.tensor(&format!("x{step}")).clone()];
        let labels = vec![golden.tensor(&format!("y{step}")).clone()];
        trainer.train_batch(&Batch { inputs, labels, weights: vec![] }).expect("a step");
        let loss = trainer.take_metrics().expect("metrics").loss;
        expect_loss(golden, step, loss, device);
    }
}
