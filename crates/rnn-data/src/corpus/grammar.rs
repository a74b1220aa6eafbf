//! The grammar of synthetic reviews.

use super::vocabulary::{
    CONTRAST_RANKS, FILLERS, NEGATION_RANKS, NEGATIVE_RANKS, POSITIVE_RANKS, filler_rank,
};
use rnn_core::Rng;
use std::ops::Range;

/// The smallest number of words in a generated review.
pub const MIN_WORDS: usize = 20;
/// The largest number of words in a generated review.
pub const MAX_WORDS: usize = 200;

/// Reviews in 100 that turn once, and that turn twice; the rest is of one opinion throughout.
const TURNS_ONCE: u32 = 30;
const TURNS_TWICE: u32 = 10;
/// The shortest part between two turns, and the longest last part of a review that turns.
const MIN_PART: u32 = 5;
const MAX_LAST_PART: u32 = 60;
/// One opinion per this many words, on average, and at least one per part.
const WORDS_PER_OPINION: u32 = 5;
/// Opinions in 100 that are put as the negation of their opposite.
const NEGATED: u32 = 20;

/// Writes reviews; holds the distribution of the filler words.
pub(super) struct Writer {
    /// Cumulative weights.
    fillers: Vec<u32>,
}

impl Writer {
    /// Creates the grammar: prepares the tables of words from which reviews are drawn.
    pub fn new() -> Self {
        // Zipf's law: the weight of a word is inverse to its rank.
        let weights = (0..FILLERS).scan(0, |sum, i| {
            *sum += (1 << 20) / (i + 3);
            Some(*sum)
        });
        Self { fillers: weights.collect() }
    }

    /// Draws one review from `rng`, a positive one if `positive` is true and a negative one
    /// otherwise, and returns its words as ranks, from 1 on. It has [`MIN_WORDS`] to [`MAX_WORDS`]
    /// words.
    pub fn review(&self, rng: &mut Rng, positive: bool) -> Vec<u32> {
        let len = MIN_WORDS as u32 + rng.below((MAX_WORDS - MIN_WORDS) as u32 + 1);
        let turns = match rng.below(100) {
            draw if draw < TURNS_TWICE => 2,
            draw if draw < TURNS_TWICE + TURNS_ONCE => 1,
            _ => 0,
        };
        let mut review = Vec::with_capacity(len as usize);
        let mut left = len;
        for turns_left in (1..=turns).rev() {
            // What this part may take, if every later one gets a contrast word and its minimum.
            let room = left - turns_left * (MIN_PART + 1);
            let part = if turns_left == 1 {
                left - 1 - (MIN_PART + rng.below(room.min(MAX_LAST_PART) - MIN_PART + 1))
            } else {
                MIN_PART + rng.below(room - MIN_PART + 1)
            };
            self.part(rng, &mut review, part, positive == (turns_left % 2 == 0));
            review.push(pick(rng, CONTRAST_RANKS));
            left -= part + 1;
        }
        self.part(rng, &mut review, left, positive);
        review
    }

    /// Appends `len` words of one sentiment.
    fn part(&self, rng: &mut Rng, review: &mut Vec<u32>, len: u32, positive: bool) {
        let opinions = (len / WORDS_PER_OPINION).max(1);
        let end = review.len() + len as usize;
        for i in 0..opinions {
            // Each opinion lies somewhere in its own share of the part.
            let share = len / opinions + u32::from(i < len % opinions);
            let negated = rng.below(100) < NEGATED;
            let before = rng.below(share - u32::from(negated));
            self.fill(rng, review, before);
            if negated {
                review.push(pick(rng, NEGATION_RANKS));
            }
            let praise = positive != negated;
            review.push(pick(rng, if praise { POSITIVE_RANKS } else { NEGATIVE_RANKS }));
            self.fill(rng, review, share - before - 1 - u32::from(negated));
        }
        debug_assert_eq!(review.len(), end);
    }

    fn fill(&self, rng: &mut Rng, review: &mut Vec<u32>, count: u32) {
        let total = self.fillers.last().copied().unwrap_or(1);
        review.extend((0..count).map(|_| {
            let draw = rng.below(total);
            filler_rank(self.fillers.partition_point(|&sum| sum <= draw) as u32)
        }));
    }
}

fn pick(rng: &mut Rng, ranks: Range<u32>) -> u32 {
    ranks.start + rng.below(ranks.end - ranks.start)
}
