//! The origins of the tutorial's reviews and videos.

use anyhow::{Context, Result};
use rnn::cache;
use rnn_data::corpus;
use rnn_data::download::Download;
use rnn_data::movies::MovieOptions;
use rnn_data::text::{self, Columns};
use serde::{Deserialize, Serialize};
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

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

/// Name of the word list in the folder of an `imdb.npz`.
pub const WORD_INDEX: &str = "imdb_word_index.json";

/// A function that downloads a file to a path. If it succeeds, the file at the path must be
/// complete.
pub type Fetch<'a> = dyn Fn(&Download, &Path) -> Result<()> + 'a;

/// The origin of the reviews or videos that a model of the tutorial is trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetSource {
    /// Keras's `imdb.npz`.
    Imdb(PathBuf),
    /// Text: a folder in the layout of the Large Movie Review Dataset, a `.csv` or a JSON Lines
    /// file.
    Text {
        /// The folder or file.
        path: PathBuf,
        /// The names of the columns of a file; a folder has none.
        columns: Columns,
    },
    /// The synthetic reviews that the program contains, [`rnn_data::corpus`].
    Bundled,
    /// Videos of moving squares, which are computed.
    Movies(MovieOptions),
}

impl DatasetSource {
    /// Finds reviews, in the first of these places:
    ///
    /// - the file or folder `asked`, if it is given;
    /// - the file or folder in the environment variable `RNN_GPU_IMDB`, if it is set;
    /// - `imdb.npz` in the cache folder; if it is not there and `fetch` is given, it is downloaded
    ///   with its word list;
    /// - the synthetic corpus that the program contains.
    ///
    /// `columns` names the columns of a file of text. Whether a path of the first two places exists
    /// is not checked.
    pub fn find(asked: Option<PathBuf>, columns: Columns, fetch: Option<&Fetch<'_>>) -> Found {
        let given = asked.or_else(|| env::var_os("RNN_GPU_IMDB").map(PathBuf::from));
        let found = |source| Found { source, no_reviews: None, no_words: None };
        if let Some(path) = given {
            return found(match text::recognized(&path) {
                true => Self::Text { path, columns },
                false => Self::Imdb(path),
            });
        }
        match cached(fetch) {
            Ok((path, no_words)) => Found { no_words, ..found(Self::Imdb(path)) },
            Err(reason) => Found { no_reviews: Some(reason), ..found(Self::Bundled) },
        }
    }

    /// Returns the name of the data, for results.
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

    /// Returns the number of tokens of a review, or of frames of a video, that a model takes by
    /// default.
    pub fn length(&self) -> usize {
        match self {
            Self::Imdb(_) | Self::Text { .. } => crate::experiment::LENGTH,
            Self::Bundled => corpus::MAX_WORDS + 1,
            Self::Movies(movies) => movies.frames,
        }
    }
}

/// The reviews that [`DatasetSource::find`] has found, and why others were not.
#[derive(Debug)]
pub struct Found {
    /// The origin of the reviews.
    pub source: DatasetSource,
    /// The reason why no real reviews were found, if `source` is the bundled corpus; else `None`.
    pub no_reviews: Option<anyhow::Error>,
    /// The reason why the word list could not be downloaded with the reviews; `None` if it was, or
    /// if nothing was downloaded.
    pub no_words: Option<anyhow::Error>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, &self.no_reviews) {
            (DatasetSource::Text { path, .. }, _) => write!(f, "reviews in {}", path.display()),
            (DatasetSource::Imdb(path), _) => write!(f, "IMDB reviews in {}", path.display()),
            (_, Some(reason)) => write!(
                f,
                "the bundled corpus of synthetic reviews, whose figures say nothing about IMDB's: \
                 {reason:#}"
            ),
            (source, None) => f.write_str(&source.name()),
        }
    }
}

/// The checked file in the cache, and why there is no list of words beside it.
fn cached(fetch: Option<&Fetch<'_>>) -> Result<(PathBuf, Option<anyhow::Error>)> {
    let folder = cache::folder()?;
    let path = folder.join("imdb.npz");
    if IMDB.is_at(&path) {
        return Ok((path, None));
    }
    let fetch = fetch.with_context(|| format!("offline, and {} is not there", path.display()))?;
    fetch(&IMDB, &path)?;
    // Without the words the reviews are of use all the same.
    let no_words = fetch(&IMDB_WORDS, &folder.join(WORD_INDEX)).err();
    Ok((path, no_words))
}
