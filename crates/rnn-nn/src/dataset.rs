use crate::Batch;
use rnn_core::{HostTensor, Rng, TensorError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Examples in memory: token ids `[N, T]` and labels.
#[derive(Clone, Debug)]
pub struct Dataset {
    tokens: Arc<[u32]>,
    labels: Arc<[f32]>,
    weights: Option<Arc<[f32]>>,
    length: usize,
    rows: Vec<u32>,
}

/// Examples that do not belong together.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// Another number of labels or weights than of rows.
    #[error("{rows} rows of tokens and {labels} labels or weights")]
    Rows {
        /// Rows of tokens.
        rows: usize,
        /// Labels or weights.
        labels: usize,
    },
    /// The tokens are not integers.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Dataset {
    /// A dataset of padded sequences `[N, T]` and N labels.
    pub fn new(tokens: &HostTensor, labels: Vec<f32>) -> Result<Self, DatasetError> {
        let rows = tokens.shape().rows();
        if rows != labels.len() {
            return Err(DatasetError::Rows { rows, labels: labels.len() });
        }
        Ok(Self {
            tokens: tokens.as_u32()?.into(),
            labels: labels.into(),
            weights: None,
            length: tokens.shape().last(),
            rows: (0..rows as u32).collect(),
        })
    }

    /// How much each example counts in the loss, in the order of the rows given.
    ///
    /// # Errors
    /// If there are not as many weights as rows.
    pub fn sample_weights(mut self, weights: Vec<f32>) -> Result<Self, DatasetError> {
        if weights.len() != self.labels.len() {
            let (rows, labels) = (self.labels.len(), weights.len());
            return Err(DatasetError::Rows { rows, labels });
        }
        self.weights = Some(weights.into());
        Ok(self)
    }

    /// How much the examples of class 0, 1, .. count in the loss; those of others count 1.
    pub fn class_weights(mut self, weights: &[f32]) -> Self {
        let weight = |&label: &f32| weights.get(label as usize).copied().unwrap_or(1.0);
        self.weights = Some(self.labels.iter().map(weight).collect());
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

    /// The labels, in order.
    pub fn labels(&self) -> Vec<f32> {
        self.rows.iter().map(|&r| self.labels[r as usize]).collect()
    }

    /// The first `count` examples.
    pub fn take(mut self, count: usize) -> Self {
        self.rows.truncate(count);
        self
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

    /// All examples in the order of this seed and epoch, `size` at a time.
    pub fn shuffled_batches(&self, size: usize, seed: u64, epoch: u64) -> Batches {
        let mut dataset = self.clone();
        Rng::new(seed, epoch).shuffle(&mut dataset.rows);
        Batches::start(dataset, size)
    }

    fn gather(&self, rows: &[u32]) -> Option<Batch> {
        let mut tokens = Vec::with_capacity(rows.len() * self.length);
        for &row in rows {
            let at = row as usize * self.length;
            tokens.extend_from_slice(&self.tokens[at..at + self.length]);
        }
        let labels = rows.iter().map(|&r| self.labels[r as usize]).collect();
        let weights = self.weights.as_ref().map(|all| {
            HostTensor::from_f32([rows.len()], rows.iter().map(|&r| all[r as usize]).collect())
        });
        Some(Batch {
            weights: weights.transpose().ok()?,
            inputs: HostTensor::from_u32([rows.len(), self.length], tokens).ok()?,
            labels: HostTensor::from_f32([rows.len(), 1], labels).ok()?,
        })
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
        Dataset::new(&tokens, (0..n).map(|i| (i % 2) as f32).collect()).unwrap()
    }

    fn tokens(batches: Batches) -> Vec<Vec<u32>> {
        batches.map(|b| b.inputs.as_u32().unwrap().to_vec()).collect()
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        let data = numbers(10);
        assert_eq!(tokens(data.batches(4)).concat(), (0..10).collect::<Vec<_>>());
        assert_eq!(tokens(data.batches(4)).iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        let order = |seed, epoch| tokens(data.shuffled_batches(3, seed, epoch));
        assert_eq!(order(1, 1), order(1, 1));
        assert_ne!(order(1, 1), order(1, 2));
        assert_ne!(order(1, 1), order(2, 1));
    }

    #[test]
    fn weights_stay_with_their_examples() {
        let weigh = |data: Dataset| -> Vec<f32> {
            let batches = data.shuffled_batches(4, 1, 1);
            let pairs = batches.flat_map(|b| {
                let weights = b.weights.unwrap().as_f32().unwrap().to_vec();
                b.inputs.as_u32().unwrap().to_vec().into_iter().zip(weights).collect::<Vec<_>>()
            });
            let mut pairs: Vec<(u32, f32)> = pairs.collect();
            pairs.sort_by_key(|p| p.0);
            pairs.into_iter().map(|p| p.1).collect()
        };
        assert_eq!(weigh(numbers(5).class_weights(&[0.5, 2.0])), [0.5, 2.0, 0.5, 2.0, 0.5]);
        let given = vec![1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(weigh(numbers(5).sample_weights(given.clone()).unwrap()), given);
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
