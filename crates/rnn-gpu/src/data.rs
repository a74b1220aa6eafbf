//! Reviews, ready for a model.

use crate::experiment::VOCABULARY;
use anyhow::{Context, Result};
use rnn_data::imdb::{LoadOptions, RawReviews, Reviews};
use rnn_data::{Dataset, PadOptions, pad_sequences};
use std::path::Path;

/// The share of the training reviews that is trained on; the rest validates.
const TRAIN_SHARE: f64 = 0.7;

/// Three sets of padded reviews.
pub struct Splits {
    /// 70% of the training reviews.
    pub train: Dataset,
    /// The other 30%.
    pub validation: Dataset,
    /// The first 10,000 test reviews, as the tutorial takes them.
    pub test: Dataset,
}

/// Reads `imdb.npz`; `limit` keeps only so many reviews of each set.
///
/// # Errors
/// If the file cannot be read or is not in the layout of Keras's `imdb.npz`.
pub fn load(path: &Path, length: usize, seed: u64, limit: Option<usize>) -> Result<Splits> {
    let raw = RawReviews::read(path).with_context(|| format!("cannot load {}", path.display()))?;
    let options = LoadOptions { num_words: Some(VOCABULARY as u32), ..LoadOptions::default() };
    let (train, test) = raw.load(&options);
    let dataset = |reviews: Reviews| -> Result<Dataset> {
        let pad = PadOptions { maxlen: Some(length), ..PadOptions::default() };
        Ok(Dataset::new(&pad_sequences(&reviews.tokens, &pad)?, reviews.labels)?)
    };
    let (train, validation) = dataset(train)?.split(TRAIN_SHARE, seed);
    let test = dataset(test)?.take(10_000);
    let limit = limit.unwrap_or(usize::MAX);
    Ok(Splits {
        train: train.take(limit),
        validation: validation.take(limit),
        test: test.take(limit),
    })
}
