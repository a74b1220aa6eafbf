//! The bundled corpus: synthetic film reviews for machines without a network.
//!
//! A review has one to three parts, joined by contrast words ("but"). Each part holds opinions
//! among filler words, which are distributed by Zipf's law. An opinion is a sentiment word, or the
//! opposite word after a negation ("not good"). Successive parts are of opposite sentiment, and the
//! label of the review is the sentiment of its last part. Counts of words therefore say little: a
//! classifier must read the order.
//!
//! The corpus depends on the seed alone and is computed in integers. It is therefore the same on
//! every machine.

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

/// Returns the bundled corpus, which is always the same: 25,000 reviews for training and 25,000 for
/// testing. Words are ranks from 1 on; see [`word`].
pub fn bundled() -> RawReviews {
    generate(SEED, REVIEWS, REVIEWS)
}

/// Generates `train` synthetic reviews for training and `test` for testing. Words are ranks from 1
/// on; see [`word`]. Each of the two sets has as many positive as negative reviews, or one more
/// positive one, in random order. `seed` decides everything; the test reviews do not depend on
/// `train`.
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
