//! Reviews, films and arrays, ready for a model.

use crate::HostTensor;
use crate::cache;
use crate::experiment::VOCABULARY;
use crate::fit;
use crate::nn::{Dataset, Model};
use crate::run::{Config, Part, Task, Tutorial};
use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rnn_core::Examples;
use rnn_data::download::Download;
use rnn_data::imdb::{LoadOptions, RawReviews, Reviews};
use rnn_data::movies::MovieOptions;
use rnn_data::text::{self, Columns, TextReviews, Tokenizer, Vocabulary};
use rnn_data::{PadOptions, corpus, pad_sequences};
use serde::{Deserialize, Serialize};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The share of the training reviews that is trained on; the rest validates.
const TRAIN_SHARE: f64 = 0.7;

/// The Large Movie Review Dataset as Keras distributes it (keras/src/datasets/imdb.py).
const IMDB: Download = Download {
    url: "https://storage.googleapis.com/tensorflow/tf-keras-datasets/imdb.npz",
    sha256: "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    bytes: 17_464_789,
};

/// Keras's word index of the same reviews.
const IMDB_WORDS: Download = Download {
    url: "https://storage.googleapis.com/tensorflow/tf-keras-datasets/imdb_word_index.json",
    sha256: "027313fe9a320280f3bf0fac5baf58c4a683cf39a7ed9c3d3d3912bde4284cf6",
    bytes: 1_641_221,
};

/// What the word index is called where it lies beside `imdb.npz`.
const WORD_INDEX: &str = "imdb_word_index.json";

/// How reviews that are text are to be read.
#[derive(Clone, Debug, clap::Args)]
pub struct TextArgs {
    /// The column of a .csv, .tsv or .jsonl file that holds the text [default: text, review or
    /// sentence]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// The column that holds the label: 0 or 1, neg or pos, negative or positive, false or true
    /// [default: label, sentiment or class]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// The words by rank, as Keras's imdb_word_index.json [default: those of the reviews, the most
    /// frequent first; of imdb.npz, the file beside it]
    #[arg(long, value_name = "FILE")]
    pub word_index: Option<PathBuf>,
}

impl TextArgs {
    /// The columns of a file.
    pub fn columns(&self) -> Columns {
        Columns { text: self.text_column.clone(), label: self.label_column.clone() }
    }

    /// Makes sure that nothing is asked for which this source does not have.
    ///
    /// # Errors
    /// If columns are named of what has none, or words of what has its own.
    pub fn check(&self, source: &Source) -> Result<()> {
        ensure!(
            matches!(source, Source::Text { .. }) || self.columns() == Columns::default(),
            "--text-column and --label-column are for .csv, .tsv and .jsonl files"
        );
        ensure!(
            matches!(source, Source::Text { .. } | Source::Imdb(_)) || self.word_index.is_none(),
            "--word-index is for reviews given with --data; {} needs none",
            source.name()
        );
        Ok(())
    }
}

/// Where the reviews come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Keras's `imdb.npz`.
    Imdb(PathBuf),
    /// Text: a folder of the Large Movie Review Dataset's layout, CSV or JSON Lines.
    Text {
        /// The folder or file.
        path: PathBuf,
        /// The columns of a file.
        columns: Columns,
    },
    /// The synthetic reviews of [`rnn_data::corpus`].
    Bundled,
    /// Films of moving squares.
    Movies(MovieOptions),
}

