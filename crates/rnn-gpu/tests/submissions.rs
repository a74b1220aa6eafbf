//! A training leaves the same weights, whatever a submission may hold.

use rnn::Activation;
use rnn::nn::{
    Conv2D, Dataset, Dense, FitOptions, InputSpec, Loss, Lstm, Model, Optimizer, Reshape, Trainer,
};
use rnn_core::HostTensor;
use rnn_testing::adapters;
use rnn_wgpu::{Options, WgpuDevice};
use std::time::Duration;

fn model() -> Model {
    Model::sequential(InputSpec::floats([12, 12, 2]), 1)
        .add(Conv2D::new(6, [3, 3]))
        .and_then(|model| model.add(Reshape::new([10, 60])))
        .and_then(|model| model.add(Lstm::new(20)))
        .and_then(|model| model.add(Dense::new(1, Activation::Linear)))
        .expect("the layers fit")
}

fn weights(options: Options) -> Vec<Vec<Vec<u8>>> {
    let values = |count: usize| (0..count).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
    let x = HostTensor::from_f32([20, 12, 12, 2], values(20 * 288)).expect("as many");
    let y = HostTensor::from_f32([20, 1], values(20)).expect("as many");
    let train = |adapter| {
        let device = WgpuDevice::open(adapter, options.clone()).expect("the adapter opens");
        let mut trainer =
            Trainer::new(model(), &device, Optimizer::adam(), 1).loss(Loss::MeanSquaredError);
        let data = Dataset::new([x.clone()], [y.clone()]).expect("20 rows");
        let fit = FitOptions { epochs: 3, batch_size: 8 };
        trainer.fit(&data, None, fit, &mut []).expect("it trains");
        let weights = trainer.model().and_then(|model| Ok(model.weights()?)).expect("its weights");
        weights.iter().map(|(_, tensor)| tensor.as_bytes().to_vec()).collect()
    };
    adapters().iter().map(train).collect()
}

#[test]
fn a_training_leaves_the_same_weights_whatever_a_submission_holds() {
    let whole = weights(Options { submission: Some(Duration::MAX), ..Options::default() });
    for (submission, pace) in [
        (Duration::from_nanos(1), Some(1.0)),
        (Duration::from_micros(50), Some(1.0)),
        (Duration::from_millis(1), None),
        (Duration::from_millis(100), Some(1000.0)),
        (Duration::from_millis(100), None),
    ] {
        let options = Options { submission: Some(submission), pace, ..Options::default() };
        assert!(weights(options) == whole, "{submission:?} at {pace:?}");
    }
}
