mod digest;

pub(crate) use digest::fnv1a;

use crate::Batch;
use rnn_core::{Data, Examples, HostTensor, Rng, Shape};
use std::error::Error;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// N examples with their labels: an array `[N, ..]` for each input of a model, and labels `[N, ..]`
/// for each output. Arrays that are not in memory are read batch by batch. Clones share the arrays.
#[derive(Clone, Debug)]
pub struct Dataset {
    inputs: Arrays,
    labels: Arrays,
    /// None, one for all outputs, or one for each.
    weights: Arrays,
    order: Vec<u32>,
}

type Arrays = Arc<[Arc<dyn Examples>]>;

/// The reason why arrays do not make a dataset, or why examples cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// There is no array of inputs.
    #[error("a data set needs an array for each input of the model")]
    Nothing,
    /// An array does not have as many examples as the array of the first input.
    #[error("inputs {inputs} are not of as many examples as labels or weights {others}")]
    Counts {
        /// The shape of the array of the first input, `[N, ..]`.
        inputs: Shape,
        /// The shape of the other array: a further input, labels or weights.
        others: Shape,
    },
    /// There are more examples than can be numbered; the number is given.
    #[error("{0} examples are more than 2^32 - 1; divide the data set")]
    TooMany(usize),
    /// An array of examples could not be read, for the given reason.
    #[error("cannot read examples")]
    Read(#[source] Box<dyn Error + Send + Sync>),
    /// The system has no thread for [`Batches`].
    #[error("cannot start a thread that reads examples; end other programs, or raise `ulimit -u`")]
    Thread(#[source] io::Error),
}

impl Dataset {
    /// Creates a dataset of N examples in memory. `inputs` holds an array `[N, ..]` for each input
    /// of the model. `labels` holds an array `[N, ..]` for each output: numbers, rows of numbers,
    /// or classes (u32). It may be empty for predictions.
    ///
    /// # Errors
    /// Fails with [`DatasetError::Nothing`] if there is no array of inputs, with
    /// [`DatasetError::Counts`] if the arrays do not all have N examples, and with
    /// [`DatasetError::TooMany`] if these are more than 2^32 - 1.
    pub fn new(
        inputs: impl Into<Vec<HostTensor>>,
        labels: impl Into<Vec<HostTensor>>,
    ) -> Result<Self, DatasetError> {
        let share = |arrays: Vec<HostTensor>| -> Vec<Arc<dyn Examples>> {
            arrays.into_iter().map(|array| Arc::new(array) as Arc<dyn Examples>).collect()
        };
        Self::of(share(inputs.into()), share(labels.into()))
    }

    /// Creates a dataset of N examples from arrays that need not be in memory. `inputs` and
    /// `labels` are as in [`Dataset::new`].
    ///
    /// # Errors
    /// Fails as [`Dataset::new`].
    pub fn of(
        inputs: impl Into<Vec<Arc<dyn Examples>>>,
        labels: impl Into<Vec<Arc<dyn Examples>>>,
    ) -> Result<Self, DatasetError> {
        let (inputs, labels) = (inputs.into(), labels.into());
        let first = inputs.first().ok_or(DatasetError::Nothing)?.shape();
        let count = first.dims().first().copied().unwrap_or(0);
        let number = u32::try_from(count).map_err(|_| DatasetError::TooMany(count))?;
        inputs.iter().chain(&labels).try_for_each(|array| check(first, array.shape()))?;
        let order = (0..number).collect();
        Ok(Self { inputs: inputs.into(), labels: labels.into(), weights: [].into(), order })
    }

    /// Sets the weights of the examples in the loss, f32, in the order in which the examples were
    /// given to [`Dataset::new`]. `weights` is `[N]`, for every output. For a model of one output
    /// it may be an array as in [`Batch::weights`](crate::Batch::weights), with N in place of B.
    /// Earlier weights are replaced.
    ///
    /// # Errors
    /// Fails with [`DatasetError::Counts`] if the first extent of `weights` is not N.
    pub fn sample_weights(self, weights: HostTensor) -> Result<Self, DatasetError> {
        let weights: Arc<dyn Examples> = Arc::new(weights);
        self.sample_weights_of([weights])
    }

    /// Sets the weights of examples or steps, as [`Dataset::sample_weights`], from arrays that need
    /// not be in memory: one array for all outputs, or one for each. An empty list removes the
    /// weights.
    ///
    /// # Errors
    /// Fails with [`DatasetError::Counts`] if the first extent of an array is not N.
    pub fn sample_weights_of(
        mut self,
        weights: impl Into<Vec<Arc<dyn Examples>>>,
    ) -> Result<Self, DatasetError> {
        let weights = weights.into();
        let inputs = self.inputs[0].shape();
        weights.iter().try_for_each(|array| check(inputs, array.shape()))?;
        self.weights = weights.into();
        Ok(self)
    }

    /// Sets the weight of each example in the loss by its class: `weights[k]` for class k, and 1
    /// for classes beyond the end of `weights`. The class is the label of the first output, a
    /// single number, which is rounded towards zero if it is a float. Earlier weights are replaced.
    /// Without labels nothing changes.
    ///
    /// # Errors
    /// Fails with [`DatasetError::Read`] if the labels cannot be read, and with
    /// [`DatasetError::Counts`] if an example has several labels.
    pub fn class_weights(self, weights: &[f32]) -> Result<Self, DatasetError> {
        let Some(labels) = self.labels.first() else { return Ok(self) };
        let weight = |class: usize| weights.get(class).copied().unwrap_or(1.0);
        let count = labels.shape().dims().first().copied().unwrap_or(0) as u32;
        let mut all: Vec<f32> = Vec::new();
        for which in (0..count).collect::<Vec<_>>().chunks(AT_ONCE) {
            match labels.read(which).map_err(DatasetError::Read)?.data() {
                Data::F32(classes) => all.extend(classes.iter().map(|&c| weight(c as usize))),
                Data::U32(classes) => all.extend(classes.iter().map(|&c| weight(c as usize))),
            }
        }
        let all = HostTensor::from_f32([all.len()], all);
        self.sample_weights(all.map_err(|error| DatasetError::Read(error.into()))?)
    }

    /// Returns the number of examples.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Returns true if there are no examples.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns true if examples or steps have weights.
    pub fn is_weighted(&self) -> bool {
        !self.weights.is_empty()
    }

    /// Reads the labels of all examples, in the present order: an array `[N, ..]` for each output.
    /// The list is empty if the dataset has no labels.
    ///
    /// # Errors
    /// Fails with [`DatasetError::Read`] if they cannot be read.
    pub fn labels(&self) -> Result<Vec<HostTensor>, DatasetError> {
        read(&self.labels, &self.order)
    }

    /// Iterates over the shapes `[N, ..]` of the label arrays, one for each output. N counts all
    /// examples of the arrays, also those that [`Dataset::take`], [`Dataset::range`] or
    /// [`Dataset::split`] left out.
    pub fn label_shapes(&self) -> impl Iterator<Item = &Shape> {
        self.labels.iter().map(|labels| labels.shape())
    }

    /// Keeps the first `count` examples in the present order, or all if there are fewer.
    pub fn take(mut self, count: usize) -> Self {
        self.order.truncate(count);
        self
    }

    /// Returns the examples at these positions, counted from 0 in the present order; positions
    /// beyond the end are ignored.
    pub fn range(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.order.len());
        Self { order: self.order[range.start.min(end)..end].to_vec(), ..self.clone() }
    }

    /// Shuffles the examples in an order that `seed` decides, and divides them into two datasets.
    /// The first gets the fraction `fraction`, 0 to 1, of them, rounded to the nearest number, the
    /// second the rest. Either may be empty.
    pub fn split(mut self, fraction: f64, seed: u64) -> (Self, Self) {
        Rng::new(seed, SPLIT_STREAM).shuffle(&mut self.order);
        let at = ((self.order.len() as f64 * fraction).round() as usize).min(self.order.len());
        let rest = self.order.split_off(at);
        let second = Self { order: rest, ..self.clone() };
        (self, second)
    }

    /// Returns, of each `batch` examples in a row, those with the numbers in `range`.
    pub(crate) fn part(&self, batch: usize, range: Range<usize>) -> Self {
        let within =
            |all: &[u32]| all[range.start.min(all.len())..range.end.min(all.len())].to_vec();
        let order = self.order.chunks(batch.max(1)).flat_map(within).collect();
        Self { order, ..self.clone() }
    }

    /// Returns an iterator over all examples in the present order, in batches of `size` examples. A
    /// size of 0 acts as 1. The last batch may be smaller. Without examples there is no batch.
    pub fn batches(&self, size: usize) -> Batches {
        Batches::start(self.clone(), size)
    }

    /// Returns the dataset with its examples in a random order, which depends on `seed`, `epoch`
    /// and the present order alone.
    pub fn shuffled(&self, seed: u64, epoch: u64) -> Self {
        let mut dataset = self.clone();
        Rng::new(seed, epoch).shuffle(&mut dataset.order);
        dataset
    }

    fn gather(&self, which: &[u32]) -> Result<Batch, DatasetError> {
        Ok(Batch {
            inputs: read(&self.inputs, which)?,
            labels: read(&self.labels, which)?,
            weights: read(&self.weights, which)?,
        })
    }
}

