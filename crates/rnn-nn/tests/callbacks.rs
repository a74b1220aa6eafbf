//! Callbacks on a model small enough to train in a moment.

use rnn_core::HostTensor;
use rnn_nn::{
    Callback, Checkpoints, CsvLog, Dataset, Dense, EarlyStopping, Embedding, EpochLog, Event,
    Figure, FitOptions, Flatten, History, InputSpec, Metrics, Model, ModelCheckpoint, Monitor,
    Optimizer, ReduceOnPlateau, StepInfo, TerminateOnNan, TrainError, Trainer, TrainerState,
};
use rnn_ops::Activation;
use std::ops::ControlFlow;

fn data() -> Dataset {
    let tokens: Vec<u32> = (0..64).map(|i| i % 8).collect();
    let labels = tokens.chunks(2).map(|pair| (pair[0] % 4 / 2) as f32).collect();
    let labels = HostTensor::from_f32([32], labels).expect("labels");
    Dataset::new([HostTensor::from_u32([32, 2], tokens).expect("tokens")], [labels]).expect("rows")
}

fn trainer(optimizer: Optimizer) -> Trainer {
    let model = || -> Result<Model, rnn_nn::ModelError> {
        Model::sequential(InputSpec::tokens([2]), 1)
            .add(Embedding::new(8, 4))?
            .add(Flatten)?
            .add(Dense::new(1, Activation::Sigmoid))
    };
    Trainer::new(model().expect("the layers fit"), &rnn_cpu::CpuDevice::new(), optimizer, 1)
}

fn fit(trainer: &mut Trainer, callbacks: &mut [&mut dyn Callback]) -> Result<usize, TrainError> {
    let options = FitOptions { epochs: 20, batch_size: 8 };
    Ok(trainer.fit(&data(), None, options, callbacks)?.epochs.len())
}

/// The end of an epoch with this training loss.
fn epoch(loss: f64) -> Event {
    let train = Metrics { loss, accuracy: 0.5, count: 8, ..Metrics::default() };
    Event::EpochEnd(EpochLog { epoch: 1, train, validation: None, seconds: 0.0 })
}

#[test]
fn early_stopping_waits_and_restores() {
    let mut trainer = trainer(Optimizer::sgd());
    let mut stop = EarlyStopping::new(Figure::Loss, 2).restore_best_weights();
    let best = trainer.model().expect("weights").parameters().to_vec();
    let mut ends = |loss: f64, trainer: &mut Trainer| {
        stop.on_event(&epoch(loss), trainer).expect("no error").is_break()
    };
    assert!(!ends(0.5, &mut trainer));
    trainer.set_parameters(&vec![7.0; best.len()]).expect("as many");
    assert!(!ends(0.6, &mut trainer));
    assert!(ends(f64::NAN, &mut trainer));
    assert_eq!(trainer.model().expect("weights").parameters(), best);
}

#[test]
fn an_unreachable_improvement_ends_training_early() {
    let mut stop = EarlyStopping::new(Monitor::Training(Figure::Accuracy), 3).min_delta(2.0);
    let mut trainer = trainer(Optimizer::adam());
    // The first epoch is the best; three follow.
    assert_eq!(fit(&mut trainer, &mut [&mut stop]).expect("it trains"), 4);
    assert!(stop.stopped());
}

#[test]
fn a_plateau_lowers_the_rate_down_to_its_floor() {
    let mut trainer = trainer(Optimizer::sgd());
    let mut reduce = ReduceOnPlateau::new(Figure::Loss, 0.5, 2).cooldown(2).floor(0.3);
    let mut factors = Vec::new();
    for loss in [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5] {
        let _ = reduce.on_event(&epoch(loss), &mut trainer).expect("no error");
        factors.push(trainer.rate_factor());
    }
    // Of the two epochs of cooldown, the second already counts, as in Keras.
    assert_eq!(factors, [1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3]);
}

#[test]
fn checkpoints_are_taken_of_the_best_alone() {
    let mut saved = 0;
    let mut save = |_: &Model| {
        saved += 1;
        Ok(())
    };
    let mut checkpoint = ModelCheckpoint::new(Figure::Loss, &mut save);
    let mut trainer = trainer(Optimizer::sgd());
    for loss in [1.0, 0.8, 0.9, 0.7] {
        let _ = checkpoint.on_event(&epoch(loss), &mut trainer).expect("no error");
    }
    assert_eq!(saved, 3);
    let mut broken = ModelCheckpoint::new(Figure::Loss, |_: &Model| Err("disk full".into()));
    let message = fit(&mut trainer, &mut [&mut broken]).expect_err("it cannot save").to_string();
    assert_eq!(message, "disk full");
}

