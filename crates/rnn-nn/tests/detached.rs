//! A weight that the loss does not reach is an error, never a gradient of zeros.

use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_nn::{Batch, Dense, InputSpec, Loss, Model, Optimizer, TrainError, Trainer};
use rnn_ops::Activation;

#[test]
fn a_weight_that_the_loss_does_not_reach_is_named() {
    let mut model = Model::new(1);
    let x = model.input(InputSpec::floats([3]));
    let judged = model.apply(Dense::new(2, Activation::Linear), &[x]).expect("the layer fits");
    model.apply(Dense::new(2, Activation::Linear), &[x]).expect("the layer fits");
    let model = model.with_outputs(vec![judged]).unwrap();
    let device = CpuDevice::new();
    let trainer = Trainer::new(model, &device, Optimizer::sgd(), 1);
    let mut trainer = trainer.loss(Loss::MeanSquaredError);
    let inputs = vec![HostTensor::from_f32([1, 3], vec![1.0; 3]).expect("one row")];
    let labels = vec![HostTensor::from_f32([1, 2], vec![0.0; 2]).expect("one row")];
    let batch = Batch { inputs, labels, weights: vec![] };
    match trainer.train_batch(&batch) {
        Err(TrainError::Detached(weight)) => assert!(weight.starts_with("dense_1/"), "{weight}"),
        other => panic!("{other:?}"),
    }
}
