//! Several ranks, here threads, come to what one comes to with all of their parts.

use rnn_core::{Examples, HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_nn::{
    Batch, BatchNormalization, Callback, Checkpoints, Clip, Communicator, Dataset, Dense, Dropout,
    Embedding, EpochLog, Event, FitOptions, History, InputSpec, Loss, Lstm, Masking, Model,
    ModelError, Optimizer, Penalty, SpatialDropout1D, StepInfo, TrainError, Trainer, TrainerState,
};
use rnn_ops::Activation;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A rank that is a thread: channels to and from each, in their order.
#[derive(Debug)]
struct Threads {
    rank: usize,
    to: Vec<Sender<Vec<u32>>>,
    from: Vec<Receiver<Vec<u32>>>,
}

impl Threads {
    fn exchange(&self, words: &[u32]) -> Vec<Vec<u32>> {
        self.to.iter().for_each(|to| to.send(words.to_vec()).expect("all ranks live"));
        self.from.iter().map(|from| from.recv().expect("all ranks live")).collect()
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn all_gather(&self, number: u64) -> Vec<u64> {
        let halves = self.exchange(&[number as u32, (number >> 32) as u32]);
        halves.iter().map(|words| u64::from(words[0]) | u64::from(words[1]) << 32).collect()
    }

    fn all_reduce(&self, values: &mut [f32]) {
        let words: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
        values.fill(0.0);
        for part in self.exchange(&words) {
            values.iter_mut().zip(part).for_each(|(sum, word)| *sum += f32::from_bits(word));
        }
    }
}

/// What each of so many ranks comes to.
fn on_ranks<T: Send>(count: usize, work: impl Fn(Rc<Threads>) -> T + Sync) -> Vec<T> {
    let mut to: Vec<Vec<_>> = (0..count).map(|_| vec![]).collect();
    let mut from: Vec<Vec<_>> = (0..count).map(|_| vec![]).collect();
    for to in &mut to {
        for from in &mut from {
            let (sender, receiver) = channel();
            to.push(sender);
            from.push(receiver);
        }
    }
    thread::scope(|scope| {
        let ends = to.into_iter().zip(from).enumerate();
        let threads: Vec<_> = ends
            .map(|(rank, (to, from))| {
                let work = &work;
                scope.spawn(move || work(Rc::new(Threads { rank, to, from })))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank that ends well")).collect()
    })
}

const LENGTH: usize = 5;
/// Batches of 12 and a last one of 5.
const EXAMPLES: usize = 41;
const BATCH: usize = 12;

/// Sequences that hold token 1 or do not, some of which count more.
fn data(examples: usize) -> Dataset {
    let mut rng = Rng::new(5, 0);
    let tokens: Vec<u32> = (0..examples * LENGTH).map(|_| rng.below(7)).collect();
    let labels = tokens.chunks(LENGTH).map(|t| f32::from(u8::from(t.contains(&1)))).collect();
    let weights = (0..examples).map(|i| 0.5 + (i % 3) as f32).collect();
    let tokens = HostTensor::from_u32([examples, LENGTH], tokens).expect("rows of tokens");
    let labels = HostTensor::from_f32([examples], labels).expect("labels");
    let weights = HostTensor::from_f32([examples], weights).expect("weights");
    let set = Dataset::new([tokens], [labels]).expect("as many labels as rows");
    set.sample_weights(weights).expect("as many weights as rows")
}

fn model() -> Result<Model, ModelError> {
    Model::sequential(InputSpec::tokens([LENGTH]), 3)
        .add(Embedding::new(7, 6))?
        .add(SpatialDropout1D::new(0.1))?
        .add(Lstm::new(9).dropout(0.2).recurrent_dropout(0.2).return_sequences())?
        .add(Dropout::new(0.3))?
        .add(Lstm::new(5))?
        .add(Dropout::new(0.2))?
        .add(Dense::new(1, Activation::Sigmoid).kernel_regularizer(Penalty { l1: 0.0, l2: 0.01 }))
}

fn trainer(model: Result<Model, ModelError>, seed: u64) -> Trainer {
    let optimizer = Optimizer::adam().learning_rate(0.01).clip(Clip::GlobalNorm(0.5));
    Trainer::new(model.expect("the layers fit"), &CpuDevice::new(), optimizer, seed)
}

/// Keeps every state.
#[derive(Default)]
struct All(Vec<TrainerState>);

impl Checkpoints for All {
    fn due(&mut self, _: StepInfo) -> bool {
        true
    }

    fn save(&mut self, _: StepInfo, state: TrainerState) -> Result<(), TrainError> {
        self.0.push(state);
        Ok(())
    }
}

/// What four epochs come to, from a state on or from the beginning, and all states between.
fn fit(
    mut trainer: Trainer,
    from: Option<&TrainerState>,
) -> (History, Vec<f32>, Vec<TrainerState>) {
    if let Some(state) = from {
        trainer.restore(state.clone()).expect("a state of this model");
    }
    let (train, validation) = (data(EXAMPLES), data(10));
    let options = FitOptions { epochs: 4, batch_size: BATCH };
    let mut all = All::default();
    let sets = (&train, Some(&validation));
    let history = trainer.fit_with_checkpoints(sets, options, &mut [], &mut all);
    let history = history.expect("it trains");
    (history, trainer.model().expect("weights").parameters().to_vec(), all.0)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(found.len() == expected.len() && apart < 1e-5, "{what}: {apart} apart");
}

#[test]
fn ranks_come_to_what_one_comes_to_with_all_of_their_parts() {
    let (history, expected, _) = fit(trainer(model(), 11), None);
    for count in [1, 2, 3, 4] {
        let all = on_ranks(count, |ranks| fit(trainer(model(), 11).distributed(ranks), None));
        for (rank, (found, weights, _)) in all.iter().enumerate() {
            let what = format!("rank {rank} of {count}");
            assert_close(weights, &expected, &what);
            assert_eq!(bits(weights), bits(&all[0].1), "{what} is apart");
            for (found, expected) in found.epochs.iter().zip(&history.epochs) {
                let pairs = [(found.train, expected.train)];
                let validation = found.validation.zip(expected.validation);
                for (found, expected) in pairs.into_iter().chain(validation) {
                    assert_eq!(found.count, expected.count, "{what}");
                    assert_eq!(found.accuracy, expected.accuracy, "{what}");
                    assert!((found.loss - expected.loss).abs() < 1e-5, "{what}");
                }
            }
        }
        if count == 1 {
            assert_eq!(bits(&all[0].1), bits(&expected), "one rank does the same");
        }
    }
}

#[test]
fn ranks_go_on_from_any_state_of_the_first_with_the_same_bits() {
    let run = |from: Option<&TrainerState>| {
        on_ranks(2, |ranks| fit(trainer(model(), 11).distributed(ranks), from)).remove(0)
    };
    let (history, weights, states) = run(None);
    for state in states.iter().step_by(3) {
        let (again, same, _) = run(Some(state));
        assert_eq!(bits(&same), bits(&weights), "from step {}", state.step);
        for (a, b) in again.epochs.iter().zip(&history.epochs) {
            assert_eq!((a.train, a.validation), (b.train, b.validation), "from {}", state.step);
        }
    }
}

/// Sequences with holes for two outputs of which each has a mask of its own; of some batches a rank
/// has no step.
fn masked_data(examples: usize) -> Dataset {
    let mut rng = Rng::new(6, 0);
    let there: Vec<bool> =
        (0..examples * LENGTH).map(|i| i / LENGTH % 6 > 1 && rng.below(3) > 0).collect();
    let tokens = there.iter().map(|&there| if there { 1 + rng.below(6) } else { 0 }).collect();
    let mut floats = |width: usize| -> Vec<f32> {
        (0..examples * LENGTH * width).map(|_| rng.normal() as f32).collect()
    };
    let (mut steps, tags, values) = (floats(2), floats(1), floats(2));
    for (i, step) in steps.chunks_mut(2).enumerate() {
        if i % 7 < 3 {
            step.fill(0.0);
        }
    }
    let tags = tags.into_iter().map(|tag| f32::from(u8::from(tag > 0.0))).collect();
    let array = |width: usize, values| HostTensor::from_f32([examples, LENGTH, width], values);
    let tokens = HostTensor::from_u32([examples, LENGTH], tokens).expect("rows of tokens");
    let labels = [array(1, tags), array(2, values)].map(|labels| labels.expect("labels"));
    let set = Dataset::new([tokens, array(2, steps).expect("steps")], labels).expect("as many");
    let weights: Vec<f32> = (0..examples * LENGTH).map(|i| 0.5 + (i % 3) as f32).collect();
    let each = HostTensor::from_f32([examples, LENGTH], weights.clone()).expect("of steps");
    let whole = HostTensor::from_f32([examples], weights[..examples].to_vec()).expect("weights");
    set.sample_weights_of([each, whole].map(|w| Arc::new(w) as Arc<dyn Examples>)).expect("as many")
}

fn masked_trainer() -> Trainer {
    let model = || -> Result<Model, ModelError> {
        let mut model = Model::new(3);
        let [a, b] = [InputSpec::tokens([LENGTH]), InputSpec::floats([LENGTH, 2])];
        let [a, b] = [model.input(a), model.input(b)];
        let looked_up = model.apply(Embedding::new(7, 4).mask_zero(), &[a])?;
        let left = model.apply(Lstm::new(5).return_sequences(), &[looked_up])?;
        let dense = Dense::new(1, Activation::Sigmoid);
        let dense = dense.kernel_regularizer(Penalty { l1: 0.0, l2: 0.01 });
        let tags = model.apply(dense, &[left])?;
        let dropped = model.apply(Dropout::new(0.4), &[b])?;
        // What is dropped decides what is masked.
        let masked = model.apply(Masking::new(0.0), &[dropped])?;
        let values = model.apply(Dense::new(2, Activation::Linear), &[masked])?;
        model.with_outputs([tags, values])
    };
    trainer(model(), 11).losses([(Loss::binary_crossentropy(), 1.0), (Loss::MeanSquaredError, 0.5)])
}

#[test]
fn ranks_count_the_steps_that_masks_leave_on_all_of_them() {
    let fit = |mut trainer: Trainer| {
        let (train, validation) = (masked_data(EXAMPLES), masked_data(10));
        let options = FitOptions { epochs: 3, batch_size: BATCH };
        let history = trainer.fit(&train, Some(&validation), options, &mut []).expect("it trains");
        (history, trainer.model().expect("weights").parameters().to_vec())
    };
    let (history, expected) = fit(masked_trainer());
    for count in [1, 2, 3] {
        for (found, weights) in on_ranks(count, |ranks| fit(masked_trainer().distributed(ranks))) {
            let what = format!("{count} ranks");
            assert_close(&weights, &expected, &what);
            for (found, expected) in found.epochs.iter().zip(&history.epochs) {
                for part in [|log: &EpochLog| Some(log.train), |log: &EpochLog| log.validation] {
                    let (found, expected) = (part(found), part(expected));
                    let (found, expected) = found.zip(expected).expect("metrics of both");
                    assert_eq!(found.count, expected.count, "{what}");
                    assert!((found.loss - expected.loss).abs() < 1e-5, "{what}");
                    assert!((found.accuracy - expected.accuracy).abs() < 1e-6, "{what}");
                }
            }
        }
    }
}

/// Each rank normalizes by its own statistics: where they agree, it is as if one had done it all,
/// also where a rank had no part in a batch.
#[test]
fn moving_averages_are_shared() {
    let model = |layer: BatchNormalization| -> Result<Model, ModelError> {
        Model::sequential(InputSpec::floats([3]), 2)
            .add(layer.momentum(0.9))?
            .add(Dense::new(1, Activation::Sigmoid))
    };
    let batch = |step: u64, copies: usize| {
        let mut rng = Rng::new(8 + step, 0);
        let rows: Vec<f32> = (0..12).map(|_| rng.normal() as f32).collect();
        Batch {
            inputs: vec![HostTensor::from_f32([4 * copies, 3], rows.repeat(copies)).expect("rows")],
            labels: vec![
                HostTensor::from_f32([4 * copies], [0.0, 1.0, 1.0, 0.0].repeat(copies)).expect("4"),
            ],
            weights: vec![],
        }
    };
    // Of steps 0 and 3 the last rank has no part.
    let whole = |step: u64| if step.is_multiple_of(3) { 1 } else { 2 };
    let part = |step, rank| if rank == 1 { whole(step) - 1 } else { 1 };
    let run = |mut trainer: Trainer, copies: &dyn Fn(u64) -> usize| {
        let steps = (0..5).map(|step| batch(step, copies(step)));
        steps.for_each(|batch| trainer.train_batch(&batch).expect("a step"));
        trainer.model().expect("weights").parameters().to_vec()
    };
    let layers = [BatchNormalization::new(), BatchNormalization::new().zero_debiased()];
    for layer in layers {
        let expected = run(trainer(model(layer.clone()), 1), &whole);
        let on_rank = |ranks: Rc<Threads>| {
            let rank = ranks.rank();
            run(trainer(model(layer.clone()), 1).distributed(ranks), &|step| part(step, rank))
        };
        for weights in on_ranks(2, on_rank) {
            assert_close(&weights, &expected, "weights and averages");
        }
    }
}

#[test]
fn what_ends_one_rank_ends_all_and_what_cannot_be_shared_is_refused() {
    let options = FitOptions { epochs: 2, batch_size: BATCH };
    let steps = on_ranks(2, |ranks| {
        let rank = ranks.rank();
        let mut trainer = trainer(model(), 11).distributed(ranks);
        let mut steps = 0;
        let mut stop = |event: &Event| match event {
            Event::Step(step, _) => {
                steps = *step;
                if rank == 1 && steps == 2 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            }
            _ => ControlFlow::Continue(()),
        };
        let callbacks: &mut [&mut dyn Callback] = &mut [&mut stop];
        trainer.fit(&data(EXAMPLES), None, options, callbacks).expect("it trains");
        steps
    });
    assert_eq!(steps, [2, 2]);

    let message = |seed: fn(usize) -> u64, model: fn() -> Result<Model, ModelError>| {
        let fit = |ranks: Rc<Threads>| {
            let mut trainer = trainer(model(), seed(ranks.rank())).distributed(ranks);
            trainer.fit(&data(EXAMPLES), None, options, &mut []).map_err(|error| error.to_string())
        };
        on_ranks(3, fit).remove(0).expect_err("it cannot train")
    };
    let apart = message(|rank| u64::from(rank == 2), model);
    assert!(apart.starts_with("after step 0 rank 2 holds other numbers"), "{apart}");
    let stateful = message(
        |_| 1,
        || {
            Model::sequential(InputSpec::tokens([LENGTH]), 3)
                .add(Embedding::new(7, 6))?
                .add(Lstm::new(4).stateful())?
                .add(Dense::new(1, Activation::Sigmoid))
        },
    );
    assert!(stateful.contains("lstm/state is kept from batch to batch"), "{stateful}");
}
