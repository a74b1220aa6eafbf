//! Training stateful models in the order of the examples, and predicting behind it.

use crate::golden::{Golden, expect_close};
use crate::models::set_weights;
use rnn::nn::{
    Bidirectional, ConvLstm2D, Dataset, Dense, FitOptions, Flatten, Gru, InputSpec, Loss, Lstm,
    Model, ModelError, Optimizer, SimpleRnn, Trainer,
};
use rnn::{Activation, Padding};
use rnn_core::HostTensor;

fn stack(golden: &Golden) -> Result<Model, ModelError> {
    let sequence = || Model::sequential(InputSpec::floats([5, 3]), 1);
    let model = match golden.name.trim_start_matches("stateful_fit ") {
        "simple_rnn" => sequence().add(SimpleRnn::new(4).stateful()),
        "lstm" => sequence().add(Lstm::new(4).stateful()),
        "gru" => sequence().add(Gru::new(4).stateful()),
        "stacked" => sequence()
            .add(Lstm::new(4).return_sequences().stateful())
            .and_then(|model| model.add(Gru::new(3).stateful())),
        "bidirectional" => sequence().add(Bidirectional::new(Lstm::new(3).stateful())),
        _ => Model::sequential(InputSpec::floats([3, 4, 4, 1]), 1)
            .add(ConvLstm2D::new(2, 3).padding(Padding::Same).stateful())
            .and_then(|model| model.add(Flatten)),
    };
    model?.add(Dense::new(2, Activation::Linear))
}

pub fn stateful_fit(golden: &Golden) {
    let mut model = stack(golden).expect("the layers fit");
    assert!(model.is_stateful().expect("it is built"), "{}", golden.name);
    set_weights(&mut model, golden);
    let arrays = ["x", "y", "x_val", "y_val"].map(|name| golden.tensor(name).clone());
    let [x, y, x_val, y_val] = arrays;
    let train = Dataset::new([x], [y]).expect("as many labels as examples");
    let validation = Dataset::new([x_val], [y_val]).expect("as many labels as examples");
    let batch = golden.number("batch") as usize;
    let device = golden.device();
    let place = |what: &str| format!("{} {what} on {}", golden.name, device.info());
    let optimizer = Optimizer::sgd().learning_rate(0.1);
    let mut trainer =
        Trainer::new(model.clone(), device, optimizer, 1).loss(Loss::MeanSquaredError);
    let options = FitOptions { epochs: 2, batch_size: batch };
    let history = trainer.fit(&train, Some(&validation), options, &mut []);
    let epochs = history.expect("it trains").epochs;
    let figures = |losses: Vec<f64>| {
        let losses = losses.into_iter().map(|loss| loss as f32).collect();
        HostTensor::from_f32([2], losses).expect("two losses")
    };
    let trained = figures(epochs.iter().map(|epoch| epoch.train.loss).collect());
    expect_close(&place("losses"), &trained, golden.tensor("losses"), 1e-5);
    let validated = epochs.iter().filter_map(|epoch| epoch.validation);
    let validated = figures(validated.map(|metrics| metrics.loss).collect());
    expect_close(&place("validation"), &validated, golden.tensor("val_losses"), 1e-5);
    let mut predict = |what: &str| {
        let got = trainer.predict(&train.range(0..2 * batch), batch).expect("it runs");
        expect_close(&place(what), &got[0], golden.tensor(what), 1e-5);
        trainer.reset_states().expect("zeros");
    };
    predict("predicted");
    predict("anew");
    let error = trainer.predict(&train.range(0..batch + 1), batch).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&format!("for {batch} rows")), "{message}");
}