impl Source {
    /// The file that was asked for; else that of `RNN_GPU_IMDB`; else the one in the cache, which
    /// is downloaded if need be and if `offline` does not forbid it; else the bundled corpus. The
    /// second value says which, and why.
    pub fn find(asked: Option<PathBuf>, columns: Columns, offline: bool) -> (Self, String) {
        let given = asked.or_else(|| env::var_os("RNN_GPU_IMDB").map(PathBuf::from));
        if let Some(path) = given {
            if text::recognized(&path) {
                let text = format!("reviews in {}", path.display());
                return (Self::Text { path, columns }, text);
            }
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
    pub fn name(&self) -> String {
        match self {
            Self::Imdb(_) => "IMDB reviews".into(),
            Self::Text { path, .. } => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                format!("reviews in {}", name.to_string_lossy())
            }
            Self::Bundled => "the bundled synthetic corpus".into(),
            Self::Movies(_) => "moving squares".into(),
        }
    }

    /// How many tokens of a review, or frames of a film, a model sees unless told otherwise.
    pub fn length(&self) -> usize {
        match self {
            Self::Imdb(_) | Self::Text { .. } => crate::experiment::LENGTH,
            Self::Bundled => corpus::MAX_WORDS + 1,
            Self::Movies(movies) => movies.frames,
        }
    }
}

/// The checked file in the cache.
fn cached(offline: bool) -> Result<PathBuf> {
    let folder = cache::folder()?;
    let path = folder.join("imdb.npz");
    if IMDB.is_at(&path) {
        return Ok(path);
    }
    ensure!(!offline, "offline, and {} is not there", path.display());
    download(&IMDB, &path)?;
    // Without the words the reviews are of use all the same.
    if let Err(error) = download(&IMDB_WORDS, &folder.join(WORD_INDEX)) {
        eprintln!("{error:#}; without it, `predict --text` will want --word-index");
    }
    Ok(path)
}

fn download(file: &Download, path: &Path) -> Result<()> {
    eprintln!("downloading {} to {}", file.url, path.display());
    let bar = ProgressBar::new(file.bytes);
    let template = "{wide_bar} {bytes}/{total_bytes}, {eta} left";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let result = file.fetch(path, &mut |have| bar.set_position(have));
    bar.finish_and_clear();
    Ok(result?)
}

/// Three sets of examples.
pub struct Splits {
    /// The words of the reviews, if they are known.
    pub vocabulary: Option<Vocabulary>,
    /// 70% of the training reviews; 95% of the films to train on; of arrays what `fit.toml` says, or
    /// all of `x_train` where there is an `x_val`.
    pub train: Dataset,
    /// The rest of them.
    pub validation: Dataset,
    /// The first 10,000 test reviews, as the tutorial takes them; the films not trained on; arrays
    /// to test, if there are some.
    pub test: Dataset,
    /// The arrays of the user's that are none of these.
    pub unused: Vec<String>,
}

impl Splits {
    /// What a model is judged by: the test data; where there is none, what validated it, or else
    /// what it was trained on.
    pub fn judge(&self) -> (Part, &Dataset) {
        let parts = [(Part::Test, &self.test), (Part::Validation, &self.validation)];
        let found = parts.into_iter().find(|(_, set)| !set.is_empty());
        found.unwrap_or((Part::Training, &self.train))
    }
}

/// Reads or makes what a run is about, for its model. `vocabulary` is that of a run that has been
/// trained.
///
/// # Errors
/// If the data cannot be read, is not in one of the layouts, or does not fit the model.
pub fn load(config: &Config, model: &Model, vocabulary: Option<Vocabulary>) -> Result<Splits> {
    let sets = match &config.task {
        Task::Own(own) => fit::splits(own, model)?,
        Task::Tutorial(Tutorial { data: Source::Movies(movies), .. }) => films(movies)?,
        Task::Tutorial(task) => {
            let (raw, vocabulary) = raw_reviews(task, config.seed, vocabulary)?;
            let vocabulary = vocabulary.map(|words| words.limited(VOCABULARY as u32));
            Splits { vocabulary, ..reviews(raw, task.length, config.seed)? }
        }
    };
    let limit = config.limit.unwrap_or(usize::MAX);
    let [train, validation, test] = [sets.train, sets.validation, sets.test];
    Ok(Splits {
        train: train.take(limit),
        validation: validation.take(limit),
        test: test.take(limit),
        vocabulary: sets.vocabulary,
        unused: sets.unused,
    })
}

/// The reviews as word ranks, with the words if they are known.
fn raw_reviews(
    task: &Tutorial,
    seed: u64,
    vocabulary: Option<Vocabulary>,
) -> Result<(RawReviews, Option<Vocabulary>)> {
    let index = |path: &Path| Vocabulary::read_word_index(path);
    let known = match (vocabulary, &task.word_index) {
        (None, Some(path)) => Some(index(path)?),
        (vocabulary, _) => vocabulary,
    };
    Ok(match &task.data {
        Source::Imdb(path) => {
            let raw = RawReviews::read(path);
            let raw = raw.with_context(|| format!("cannot load {}", path.display()))?;
            let beside = Some(path.with_file_name(WORD_INDEX)).filter(|path| path.exists());
            let beside = beside.filter(|_| known.is_none()).map(|path| index(&path));
            (raw, known.or(beside.transpose()?))
        }
        Source::Text { path, columns } => {
            let TextReviews { reviews, vocabulary, repaired } =
                text::read(path, columns, known, seed)?;
            if repaired > 0 {
                eprintln!("{repaired} reviews hold bytes that are no UTF-8; they were replaced");
            }
            (reviews, Some(vocabulary))
        }
        _ => {
            let words = (1..=corpus::VOCABULARY).filter_map(corpus::word).collect();
            (corpus::bundled(), Some(Vocabulary::new(Tokenizer::default(), words)))
        }
    })
}

fn reviews(raw: RawReviews, length: usize, seed: u64) -> Result<Splits> {
    let options = LoadOptions { num_words: Some(VOCABULARY as u32), ..LoadOptions::default() };
    let (train, test) = raw.load(&options);
    let dataset = |reviews: Reviews| -> Result<Dataset> {
        let pad = PadOptions { maxlen: Some(length), ..PadOptions::default() };
        let labels = HostTensor::from_f32([reviews.labels.len()], reviews.labels)?;
        Ok(Dataset::new([pad_sequences(&reviews.tokens, &pad)?], [labels])?)
    };
    let (train, validation) = dataset(train)?.split(TRAIN_SHARE, seed);
    let test = dataset(test)?.take(10_000);
    Ok(Splits { train, validation, test, vocabulary: None, unused: vec![] })
}

/// How many of so many films are trained on: of the tutorial's 1,200 the first 1,000.
pub fn trained_films(count: usize) -> usize {
    count * 5 / 6
}

/// As Keras's validation_split of 0.05 does, the last of the films to train on validate.
fn films(movies: &MovieOptions) -> Result<Splits> {
    let (noisy, shifted): (Arc<dyn Examples>, Arc<dyn Examples>) =
        (Arc::new(movies.noisy()), Arc::new(movies.shifted()));
    let all = Dataset::of([noisy], [shifted])?;
    let trained = trained_films(movies.count);
    let validated = trained.div_ceil(20);
    let split = trained - validated;
    Ok(Splits {
        train: all.range(0..split),
        validation: all.range(split..trained),
        test: all.range(trained..movies.count),
        vocabulary: None,
        unused: vec![],
    })
}
