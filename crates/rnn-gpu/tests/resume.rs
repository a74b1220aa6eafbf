//! A training goes on from any of its states with the same bits, on every device.

use rnn::Activation;
use rnn::nn::{
    BatchNormalization, Callback, Checkpoints, Dataset, Dense, EarlyStopping, Embedding, Figure,
    FitOptions, History, InputSpec, Lstm, Model, ModelError, Optimizer, Precision, ReduceOnPlateau,
    Schedule, SpatialDropout1D, StepInfo, TrainError, Trainer, TrainerState,
};
use rnn_core::{HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_graph::Device;
use rnn_testing::{adapters, open};

const LENGTH: usize = 4;
const BATCH: usize = 16;

/// Sequences that hold token 1 or do not.
fn data(examples: usize, seed: u64) -> Dataset {
    let mut rng = Rng::new(seed, 0);
    let tokens: Vec<u32> = (0..examples * LENGTH).map(|_| rng.below(6)).collect();
    let labels = tokens.chunks(LENGTH).map(|t| f32::from(u8::from(t.contains(&1)))).collect();
    let tokens = HostTensor::from_u32([examples, LENGTH], tokens).expect("rows of tokens");
    let labels = HostTensor::from_f32([examples], labels).expect("labels");
    Dataset::new([tokens], [labels]).expect("as many labels as rows")
}

/// With everything that a step leaves behind: states that are kept, averages that move, dropout,
/// slots that do not begin at zero, a rate that changes.
fn trainer(device: &dyn Device, precision: Precision) -> Trainer {
    let model = || -> Result<Model, ModelError> {
        Model::sequential(InputSpec::tokens([LENGTH]), 3)
            .add(Embedding::new(6, 4))?
            .add(SpatialDropout1D::new(0.1))?
            .add(Lstm::new(8).recurrent_dropout(0.2).stateful())?
            .add(BatchNormalization::new().zero_debiased())?
            .add(Dense::new(1, Activation::Sigmoid))
    };
    let decay = Schedule::ExponentialDecay {
        initial: 0.05,
        decay_steps: 7.0,
        decay_rate: 0.9,
        staircase: false,
    };
    let optimizer = Optimizer::adagrad().schedule(decay);
    Trainer::new(model().expect("the layers fit"), device, optimizer, 11).precision(precision)
}

/// Keeps every state.
#[derive(Default)]
struct All(Vec<TrainerState>);

impl Checkpoints for All {
    fn due(&mut self, _: StepInfo) -> bool {
        true
    }

    fn save(&mut self, _: StepInfo, state: TrainerState) -> Result<(), TrainError> {
        // As it is after a file was written and read.
        let text = serde_json::to_string(&state).expect("numbers");
        let numbers: TrainerState = serde_json::from_str(&text).expect("the same numbers");
        self.0.push(TrainerState { tensors: state.tensors, ..numbers });
        Ok(())
    }
}

/// The progress of a training from a state on, or from the beginning, and what it ends in.
fn train(
    device: &dyn Device,
    precision: Precision,
    from: Option<&TrainerState>,
) -> (History, TrainerState, All) {
    let mut trainer = trainer(device, precision);
    if let Some(state) = from {
        trainer.restore(state.clone()).expect("a state of this model");
    }
    let mut stop = EarlyStopping::new(Figure::Loss, 2).min_delta(0.02).restore_best_weights();
    let mut reduce = ReduceOnPlateau::new(Figure::Accuracy, 0.5, 1);
    let callbacks: &mut [&mut dyn Callback] = &mut [&mut stop, &mut reduce];
    let (examples, validation) = (data(3 * BATCH, 1), data(BATCH, 2));
    let options = FitOptions { epochs: 5, batch_size: BATCH };
    let mut all = All::default();
    let sets = (&examples, Some(&validation));
    let history = trainer.fit_with_checkpoints(sets, options, callbacks, &mut all);
    (history.expect("it trains"), trainer.state().expect("a state"), all)
}

/// The numbers of a history that do not tell the time.
fn figures(history: &History) -> Vec<String> {
    let figures = |e: &rnn::nn::EpochLog| format!("{} {:?} {:?}", e.epoch, e.train, e.validation);
    history.epochs.iter().map(figures).collect()
}

fn check(device: &dyn Device, precision: Precision, stride: usize) {
    let (history, end, states) = train(device, precision, None);
    assert!(states.0.len() >= 12, "an epoch of three steps leaves four states");
    for state in states.0.iter().step_by(stride) {
        let (again, same, _) = train(device, precision, Some(state));
        let at = (state.step, state.progress.steps);
        assert_eq!(figures(&again), figures(&history), "from {at:?}");
        assert_eq!((same.step, same.rate_factor), (end.step, end.rate_factor), "from {at:?}");
        for ((name, tensor), (_, expected)) in same.tensors.iter().zip(&end.tensors) {
            assert_eq!(tensor.as_bytes(), expected.as_bytes(), "{name} from {at:?}");
        }
    }
}

#[test]
fn a_training_goes_on_from_any_state_with_the_same_bits() {
    check(&CpuDevice::new(), Precision::F32, 1);
    check(&CpuDevice::new(), Precision::Mixed, 7);
}

#[test]
fn a_training_goes_on_with_the_same_bits_on_every_adapter() {
    for adapter in &adapters() {
        let device = open(adapter);
        check(&device, Precision::F32, 5);
        if device.limits().half {
            check(&device, Precision::Mixed, 7);
        }
    }
}

#[test]
fn a_trainer_takes_up_an_earlier_state_of_its_own() {
    let device = CpuDevice::new();
    let mut trainer = trainer(&device, Precision::F32);
    let begin = trainer.state().expect("a state");
    let batches: Vec<_> =
        data(2 * BATCH, 1).batches(BATCH).collect::<Result<_, _>>().expect("batches");
    let run = |trainer: &mut Trainer| {
        batches.iter().for_each(|batch| trainer.train_batch(batch).expect("a step"));
        trainer.state().expect("a state").tensors
    };
    let first = run(&mut trainer);
    trainer.restore(begin).expect("its own state");
    assert_eq!(run(&mut trainer), first);
}

#[test]
fn a_state_of_another_model_is_refused() {
    let device = CpuDevice::new();
    let other =
        Model::sequential(InputSpec::floats([3]), 1).add(Dense::new(1, Activation::Sigmoid));
    let mut other = Trainer::new(other.expect("it fits"), &device, Optimizer::sgd(), 1);
    let state = other.state().expect("a state");
    let message =
        trainer(&device, Precision::F32).restore(state).expect_err("another model").to_string();
    assert!(message.contains("embedding") && message.contains("got nothing"), "{message}");
}
