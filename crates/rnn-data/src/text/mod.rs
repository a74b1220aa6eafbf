//! Reviews as text, in the folders of the Large Movie Review Dataset, in CSV or in JSON Lines. They
//! become word ranks in the form of Keras's `imdb.npz`.

mod collect;
mod folder;
mod label;
mod lines;
mod table;
#[cfg(test)]
mod tests;
mod tokenizer;
mod vocabulary;

pub use lines::{Narrow, line_of, problem};
pub use tokenizer::{Lowercase, Tokenizer, Word};
pub use vocabulary::Vocabulary;

use crate::imdb::RawReviews;
use collect::Collection;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The longest text that is read: no review has 16 MiB.
const MAX_TEXT: u64 = 16 << 20;

/// The names of two columns in a file of reviews: the texts and the labels. Case does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Name of the column of texts; `None`, the default, for the first of `text`, `review` and
    /// `sentence` that exists.
    pub text: Option<String>,
    /// Name of the column of labels; `None`, the default, for the first of `label`, `sentiment` and
    /// `class` that exists.
    pub label: Option<String>,
}

/// Reviews that were read as text, with their vocabulary.
#[derive(Clone, Debug)]
pub struct TextReviews {
    /// The reviews, with words as ranks in the vocabulary. A word that is not in the vocabulary has
    /// the rank `u32::MAX`.
    pub reviews: RawReviews,
    /// The vocabulary that was given, or the words of the training reviews by decreasing frequency.
    /// Equally frequent words are in the order of their first appearance.
    pub vocabulary: Vocabulary,
    /// Number of texts in which bytes that are not UTF-8 were replaced by U+FFFD.
    pub repaired: usize,
}

/// The reason why reviews could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A folder does not have the layout of the Large Movie Review Dataset.
    #[error(
        "{} holds no reviews: a folder should have train/pos and train/neg, or pos and neg, with a \
         .txt file for each review", path.display()
    )]
    Layout {
        /// The folder.
        path: PathBuf,
    },
    /// There are no reviews, or none for training.
    #[error("{} holds no reviews", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// A record is damaged.
    #[error("{}, line {line}: {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The line on which the record begins, from 1 on.
        line: u64,
        /// The problem.
        problem: String,
    },
    /// The column of texts or of labels is missing.
    #[error(
        "{} has no column {wanted}, but {found}; name the {of} column", path.display()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The names that were looked for, as a phrase.
        wanted: String,
        /// The names of the columns that exist, separated by commas.
        found: String,
        /// The missing column: "text" or "label".
        of: &'static str,
    },
    /// A label stands for neither class.
    #[error(
        "{}, line {line}: the label {value:?} is none of {}", path.display(), label::NAMES
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The line on which the record begins, from 1 on.
        line: u64,
        /// The label, cut after 40 characters.
        value: String,
    },
    /// All reviews have the same label; or, where the source separates them, all reviews for
    /// training.
    #[error("all {count} reviews of {} are {class}; a classifier needs both kinds", path.display())]
    OneClass {
        /// The file or folder.
        path: PathBuf,
        /// The number of these reviews.
        count: usize,
        /// Their class: "positive" or "negative".
        class: &'static str,
    },
    /// A text is longer than 16 MiB, or a line of JSON Lines has 32 MiB or more.
    #[error(
        "{}, line {line}: a text of more than {} MiB, or a line of twice as much, is no review",
        path.display(),
        MAX_TEXT >> 20
    )]
    Long {
        /// The file.
        path: PathBuf,
        /// The line on which the record begins, from 1 on; 1 for a file of a folder.
        line: u64,
    },
    /// A file cannot be read, or is not a word index.
    #[error("{} is not a word index like Keras's imdb_word_index.json: {problem}", path.display())]
    WordIndex {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
}

/// Returns true if [`read`] accepts `path`: an existing folder, or a name that ends in `.csv`,
/// `.tsv`, `.jsonl` or `.ndjson`, in letters of any case. A file with such a name need not exist.
pub fn recognized(path: &Path) -> bool {
    path.is_dir() || table::Format::of(path).is_some()
}

/// Reads reviews from the folder or file at `path`, which should be [`recognized`], in a fixed
/// order. Only one text at a time is in memory; the reviews are kept as ranks.
///
/// `columns` are the columns of a file and have no effect for a folder. If the source does not
/// separate training from test reviews, a fifth of the reviews is for testing, and `seed` decides
/// which. If `vocabulary` is `None`, the words of the training reviews make one.
///
/// # Errors
/// Fails with [`TextError`] if the source cannot be read or has another layout, if a record is
/// damaged, a column is missing, a label stands for no class or a text is too long. Such an error
/// states the line of the record. Fails also if there are no reviews, or all have the same label;
/// where the source separates them, the training reviews count.
pub fn read(
    path: &Path,
    columns: &Columns,
    vocabulary: Option<Vocabulary>,
    seed: u64,
) -> Result<TextReviews, TextError> {
    let mut all = Collection::new(vocabulary);
    match table::Format::of(path).filter(|_| !path.is_dir()) {
        Some(format) => table::read(path, format, columns, &mut all)?,
        None => folder::read(path, &mut all)?,
    }
    all.finish(path, seed)
}

/// Adds a path to an error of the system.
fn at(path: &Path) -> impl FnOnce(io::Error) -> TextError {
    |source| TextError::Read { path: path.into(), source }
}
