use super::vocabulary::UNKNOWN;
use super::{TextError, TextReviews, Tokenizer, Vocabulary};
use crate::imdb::{RawReviews, Reviews};
use rnn_core::Rng;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;

/// The share of the reviews that is for testing, where they are not parted.
const TEST_SHARE: f64 = 0.2;

/// The set that a review belongs to.
#[derive(Clone, Copy)]
pub(super) enum TextSplit {
    Train,
    Test,
}

/// Reviews as they are read, their words numbered by first appearance.
pub(super) struct Collection {
    vocabulary: Option<Vocabulary>,
    tokenizer: Tokenizer,
    numbers: HashMap<String, u32>,
    reviews: RawReviews,
    repaired: usize,
}

impl Collection {
    /// Creates a collection without reviews. Words will have their ranks in `vocabulary`, or if it
    /// is `None`, ranks by frequency.
    pub fn new(vocabulary: Option<Vocabulary>) -> Self {
        let tokenizer = vocabulary.as_ref().map(|v| v.tokenizer().clone()).unwrap_or_default();
        let (numbers, reviews) = (HashMap::new(), RawReviews::default());
        Self { vocabulary, tokenizer, numbers, reviews, repaired: 0 }
    }

    /// Returns `bytes` as text. Bytes that are not UTF-8 are replaced by U+FFFD; the number of
    /// texts in which this happens is counted for [`TextReviews::repaired`].
    pub fn text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        self.repaired += usize::from(matches!(text, Cow::Owned(_)));
        text
    }

    /// Adds the review `text`, split into words, to the set `part`: as a positive one if `positive`
    /// is true, else as a negative one. A text without words is a review, too.
    pub fn push(&mut self, part: TextSplit, text: &str, positive: bool) {
        let numbers = &mut self.numbers;
        let mut number = |word: &str| {
            numbers.get(word).copied().unwrap_or_else(|| {
                let next = numbers.len() as u32;
                numbers.insert(word.to_owned(), next);
                next
            })
        };
        let reviews = match part {
            TextSplit::Train => &mut self.reviews.train,
            TextSplit::Test => &mut self.reviews.test,
        };
        reviews.tokens.push(self.tokenizer.words(text).map(|w| number(&w.word)).collect());
        reviews.labels.push(f32::from(u8::from(positive)));
    }

    /// Returns the reviews with words as ranks. If there are no test reviews, a fifth of the
    /// training reviews becomes them; `seed` decides which. `path` names the source in errors.
    ///
    /// # Errors
    /// Fails with [`TextError::Empty`] if there are no training reviews, and with
    /// [`TextError::OneClass`] if all of them have one label.
    pub fn finish(self, path: &Path, seed: u64) -> Result<TextReviews, TextError> {
        let Self { vocabulary, tokenizer, numbers, mut reviews, repaired } = self;
        both_classes(path, &reviews.train)?;
        if reviews.test.labels.is_empty() {
            reviews = parted(reviews.train, seed);
        }
        let mut words = vec![String::new(); numbers.len()];
        for (word, number) in numbers {
            words[number as usize] = word;
        }
        let vocabulary =
            vocabulary.unwrap_or_else(|| by_frequency(tokenizer, &words, &reviews.train));
        let ranks: Vec<u32> =
            words.iter().map(|word| vocabulary.rank(word).unwrap_or(UNKNOWN)).collect();
        for tokens in reviews.train.tokens.iter_mut().chain(&mut reviews.test.tokens) {
            tokens.iter_mut().for_each(|token| *token = ranks[*token as usize]);
        }
        Ok(TextReviews { reviews, vocabulary, repaired })
    }
}

fn both_classes(path: &Path, reviews: &Reviews) -> Result<(), TextError> {
    let (path, count) = (path.to_owned(), reviews.labels.len());
    match reviews.labels.iter().filter(|&&label| label > 0.5).count() {
        _ if count == 0 => Err(TextError::Empty { path }),
        0 => Err(TextError::OneClass { path, count, class: "negative" }),
        positive if positive == count => {
            Err(TextError::OneClass { path, count, class: "positive" })
        }
        _ => Ok(()),
    }
}

/// A fifth to test with, the same for the same seed; both parts in the order of reading.
fn parted(all: Reviews, seed: u64) -> RawReviews {
    let count = all.labels.len();
    let mut for_testing = vec![false; count];
    for_testing[..(count as f64 * TEST_SHARE).round() as usize].fill(true);
    Rng::new(seed, 0).shuffle(&mut for_testing);
    let mut parts = RawReviews::default();
    for ((tokens, label), testing) in all.tokens.into_iter().zip(all.labels).zip(for_testing) {
        let part = if testing { &mut parts.test } else { &mut parts.train };
        part.tokens.push(tokens);
        part.labels.push(label);
    }
    parts
}

/// The words of the training part by frequency, equally frequent ones by first appearance.
fn by_frequency(tokenizer: Tokenizer, words: &[String], train: &Reviews) -> Vocabulary {
    let mut counts = vec![0usize; words.len()];
    for &number in train.tokens.iter().flatten() {
        counts[number as usize] += 1;
    }
    let mut order: Vec<usize> = (0..words.len()).filter(|&number| counts[number] > 0).collect();
    order.sort_by_key(|&number| Reverse(counts[number]));
    Vocabulary::new(tokenizer, order.into_iter().map(|number| words[number].clone()).collect())
}
