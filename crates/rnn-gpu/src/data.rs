//! Reviews and films, ready for a model.

use crate::HostTensor;
use crate::experiment::VOCABULARY;
use crate::nn::Dataset;
use crate::run::Config;
use anyhow::{Context, Result};
use etcetera::BaseStrategy as _;
use indicatif::{ProgressBar, ProgressStyle};
use rnn_data::download::Download;
use rnn_data::imdb::{LoadOptions, RawReviews, Reviews};
use rnn_data::movies::MovieOptions;
use rnn_data::{PadOptions, corpus, pad_sequences};
use serde::{Deserialize, Serialize};
use std::env;
use std::path::{Path, PathBuf};

/// The share of the training reviews that is trained on; the rest validates.
const TRAIN_SHARE: f64 = 0.7;

/// The Large Movie Review Dataset as Keras distributes it (keras/src/datasets/imdb.py).
const IMDB: Download = Download {
    url: "https://storage.googleapis.com/tensorflow/tf-keras-datasets/imdb.npz",
    sha256: "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    bytes: 17_464_789,
};

/// Where the reviews come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Keras's `imdb.npz`.
    Imdb(PathBuf),
    /// The synthetic reviews of [`rnn_data::corpus`].
    Bundled,
    /// Films of moving squares.
    Movies(MovieOptions),
}

impl Source {
    /// The file that was asked for; else that of `RNN_GPU_IMDB`; else the one in the cache, which
    /// is downloaded if need be and if `offline` does not forbid it; else the bundled corpus. The
    /// second value says which, and why.
    pub fn find(asked: Option<PathBuf>, offline: bool) -> (Self, String) {
        let given = asked.or_else(|| env::var_os("RNN_GPU_IMDB").map(PathBuf::from));
        if let Some(path) = given {
            let text = format!("IMDB reviews in {}", path.display());
            return (Self::Imdb(path), text);
        }
        match cached(offline) {
            Ok(path) => {
                let text = format!("IMDB reviews in {}", path.display());
                (Self::Imdb(path), text)
            }
            Err(reason) => {
                let text = format!(
                    "the bundled corpus of synthetic reviews, whose figures say nothing about \
                     IMDB's: {reason:#}; give --data imdb.npz for real reviews"
                );
                (Self::Bundled, text)
            }
        }
    }

    /// What results are labelled with.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Imdb(_) => "IMDB reviews",
            Self::Bundled => "the bundled synthetic corpus",
            Self::Movies(_) => "moving squares",
        }
    }

    /// How many tokens of a review, or frames of a film, a model sees unless told otherwise.
    pub fn length(&self) -> usize {
        match self {
            Self::Imdb(_) => crate::experiment::LENGTH,
            Self::Bundled => corpus::MAX_WORDS + 1,
            Self::Movies(movies) => movies.frames,
        }
    }
}

/// The checked file in the cache.
fn cached(offline: bool) -> Result<PathBuf> {
    let folder = match env::var_os("RNN_GPU_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => etcetera::choose_base_strategy()
            .context("there is no home directory to keep a download in")?
            .cache_dir()
            .join("rnn-gpu"),
    };
    let path = folder.join("imdb.npz");
    if IMDB.is_at(&path) {
        return Ok(path);
    }
    anyhow::ensure!(!offline, "offline, and {} is not there", path.display());
    download(&path)?;
    Ok(path)
}

fn download(path: &Path) -> Result<()> {
    eprintln!("downloading {} to {}", IMDB.url, path.display());
    let bar = ProgressBar::new(IMDB.bytes);
    let template = "{wide_bar} {bytes}/{total_bytes}, {eta} left";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let result = IMDB.fetch(path, &mut |have| bar.set_position(have));
    bar.finish_and_clear();
    Ok(result?)
}

/// Three sets of examples.
pub struct Splits {
    /// 70% of the training reviews; 95% of the films to train on.
    pub train: Dataset,
    /// The rest of them.
    pub validation: Dataset,
    /// The first 10,000 test reviews, as the tutorial takes them; the films not trained on.
    pub test: Dataset,
}

/// Reads or makes what a run is about.
///
/// # Errors
/// If the file cannot be read or is not in the layout of Keras's `imdb.npz`.
pub fn load(config: &Config) -> Result<Splits> {
    let (train, validation, test) = match &config.data {
        Source::Imdb(path) => {
            let raw = RawReviews::read(path);
            reviews(raw.with_context(|| format!("cannot load {}", path.display()))?, config)?
        }
        Source::Bundled => reviews(corpus::bundled(), config)?,
        Source::Movies(movies) => films(movies)?,
    };
    let limit = config.limit.unwrap_or(usize::MAX);
    Ok(Splits {
        train: train.take(limit),
        validation: validation.take(limit),
        test: test.take(limit),
    })
}

fn reviews(raw: RawReviews, config: &Config) -> Result<(Dataset, Dataset, Dataset)> {
    let options = LoadOptions { num_words: Some(VOCABULARY as u32), ..LoadOptions::default() };
    let (train, test) = raw.load(&options);
    let dataset = |reviews: Reviews| -> Result<Dataset> {
        let pad = PadOptions { maxlen: Some(config.length), ..PadOptions::default() };
        let labels = HostTensor::from_f32([reviews.labels.len()], reviews.labels)?;
        Ok(Dataset::new([pad_sequences(&reviews.tokens, &pad)?], [labels])?)
    };
    let (train, validation) = dataset(train)?.split(TRAIN_SHARE, config.seed);
    Ok((train, validation, dataset(test)?.take(10_000)))
}

/// How many of so many films are trained on: of the tutorial's 1,200 the first 1,000.
pub fn trained_films(count: usize) -> usize {
    count * 5 / 6
}

/// As Keras's validation_split of 0.05 does, the last of the films to train on validate.
fn films(movies: &MovieOptions) -> Result<(Dataset, Dataset, Dataset)> {
    let (noisy, shifted) = movies.all()?;
    let all = Dataset::new([noisy], [shifted])?;
    let trained = trained_films(movies.count);
    let validated = trained.div_ceil(20);
    let split = trained - validated;
    Ok((all.range(0..split), all.range(split..trained), all.range(trained..movies.count)))
}
