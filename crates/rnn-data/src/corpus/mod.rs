//! The bundled corpus: synthetic film reviews for machines without a network.
//!
//! A review is one to three parts joined by contrast words ("but"). Each part holds opinions among
//! Zipf-distributed filler: a sentiment word, or the opposite word after a negation ("not
//! good"). Successive parts are of opposite sentiment, and the label is that of the last part.
//! Counting words therefore says little: a classifier must read the order.
//!
//! Everything depends on the seed alone and is computed in integers, so that the corpus is the
//! same on every machine.

mod grammar;
mod vocabulary;

pub use grammar::{MAX_WORDS, MIN_WORDS};
pub use vocabulary::{VOCABULARY, text, word};

use crate::imdb::{RawReviews, Reviews};
use grammar::Writer;
use rnn_core::Rng;

/// The seed of the corpus that [`bundled`] returns.
const SEED: u64 = 2018;

/// Reviews in each half of [`bundled`], as in IMDB.
const REVIEWS: usize = 25_000;

/// Generates the bundled corpus: 25,000 reviews to train on and 25,000 to test, always the same.
/// Words are ranks from 1 on.
pub fn bundled() -> RawReviews {
    generate(SEED, REVIEWS, REVIEWS)
}

/// Generates `train` and `test` synthetic reviews in the form of IMDB, word ranks from 1 on. In
/// each of the two sets the numbers of labels differ by at most one, and their order is random;
/// `seed` decides all.
pub fn generate(seed: u64, train: usize, test: usize) -> RawReviews {
    RawReviews { train: reviews(seed, 0, train), test: reviews(seed, 1, test) }
}

fn reviews(seed: u64, stream: u64, count: usize) -> Reviews {
    let mut rng = Rng::new(seed, stream);
    let writer = Writer::new();
    let mut positive: Vec<bool> = (0..count).map(|i| i % 2 == 0).collect();
    rng.shuffle(&mut positive);
    Reviews {
        tokens: positive.iter().map(|&positive| writer.review(&mut rng, positive)).collect(),
        labels: positive.iter().map(|&positive| f32::from(u8::from(positive))).collect(),
    }
}

#[cfg(test)]
mod tests;
