//! What each token contributes to a prediction, against finite differences and against a model of
//! which it is known.

use rnn::Activation;
use rnn::nn::{
    Bidirectional, Dense, Embedding, GlobalAveragePooling1D, Initializer, InputSpec, Lstm, Model,
    Optimizer, Softmax, Trainer,
};
use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_graph::Device;
use rnn_testing::{adapters, open};

const BATCH: usize = 2;
const LENGTH: usize = 5;
const WIDTH: usize = 4;

/// Every token of the batch is another one.
fn tokens() -> HostTensor {
    HostTensor::from_u32([BATCH, LENGTH], (0..10).collect()).expect("ten tokens")
}

fn embedding() -> Embedding {
    Embedding::new(10, WIDTH).embeddings_initializer(Initializer::Uniform(-1.0, 1.0))
}

fn floats(tensor: &HostTensor) -> Vec<f32> {
    tensor.as_f32().expect("floats").to_vec()
}

/// Each contribution is the derivative of the log-odds by a factor on the token's embedding.
fn follows_finite_differences(device: &dyn Device) {
    const STEP: f32 = 0.02;
    let model = Model::sequential(InputSpec::tokens([LENGTH]), 3)
        .add(embedding())
        .and_then(|m| m.add(Bidirectional::new(Lstm::new(6))))
        .and_then(|m| m.add(Dense::new(1, Activation::Sigmoid)))
        .expect("the layers fit");
    let parameters = model.parameters().to_vec();
    let table =
        model.weight_ranges().iter().find(|s| s.name == "embedding/embeddings").expect("a table");
    let table = table.offset;
    let mut trainer = Trainer::new(model, device, Optimizer::adam(), 1);
    let ones = HostTensor::from_f32([BATCH, 1], vec![1.0; BATCH]).expect("a column");
    let [output, found] = trainer.attribute_batch(&[tokens()], &ones).expect("contributions");
    assert_eq!(output, trainer.predict_batch(&[tokens()]).expect("a prediction")[0]);
    assert_eq!(found.shape().dims(), [BATCH, LENGTH]);
    let mut log_odds = |token: usize, factor: f32| {
        let mut moved = parameters.clone();
        moved[table + token * WIDTH..][..WIDTH].iter_mut().for_each(|e| *e *= factor);
        trainer.set_parameters(&moved).expect("as many");
        let p = floats(&trainer.predict_batch(&[tokens()]).expect("a prediction")[0]);
        let p = f64::from(p[token / LENGTH]);
        (p / (1.0 - p)).ln()
    };
    let found = floats(&found);
    let largest = found.iter().fold(0.0f32, |a, c| a.max(c.abs()));
    assert!(largest > 0.01, "{found:?}");
    for (token, &found) in found.iter().enumerate() {
        let difference = log_odds(token, 1.0 + STEP) - log_odds(token, 1.0 - STEP);
        let wanted = difference / f64::from(2.0 * STEP);
        let error = (f64::from(found) - wanted).abs() / f64::from(largest);
        assert!(error < 2e-3, "{}: token {token}: {found}, not {wanted}", device.info());
    }
}

/// Of a linear model, contributions sum to the log-odds of one class against another.
fn sums_to_the_log_odds(device: &dyn Device) {
    let model = Model::sequential(InputSpec::tokens([LENGTH]), 5)
        .add(embedding())
        .and_then(|m| m.add(GlobalAveragePooling1D()))
        .and_then(|m| m.add(Dense::new(3, Activation::Linear)))
        .and_then(|m| m.add(Softmax::new()))
        .expect("the layers fit");
    let mut trainer = Trainer::new(model, device, Optimizer::adam(), 1);
    let direction = HostTensor::from_f32([BATCH, 3], [0.0, 1.0, -1.0].repeat(BATCH));
    let direction = direction.expect("a row for each");
    let [output, found] = trainer.attribute_batch(&[tokens()], &direction).expect("contributions");
    for (p, contributions) in floats(&output).chunks(3).zip(floats(&found).chunks(LENGTH)) {
        let (sum, wanted) = (contributions.iter().sum::<f32>(), (p[1] / p[2]).ln());
        assert!((sum - wanted).abs() < 1e-5, "{}: {sum}, not {wanted}", device.info());
    }
}

#[test]
fn contributions_are_right_on_the_cpu() {
    follows_finite_differences(&CpuDevice::new());
    sums_to_the_log_odds(&CpuDevice::new());
}

#[test]
fn contributions_are_right_on_every_adapter() {
    for adapter in &adapters() {
        let device = open(adapter);
        follows_finite_differences(&device);
        sums_to_the_log_odds(&device);
    }
}

#[test]
fn without_an_embedding_there_are_no_tokens() {
    let model = Model::sequential(InputSpec::floats([3]), 1)
        .add(Dense::new(1, Activation::Sigmoid))
        .expect("it fits");
    let mut trainer = Trainer::new(model, &CpuDevice::new(), Optimizer::adam(), 1);
    let x = HostTensor::from_f32([1, 3], vec![1.0; 3]).expect("three");
    let one = HostTensor::from_f32([1, 1], vec![1.0]).expect("one");
    let message = trainer.attribute_batch(&[x], &one).expect_err("no tokens").to_string();
    assert!(message.contains("no Embedding layer"), "{message}");
}
