//! The reviews and videos of the tutorial's models.

use super::Splits;
use crate::config::BuiltinTask;
use crate::experiment::VOCABULARY;
use crate::run::contents::exists;
use crate::source::{DatasetSource, WORD_INDEX};
use anyhow::{Context, Result};
use rnn::HostTensor;
use rnn::nn::Dataset;
use rnn_core::Examples;
use rnn_data::imdb::{LoadOptions, RawReviews, Reviews};
use rnn_data::movies::MovieOptions;
use rnn_data::text::{self, TextReviews, Tokenizer, Vocabulary};
use rnn_data::{PadOptions, corpus, pad_sequences};
use std::path::Path;
use std::sync::Arc;

/// The share of the training reviews that is trained on; the rest validates.
const TRAIN_SHARE: f64 = 0.7;

/// The reviews as word ranks, with the words if they are known.
pub(super) fn raw_reviews(
    task: &BuiltinTask,
    seed: u64,
    vocabulary: Option<Vocabulary>,
    remarks: &mut Vec<String>,
) -> Result<(RawReviews, Option<Vocabulary>)> {
    let index = |path: &Path| Vocabulary::read_word_index(path);
    let known = match (vocabulary, &task.word_index) {
        (None, Some(path)) => Some(index(path)?),
        (vocabulary, _) => vocabulary,
    };
    Ok(match &task.data {
        DatasetSource::Imdb(path) => {
            let raw = RawReviews::read(path);
            let raw = raw.with_context(|| format!("cannot load {}", path.display()))?;
            let beside = path.with_file_name(WORD_INDEX);
            let known = match known {
                None if exists(&beside)? => Some(index(&beside)?),
                known => known,
            };
            (raw, known)
        }
        DatasetSource::Text { path, columns } => {
            let TextReviews { reviews, vocabulary, repaired } =
                text::read(path, columns, known, seed)?;
            if repaired > 0 {
                remarks.push(format!(
                    "{repaired} reviews hold bytes that are no UTF-8; they were replaced"
                ));
            }
            (reviews, Some(vocabulary))
        }
        _ => {
            let words = (1..=corpus::VOCABULARY).filter_map(corpus::word).collect();
            (corpus::bundled(), Some(Vocabulary::new(Tokenizer::default(), words)))
        }
    })
}

pub(super) fn reviews(raw: RawReviews, length: usize, seed: u64) -> Result<Splits> {
    let options = LoadOptions { num_words: Some(VOCABULARY as u32), ..LoadOptions::default() };
    let (train, test) = raw.load(&options);
    let dataset = |reviews: Reviews| -> Result<Dataset> {
        let pad = PadOptions { maxlen: Some(length), ..PadOptions::default() };
        let labels = HostTensor::from_f32([reviews.labels.len()], reviews.labels)?;
        Ok(Dataset::new([pad_sequences(&reviews.tokens, &pad)?], [labels])?)
    };
    let (train, validation) = dataset(train)?.split(TRAIN_SHARE, seed);
    let test = dataset(test)?.take(10_000);
    Ok(Splits {
        train,
        validation,
        test,
        vocabulary: None,
        unused: vec![],
        remarks: vec![],
        windows: None,
    })
}

/// Returns the number of the first of `count` videos that are used for training and validation:
/// five sixths, rounded down. Of the tutorial's 1,200 videos these are 1,000.
pub fn trained_videos(count: usize) -> usize {
    count * 5 / 6
}

/// As Keras's validation_split of 0.05 does, the last of the training videos validate.
pub(super) fn videos(movies: &MovieOptions) -> Result<Splits> {
    let (noisy, shifted): (Arc<dyn Examples>, Arc<dyn Examples>) =
        (Arc::new(movies.noisy()), Arc::new(movies.shifted()));
    let all = Dataset::of([noisy], [shifted])?;
    let trained = trained_videos(movies.count);
    let validated = trained.div_ceil(20);
    let split = trained - validated;
    Ok(Splits {
        train: all.range(0..split),
        validation: all.range(split..trained),
        test: all.range(trained..movies.count),
        vocabulary: None,
        unused: vec![],
        remarks: vec![],
        windows: None,
    })
}
