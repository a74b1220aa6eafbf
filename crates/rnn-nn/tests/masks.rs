//! Masks at outputs that losses cannot use, weights that do not fit, and what masks a trainer tells.

use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_nn::{
    Batch, Dataset, Dense, InputSpec, Loss, Masking, Model, Optimizer, Reshape, TimeDistributed,
    TrainError, Trainer,
};
use rnn_ops::Activation;

/// Three examples of two steps, of which the second of the first and all of the last are masked.
fn steps() -> HostTensor {
    let values = vec![1.0, 2.0, 0.0, 0.0, 3.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    HostTensor::from_f32([3, 2, 2], values).expect("three examples")
}

fn trainer(model: Model) -> Trainer {
    Trainer::new(model, &CpuDevice::new(), Optimizer::sgd(), 1).loss(Loss::MeanSquaredError)
}

fn masked() -> Model {
    Model::sequential(InputSpec::floats([2, 2]), 1).add(Masking::new(0.0)).expect("it fits")
}

fn batch(labels: &[usize], weights: Vec<HostTensor>) -> Batch {
    let labels = vec![HostTensor::zeros(labels, rnn_core::DType::F32)];
    Batch { inputs: vec![steps()], labels, weights }
}

#[test]
fn a_mask_takes_a_loss_for_each_of_its_steps() {
    let pairs = TimeDistributed(Reshape::new([2, 2]));
    let wide = masked().add(TimeDistributed(Dense::new(4, Activation::Linear)));
    let wide = wide.and_then(|model| model.add(pairs)).expect("the layers fit");
    let mut trainer = trainer(wide);
    let outputs = trainer.predict_batch(&[steps()]).expect("it predicts all the same");
    assert_eq!(outputs[0].shape().dims(), [3, 2, 2, 2]);
    let error = trainer.train_batch(&batch(&[3, 2, 2, 2], vec![])).unwrap_err();
    assert!(matches!(error, TrainError::Mask { steps: 2, .. }), "{error}");
    assert!(error.to_string().contains("losses of shape [2, 2]"), "{error}");
}

#[test]
fn masks_are_told_and_weights_that_do_not_fit_are_refused() {
    let model = masked().add(Dense::new(1, Activation::Linear)).expect("it fits");
    let mut trainer = trainer(model);
    let set = Dataset::new([steps()], []).expect("a set");
    let expected = vec![true, false, true, true, false, false];
    for size in [3, 2, 1] {
        assert_eq!(trainer.output_masks(&set, size).expect("masks"), [Some(expected.clone())]);
    }
    for shape in [&[2][..], &[3, 3], &[3, 2, 2]] {
        let weights = HostTensor::zeros(shape, rnn_core::DType::F32);
        let error = trainer.train_batch(&batch(&[3, 2, 1], vec![weights])).unwrap_err();
        assert!(matches!(error, TrainError::Weights { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("the output dense: it takes"), "{message}");
        assert!(message.contains("[3], or for each step, [3x2]"), "{message}");
    }
}

/// Keras divides by the valid steps where there are any, and puts out 0 where there are none.
#[test]
fn a_batch_without_a_step_teaches_nothing() {
    let model = masked().add(Dense::new(1, Activation::Linear)).expect("it fits");
    let mut trainer = trainer(model);
    let before = trainer.model().expect("weights").parameters().to_vec();
    let zeros = HostTensor::zeros([3, 2, 2], rnn_core::DType::F32);
    let labels = HostTensor::from_f32([3, 2], vec![5.0; 6]).expect("labels");
    let batch = Batch { inputs: vec![zeros], labels: vec![labels], weights: vec![] };
    trainer.train_batch(&batch).expect("a step");
    assert_eq!(trainer.take_metrics().expect("metrics").loss, 0.0);
    assert_eq!(trainer.model().expect("weights").parameters(), before);
}