/// Examples that are read together, where more than a batch is wanted.
const AT_ONCE: usize = 4096;

fn read(arrays: &Arrays, which: &[u32]) -> Result<Vec<HostTensor>, DatasetError> {
    arrays
        .iter()
        .map(|array| array.read(which))
        .collect::<Result<_, _>>()
        .map_err(DatasetError::Read)
}

/// Both are of as many examples.
fn check(inputs: &Shape, others: &Shape) -> Result<(), DatasetError> {
    let count = inputs.dims().first();
    match count.is_some() && count == others.dims().first() {
        true => Ok(()),
        false => Err(DatasetError::Counts { inputs: inputs.clone(), others: others.clone() }),
    }
}

/// Streams below this one belong to epochs.
const SPLIT_STREAM: u64 = u64::MAX;

/// An iterator over the batches of a dataset, made by [`Dataset::batches`]. A thread of its own
/// reads the next batches while the present one is in use. After a batch that could not be read,
/// the iterator ends. Once the iterator is dropped, the thread ends after the batch that it is
/// reading.
#[derive(Debug)]
pub struct Batches {
    receiver: Receiver<Result<Batch, DatasetError>>,
}

impl Batches {
    fn start(dataset: Dataset, size: usize) -> Self {
        let (sender, receiver) = sync_channel(2);
        let to_caller = sender.clone();
        let read = move || {
            for which in dataset.order.chunks(size.max(1)) {
                let batch = dataset.gather(which);
                let failed = batch.is_err();
                // Nobody may listen any more.
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("batches".into()).spawn(read) {
            // There is room for it, and the receiver is here.
            let _ = to_caller.try_send(Err(DatasetError::Thread(error)));
        }
        Self { receiver }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: u32) -> Dataset {
        let tokens = HostTensor::from_u32([n as usize, 1], (0..n).collect()).unwrap();
        let labels = (0..n).map(|i| (i % 2) as f32).collect();
        Dataset::new([tokens], [HostTensor::from_f32([n as usize], labels).unwrap()]).unwrap()
    }

    fn tokens(batches: Batches) -> Vec<Vec<u32>> {
        batches.map(|b| b.unwrap().inputs[0].as_u32().unwrap().to_vec()).collect()
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        let data = numbers(10);
        assert_eq!(tokens(data.batches(4)).concat(), (0..10).collect::<Vec<_>>());
        assert_eq!(tokens(data.batches(4)).iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        let order = |seed, epoch| tokens(data.shuffled(seed, epoch).batches(3));
        assert_eq!(order(1, 1), order(1, 1));
        assert_ne!(order(1, 1), order(1, 2));
        assert_ne!(order(1, 1), order(2, 1));
    }

    #[test]
    fn weights_stay_with_their_examples() {
        let weigh = |data: Dataset| -> Vec<f32> {
            let batches = data.shuffled(1, 1).batches(4);
            let pairs = batches.flat_map(|b| {
                let b = b.unwrap();
                let weights = b.weights[0].as_f32().unwrap().to_vec();
                b.inputs[0].as_u32().unwrap().to_vec().into_iter().zip(weights).collect::<Vec<_>>()
            });
            let mut pairs: Vec<(u32, f32)> = pairs.collect();
            pairs.sort_by_key(|p| p.0);
            pairs.into_iter().map(|p| p.1).collect()
        };
        assert_eq!(
            weigh(numbers(5).class_weights(&[0.5, 2.0]).unwrap()),
            [0.5, 2.0, 0.5, 2.0, 0.5]
        );
        let values = vec![1.0, 2.0, 3.0, 4.0, 5.0];
        let given = HostTensor::from_f32([5], values.clone()).unwrap();
        assert_eq!(weigh(numbers(5).sample_weights(given.clone()).unwrap()), values);
        assert!(numbers(4).sample_weights(given).is_err());
    }

    #[test]
    fn a_split_loses_nothing() {
        let (a, b) = numbers(10).split(0.7, 5);
        assert_eq!((a.len(), b.len()), (7, 3));
        let mut all = [tokens(a.batches(99)), tokens(b.batches(99))].concat().concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }
}
