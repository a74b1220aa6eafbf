use crate::Batch;
use rnn_core::{Data, HostTensor, Rng, Shape};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Examples in memory: for each input of a model what it is fed `[N, ..]`, for each output the
/// labels `[N, ..]`.
#[derive(Clone, Debug)]
pub struct Dataset {
    inputs: Arc<[HostTensor]>,
    labels: Arc<[HostTensor]>,
    weights: Option<Arc<HostTensor>>,
    rows: Vec<u32>,
}

/// Examples that do not belong together.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// No array for any input.
    #[error("a data set needs an array for each input of the model")]
    Nothing,
    /// Another number of labels or weights than of inputs.
    #[error("inputs {inputs} are not of as many examples as labels or weights {others}")]
    Rows {
        /// The shape of the inputs.
        inputs: Shape,
        /// That of labels or weights.
        others: Shape,
    },
}

impl Dataset {
    /// A dataset of N examples: an array for each input of the model, and labels for each output,
    /// which are numbers, rows of numbers, or classes (u32).
    ///
    /// # Errors
    /// If the arrays are not of as many examples.
    pub fn new(
        inputs: impl Into<Vec<HostTensor>>,
        labels: impl Into<Vec<HostTensor>>,
    ) -> Result<Self, DatasetError> {
        let (inputs, labels) = (inputs.into(), labels.into());
        let first = inputs.first().ok_or(DatasetError::Nothing)?;
        let count = first.shape().dims().first().copied().unwrap_or(0);
        inputs.iter().chain(&labels).try_for_each(|array| check(first, array))?;
        Ok(Self {
            inputs: inputs.into(),
            labels: labels.into(),
            weights: None,
            rows: (0..count as u32).collect(),
        })
    }

    /// How much each example counts in the loss, `[N]`, in the order of the inputs given.
    ///
    /// # Errors
    /// If there are not as many weights as inputs.
    pub fn sample_weights(mut self, weights: HostTensor) -> Result<Self, DatasetError> {
        check(&self.inputs[0], &weights)?;
        self.weights = Some(weights.into());
        Ok(self)
    }

    /// How much the examples of class 0, 1, .. of the first labels count in the loss; those of
    /// others count 1.
    pub fn class_weights(mut self, weights: &[f32]) -> Self {
        let weight = |class: usize| weights.get(class).copied().unwrap_or(1.0);
        let all: Vec<f32> = match self.labels.first().map(HostTensor::data) {
            Some(Data::F32(classes)) => classes.iter().map(|&c| weight(c as usize)).collect(),
            Some(Data::U32(classes)) => classes.iter().map(|&c| weight(c as usize)).collect(),
            None => return self,
        };
        self.weights = HostTensor::from_f32([all.len()], all).ok().map(Into::into);
        self
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A number that tells this data set from others, by what some of its examples are: FNV-1a
    /// over up to 64 of them.
    pub fn fingerprint(&self) -> u64 {
        let some = self.rows.iter().step_by(self.rows.len().div_ceil(64).max(1));
        let batch = self.gather(&some.copied().collect::<Vec<_>>());
        let arrays = batch.iter().flat_map(|b| b.inputs.iter().chain(&b.labels).chain(&b.weights));
        let bytes = arrays.flat_map(|array| array.as_bytes()).copied();
        let count = (self.rows.len() as u64).to_le_bytes();
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        count.into_iter().chain(bytes).fold(0xcbf2_9ce4_8422_2325, step)
    }

    /// The labels of each output, in order.
    pub fn labels(&self) -> Vec<HostTensor> {
        self.labels.iter().filter_map(|labels| labels.rows(&self.rows)).collect()
    }

    /// The first `count` examples.
    pub fn take(mut self, count: usize) -> Self {
        self.rows.truncate(count);
        self
    }

    /// Some of the examples, by their number; those that there are.
    pub fn range(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.rows.len());
        Self { rows: self.rows[range.start.min(end)..end].to_vec(), ..self.clone() }
    }

    /// Shuffles and divides: the first part gets `fraction` of the examples.
    pub fn split(mut self, fraction: f64, seed: u64) -> (Self, Self) {
        Rng::new(seed, SPLIT_STREAM).shuffle(&mut self.rows);
        let at = ((self.rows.len() as f64 * fraction).round() as usize).min(self.rows.len());
        let rest = self.rows.split_off(at);
        let second = Self { rows: rest, ..self.clone() };
        (self, second)
    }

    /// All examples in order, `size` at a time.
    pub fn batches(&self, size: usize) -> Batches {
        Batches::start(self.clone(), size)
    }

    /// All examples in the order of this seed and epoch.
    pub fn shuffled(&self, seed: u64, epoch: u64) -> Self {
        let mut dataset = self.clone();
        Rng::new(seed, epoch).shuffle(&mut dataset.rows);
        dataset
    }

    fn gather(&self, rows: &[u32]) -> Option<Batch> {
        Some(Batch {
            inputs: self.inputs.iter().map(|x| x.rows(rows)).collect::<Option<_>>()?,
            labels: self.labels.iter().map(|x| x.rows(rows)).collect::<Option<_>>()?,
            weights: self.weights.as_ref().map_or(Some(None), |w| w.rows(rows).map(Some))?,
        })
    }
}

/// Both are of as many examples.
fn check(inputs: &HostTensor, others: &HostTensor) -> Result<(), DatasetError> {
    let count = inputs.shape().dims().first();
    match count.is_some() && count == others.shape().dims().first() {
        true => Ok(()),
        false => {
            let (inputs, others) = (inputs.shape().clone(), others.shape().clone());
            Err(DatasetError::Rows { inputs, others })
        }
    }
}

/// Streams below this one belong to epochs.
const SPLIT_STREAM: u64 = u64::MAX;

/// Batches prepared on another thread, two ahead. The last may be smaller. Dropping it ends the thread.
#[derive(Debug)]
pub struct Batches {
    receiver: Receiver<Batch>,
}

impl Batches {
    fn start(dataset: Dataset, size: usize) -> Self {
        let (sender, receiver) = sync_channel(2);
        thread::spawn(move || {
            let batches = dataset.rows.chunks(size.max(1)).map_while(|rows| dataset.gather(rows));
            for batch in batches {
                // Nobody listens any more.
                if sender.send(batch).is_err() {
                    return;
                }
            }
        });
        Self { receiver }
    }
}

impl Iterator for Batches {
    type Item = Batch;

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
        batches.map(|b| b.inputs[0].as_u32().unwrap().to_vec()).collect()
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
                let weights = b.weights.unwrap().as_f32().unwrap().to_vec();
                b.inputs[0].as_u32().unwrap().to_vec().into_iter().zip(weights).collect::<Vec<_>>()
            });
            let mut pairs: Vec<(u32, f32)> = pairs.collect();
            pairs.sort_by_key(|p| p.0);
            pairs.into_iter().map(|p| p.1).collect()
        };
        assert_eq!(weigh(numbers(5).class_weights(&[0.5, 2.0])), [0.5, 2.0, 0.5, 2.0, 0.5]);
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
