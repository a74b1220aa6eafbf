//! Masks that arrive at outputs, with weights of examples and of steps: evaluation in unequal
//! batches, and three steps of training.

use crate::golden::{Golden, expect_close};
use crate::models::set_weights;
use rnn::Activation;
use rnn::nn::{
    Batch, Dataset, Dense, Embedding, Gru, InputSpec, Loss, Lstm, Masking, Metrics, Model,
    ModelError, Optimizer, OutputActivation, Penalty, SimpleRnn, Softmax, TensorRef, Trainer,
};
use rnn_core::HostTensor;
use rnn_graph::Device;

/// What a case says of an output: its loss, and how it ends.
fn end(golden: &Golden, index: usize) -> (Loss, Dense) {
    let end = golden.args["ends"][index].as_array().expect("a loss, units, an activation");
    let loss = match end[0].as_str() {
        Some("sparse_categorical_crossentropy") => Loss::sparse_categorical_crossentropy(),
        Some("categorical_crossentropy") => Loss::categorical_crossentropy(),
        Some("binary_crossentropy") => Loss::binary_crossentropy(),
        Some("mean_absolute_error") => Loss::MeanAbsoluteError,
        Some("huber") => Loss::Huber { delta: 1.0 },
        _ => Loss::MeanSquaredError,
    };
    let activation: OutputActivation = match end[2].as_str() {
        Some("softmax") => Softmax::new().into(),
        Some("sigmoid") => Activation::Sigmoid.into(),
        _ => Activation::Linear.into(),
    };
    (loss, Dense::new(end[1].as_u64().expect("units") as usize, activation))
}

fn one(model: &mut Model, golden: &Golden) -> Result<Vec<TensorRef>, ModelError> {
    let x = model.input(InputSpec::floats([5, 3]));
    let (_, last) = end(golden, 0);
    if golden.name.contains("plain") {
        let hidden = model.apply(SimpleRnn::new(4).return_sequences(), &[x])?;
        return Ok(vec![model.apply(last, &[hidden])?]);
    }
    let masked = model.apply(Masking::new(0.0), &[x])?;
    let hidden = model.apply(Lstm::new(4).return_sequences(), &[masked])?;
    let last = last.kernel_regularizer(Penalty { l1: 0.0, l2: 0.01 });
    Ok(vec![model.apply(last, &[hidden])?])
}

fn two(model: &mut Model, golden: &Golden) -> Result<Vec<TensorRef>, ModelError> {
    let [a, b] = [InputSpec::tokens([5]), InputSpec::floats([5, 3])].map(|spec| model.input(spec));
    let looked_up = model.apply(Embedding::new(7, 3).mask_zero(), &[a])?;
    let left = model.apply(Gru::new(4).return_sequences(), &[looked_up])?;
    let masked = model.apply(Masking::new(0.0), &[b])?;
    let right = model.apply(SimpleRnn::new(4).return_sequences(), &[masked])?;
    let ends = [(left, 0), (right, 1)];
    ends.into_iter().map(|(x, index)| model.apply(end(golden, index).1, &[x])).collect()
}

fn expect_figures(golden: &Golden, what: &str, row: usize, got: Metrics, device: &dyn Device) {
    let want = golden.tensor(what).as_f32().expect("floats")[2 * row..][..2].to_vec();
    let got = HostTensor::from_f32([2], vec![got.loss as f32, got.accuracy as f32]);
    let want = HostTensor::from_f32([2], want).expect("two figures");
    let place = format!("{} {what} {row} on {}", golden.name, device.info());
    expect_close(&place, &got.expect("two figures"), &want, 1e-5);
}

pub fn masked_losses(golden: &Golden) {
    let mut model = Model::new(1);
    let several = golden.number("inputs") > 1.0;
    let build = if several { two } else { one };
    let outputs = build(&mut model, golden).expect("the layers fit");
    let mut model = model.with_outputs(outputs).expect("the outputs are of the model");
    set_weights(&mut model, golden);
    let ends = model.outputs().len();
    let losses: Vec<(Loss, f32)> = (0..ends).map(|i| (end(golden, i).0, [1.0, 0.5][i])).collect();
    let all = |name: &str, count: usize| -> Vec<HostTensor> {
        let names = (0..count).map(|i| format!("{name}{i}"));
        names.filter(|n| golden.has(n)).map(|n| golden.tensor(&n).clone()).collect()
    };
    let batch = Batch {
        inputs: all("x", golden.number("inputs") as usize),
        labels: all("y", ends),
        weights: all("weights", ends),
    };
    let shared = batch.weights.iter().cloned().map(|w| std::sync::Arc::new(w) as _);
    let set = Dataset::new(batch.inputs.clone(), batch.labels.clone())
        .and_then(|set| set.sample_weights_of(shared.collect::<Vec<_>>()))
        .expect("as many labels and weights as examples");
    let device = golden.device();
    let optimizer = Optimizer::sgd().learning_rate(0.2);
    let mut trainer = Trainer::new(model.clone(), device, optimizer, 1).losses(losses.clone());
    let got = trainer.evaluate(&set, 4).expect("metrics");
    expect_figures(golden, "evaluated", 0, got, device);
    for step in 0..3 {
        trainer.train_batch(&batch).expect("a step");
        let got = trainer.take_metrics().expect("metrics");
        expect_figures(golden, "trained", step, got, device);
    }
    let trained = trainer.model().expect("weights").weights().expect("tensors");
    for (i, (name, got)) in trained.iter().enumerate() {
        let place = format!("{} {name} on {}", golden.name, device.info());
        expect_close(&place, got, golden.tensor(&format!("after{i}")), 1e-5);
    }
}
