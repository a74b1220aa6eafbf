//! Tensors that a layer from outside the crate keeps are part of a training's state.

use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_graph::{GraphError, TensorId, TensorType};
use rnn_nn::{
    Batch, Dense, ForwardContext, InputSpec, Layer, LayerError, Loss, Model, Optimizer, Trainer,
    TrainerState, Value,
};
use rnn_ops::{Activation, Assign, Binary, Fill};
use std::sync::Arc;

/// Counts the batches that pass through it.
#[derive(Clone, Debug)]
struct Counter;

impl Layer for Counter {
    fn class(&self) -> &'static str {
        "Counter"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let count = cx.graph.resident("batches seen", TensorType::f32([1]));
        let one = cx.graph.apply(Fill { shape: [1].into(), value: 1.0 }, &[])?;
        let next = cx.graph.apply(Binary::Add, &[count, one])?;
        cx.graph.push_node(Arc::new(Assign), &[next], &[count])?;
        Ok(input)
    }
}

fn trainer() -> Trainer {
    let model = Model::sequential(InputSpec::floats([3]), 1);
    let model = model.add(Counter).and_then(|model| model.add(Dense::new(1, Activation::Linear)));
    let model = model.expect("the layers fit");
    Trainer::new(model, &CpuDevice::new(), Optimizer::sgd(), 1).loss(Loss::MeanSquaredError)
}

fn step(trainer: &mut Trainer) -> TrainerState {
    let values = |shape: &[usize]| HostTensor::zeros(shape.to_vec(), rnn_core::DType::F32);
    let batch =
        Batch { inputs: vec![values(&[2, 3])], labels: vec![values(&[2, 1])], ..Batch::default() };
    trainer.train_batch(&batch).expect("it trains");
    trainer.state().expect("its state")
}

fn count(state: &TrainerState) -> f32 {
    let found = state.tensors.iter().find(|(name, _)| name == "batches seen");
    found.expect("it is kept").1.as_f32().expect("floats")[0]
}

#[test]
fn a_training_goes_on_with_what_a_layer_of_ones_own_keeps() {
    let mut first = trainer();
    step(&mut first);
    let state = step(&mut first);
    assert_eq!(count(&state), 2.0);
    let mut second = trainer();
    second.restore(state).expect("it is of the same model");
    assert_eq!(count(&step(&mut second)), 3.0);
}