#[test]
fn a_loss_that_is_no_number_is_an_error() {
    let mut trainer = trainer(Optimizer::sgd().learning_rate(f64::NAN));
    let message = fit(&mut trainer, &mut [&mut TerminateOnNan]).expect_err("NaN").to_string();
    assert!(message.contains("NaN") && message.contains("learning rate"), "{message}");
}

#[test]
fn a_validation_loss_that_is_no_number_is_an_error() {
    let mut trainer = trainer(Optimizer::sgd());
    for loss in [f64::NAN, f64::INFINITY] {
        let validation = Some(Metrics { loss, ..Metrics::default() });
        let log = EpochLog { epoch: 3, train: Metrics::default(), validation, seconds: 1.0 };
        let error = TerminateOnNan.on_event(&Event::EpochEnd(log), &mut trainer);
        let error = error.expect_err("the validation is not finite");
        assert!(matches!(error, TrainError::ValidationNotFinite { epoch: 3, .. }), "{error}");
    }
}

#[test]
fn a_closure_is_a_callback() {
    let mut steps = 0;
    let mut count = |event: &Event| {
        steps += usize::from(matches!(event, Event::Step(..)));
        if steps == 6 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert_eq!(fit(&mut trainer(Optimizer::sgd()), &mut [&mut count]).expect("it trains"), 1);
    assert_eq!(steps, 6);
}

#[test]
fn a_log_has_a_line_for_each_epoch() {
    let mut lines = Vec::new();
    fit(&mut trainer(Optimizer::adam()), &mut [&mut CsvLog::new(&mut lines)]).expect("it trains");
    let text = String::from_utf8(lines).expect("text");
    assert_eq!(text.lines().count(), 21);
    let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
    assert!(columns.iter().all(|&n| n == 14), "{columns:?}");
    assert!(text.starts_with("epoch,loss,accuracy,precision,"), "{text}");
}

/// Keeps the last state of a training.
#[derive(Default)]
struct Last(Option<TrainerState>);

impl Checkpoints for Last {
    fn due(&mut self, moment: StepInfo) -> bool {
        moment.ending
    }

    fn save(&mut self, _: StepInfo, state: TrainerState) -> Result<(), TrainError> {
        self.0 = Some(state);
        Ok(())
    }
}

#[test]
fn a_validation_that_is_broken_off_is_made_up_for() {
    let (train, validation) = data().split(0.5, 1);
    let options = FitOptions { epochs: 3, batch_size: 4 };
    let untimed = |history: History| -> Vec<EpochLog> {
        history.epochs.into_iter().map(|log| EpochLog { seconds: 0.0, ..log }).collect()
    };
    let mut whole = trainer(Optimizer::adam());
    let expected = whole.fit(&train, Some(&validation), options, &mut []).expect("it trains");
    // In the second epoch, after the first batch of the validation.
    let mut epoch = 0;
    let mut stop = |event: &Event| {
        epoch += usize::from(matches!(event, Event::Epoch(_)));
        match event {
            Event::Validation(1) if epoch == 2 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    let (mut first, mut last) = (trainer(Optimizer::adam()), Last::default());
    let data = (&train, Some(&validation));
    let broken = first.fit_with_checkpoints(data, options, &mut [&mut stop], &mut last);
    assert_eq!(broken.expect("it trains").epochs.len(), 1);
    let mut state = last.0.expect("a state");
    state.progress.callbacks.clear();
    let mut second = trainer(Optimizer::adam());
    second.restore(state).expect("it is of this model");
    let rest = second.fit(&train, Some(&validation), options, &mut []).expect("it trains");
    assert_eq!(format!("{:?}", untimed(rest)), format!("{:?}", untimed(expected)));
    let [ours, theirs] =
        [&mut second, &mut whole].map(|trainer| trainer.model().map(|m| m.parameters().to_vec()));
    assert_eq!(ours.expect("weights"), theirs.expect("weights"));
}
