//! Regularizers of outputs see all that a layer returns, as in Keras (keras/src/layers/layer.py).

use rnn_core::{HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_nn::{
    Batch, ConvLstm1D, Dataset, Gru, InputSpec, Layer, Loss, Lstm, Model, Optimizer, Penalty,
    SimpleRnn, Trainer,
};

const BATCH: usize = 3;
const PENALTY: Penalty = Penalty { l1: 0.2, l2: 0.3 };

/// The loss and the penalty by their definitions, from what the layer returns.
fn defined(outputs: &[HostTensor]) -> f64 {
    let of_one = |output: &HostTensor| -> f64 {
        let values = output.as_f32().expect("floats").iter().map(|&value| f64::from(value));
        let (sum, squares) = values
            .fold((0.0, 0.0), |(sum, squares), value| (sum + value.abs(), squares + value * value));
        let penalty = f64::from(PENALTY.l1) * sum + f64::from(PENALTY.l2) * squares;
        squares / output.shape().len() as f64 + penalty / BATCH as f64
    };
    outputs.iter().map(of_one).sum()
}

/// Trains and evaluates the outputs of a layer towards zeros.
fn losses(layer: impl Layer + 'static, input: &[usize]) -> (Vec<HostTensor>, [f64; 2]) {
    let mut model = Model::new(1);
    let x = model.input(InputSpec::floats(input));
    let outputs = model.call(layer, &[x]).expect("the layer fits");
    let judged = vec![(Loss::MeanSquaredError, 1.0); outputs.len()];
    let model = model.with_outputs(outputs).unwrap();
    let shape = [&[BATCH], input].concat();
    let mut rng = Rng::new(7, 0);
    let values = (0..shape.iter().product::<usize>()).map(|_| rng.normal() as f32).collect();
    let inputs = vec![HostTensor::from_f32(shape, values).expect("a batch")];
    let trainer = Trainer::new(model, &CpuDevice::new(), Optimizer::sgd(), 1);
    let mut trainer = trainer.losses(judged);
    let outputs = trainer.predict_batch(&inputs).expect("predictions");
    let labels: Vec<HostTensor> =
        outputs.iter().map(|y| HostTensor::zeros(y.shape().clone(), y.dtype())).collect();
    let set = Dataset::new(inputs.clone(), labels.clone()).expect("a set");
    let evaluated = trainer.evaluate(&set, BATCH).expect("a loss").loss;
    trainer.train_batch(&Batch { inputs, labels, ..Batch::default() }).expect("a step");
    let trained = trainer.take_metrics().expect("a loss").loss;
    (outputs, [evaluated, trained])
}

#[test]
fn returned_states_are_regularized_too() {
    let check = |name: &str, (outputs, losses): (Vec<HostTensor>, [f64; 2]), count: usize| {
        assert_eq!(outputs.len(), count, "{name}");
        let expected = defined(&outputs);
        for loss in losses {
            assert!((loss - expected).abs() < 1e-5 * expected, "{name}: {loss}, not {expected}");
        }
    };
    let (sequence, rows) = (&[5, 2], &[4, 6, 2]);
    check("LSTM", losses(Lstm::new(3).activity_regularizer(PENALTY), sequence), 1);
    let lstm = Lstm::new(3).activity_regularizer(PENALTY).return_state();
    check("LSTM and its states", losses(lstm.clone(), sequence), 3);
    check("LSTM's sequence and its states", losses(lstm.return_sequences(), sequence), 3);
    let gru = Gru::new(3).activity_regularizer(PENALTY).return_state();
    check("GRU and its state", losses(gru, sequence), 2);
    let simple = SimpleRnn::new(3).activity_regularizer(PENALTY).return_state();
    check("SimpleRNN and its state", losses(simple, sequence), 2);
    let wide = ConvLstm1D::new(2, 3).activity_regularizer(PENALTY).return_state();
    check("ConvLSTM1D and its states", losses(wide, rows), 3);
}
