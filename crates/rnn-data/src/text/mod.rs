//! Reviews as text: the folders of the Large Movie Review Dataset, CSV and JSON Lines. They become
//! word ranks in the form of Keras's `imdb.npz`.

mod collect;
mod folder;
mod label;
mod lines;
mod table;
#[cfg(test)]
mod tests;
mod tokenizer;
mod vocabulary;

pub use lines::{line_of, problem};
pub use tokenizer::{Lowercase, Tokenizer, Word};
pub use vocabulary::Vocabulary;

use crate::imdb::RawReviews;
use collect::Collection;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The longest text that is read: no review has 16 MiB.
const MAX_TEXT: u64 = 16 << 20;

/// The names of the columns of a file of reviews: that of the texts and that of the labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Name of the column of texts; `None`, the default, for `text`, `review` or `sentence`.
    pub text: Option<String>,
    /// Name of the column of labels; `None`, the default, for `label`, `sentiment` or `class`.
    pub label: Option<String>,
}

/// Reviews that were read from text, with their vocabulary.
#[derive(Clone, Debug)]
pub struct TextReviews {
    /// The reviews as ranks in the vocabulary.
    pub reviews: RawReviews,
    /// The vocabulary that was given, or the words of the training reviews: the most frequent
    /// first, of equally frequent ones the one that was read first.
    pub vocabulary: Vocabulary,
    /// Number of texts in which bytes that are no UTF-8 were replaced.
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
    /// A folder has another layout.
    #[error(
        "{} holds no reviews: a folder should have train/pos and train/neg, or pos and neg, with a \
         .txt file for each review", path.display()
    )]
    Layout {
        /// The folder.
        path: PathBuf,
    },
    /// There is no review.
    #[error("{} holds no reviews", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A record is damaged.
    #[error("{}, line {line}: {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The line on which it begins, from 1 on.
        line: u64,
        /// The problem.
        problem: String,
    },
    /// There is no column of that name.
    #[error(
        "{} has no column {wanted}, but {found}; name the {of} column", path.display()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The names looked for.
        wanted: String,
        /// The names of the columns that exist, in words.
        found: String,
        /// The contents of the column: "text" or "label".
        of: &'static str,
    },
    /// A label belongs to neither class.
    #[error(
        "{}, line {line}: the label {value:?} is none of {}", path.display(), label::NAMES
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The line on which the record begins, from 1 on.
        line: u64,
        /// The label.
        value: String,
    },
    /// All reviews have the same label.
    #[error("all {count} reviews of {} are {class}; a classifier needs both kinds", path.display())]
    OneClass {
        /// The file or folder.
        path: PathBuf,
        /// The number of reviews.
        count: usize,
        /// The class of all.
        class: &'static str,
    },
    /// A text is longer than the limit.
    #[error(
        "{}, line {line}: a text of more than {} MiB is no review", path.display(), MAX_TEXT >> 20
    )]
    Long {
        /// The file.
        path: PathBuf,
        /// The line on which it begins, from 1 on.
        line: u64,
    },
    /// A file is no word index.
    #[error("{} is not a word index like Keras's imdb_word_index.json: {problem}", path.display())]
    WordIndex {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
}

/// Returns true if [`read`] reads the path: a folder, or a file whose name ends in .csv, .tsv,
/// .jsonl or .ndjson, in letters of any case. A file need not exist.
pub fn recognized(path: &Path) -> bool {
    path.is_dir() || table::Format::of(path).is_some()
}

/// Reads reviews from a folder or a file ([`recognized`]) in a fixed order; `columns` are those of
/// a file. If the source does not separate training from test reviews, `seed` decides which fifth
/// is for testing. If `vocabulary` is `None`, one is made of the words of the training reviews.
/// Texts are held in memory one at a time, the reviews as ranks.
///
/// # Errors
/// Fails with [`TextError`], which names the line of the file, if the source cannot be read or has
/// another layout, lacks a column, holds a label that is none or a text that is too long, or does
/// not hold reviews of both labels.
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
