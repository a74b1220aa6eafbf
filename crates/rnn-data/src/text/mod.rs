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

/// The columns of a table that hold text and label, where they are not called so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Else `text`, `review` or `sentence`.
    pub text: Option<String>,
    /// Else `label`, `sentiment` or `class`.
    pub label: Option<String>,
}

/// Reviews that were read.
#[derive(Clone, Debug)]
pub struct TextReviews {
    /// As ranks in the vocabulary.
    pub reviews: RawReviews,
    /// The one that was given, or that of the training part: the most frequent word first, of
    /// equally frequent ones the one that was read first.
    pub vocabulary: Vocabulary,
    /// Texts in which bytes that are no UTF-8 were replaced.
    pub repaired: usize,
}

/// Why reviews could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The disk.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system reported.
        source: io::Error,
    },
    /// A folder of another layout.
    #[error(
        "{} holds no reviews: a folder should have train/pos and train/neg, or pos and neg, with a \
         .txt file for each review", path.display()
    )]
    Layout {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing to read.
    #[error("{} holds no reviews", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A record that is damaged.
    #[error("{}, line {line}: {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Where it begins.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// No column of that name.
    #[error(
        "{} has no column {wanted}, but {found}; name the {of} column", path.display()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The names looked for.
        wanted: String,
        /// Those that there are.
        found: String,
        /// What the column holds: text or label.
        of: &'static str,
    },
    /// A label of neither class.
    #[error(
        "{}, line {line}: the label {value:?} is none of {}", path.display(), label::NAMES
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        line: u64,
        /// What stands there.
        value: String,
    },
    /// Nothing to tell apart.
    #[error("all {count} reviews of {} are {class}; a classifier needs both kinds", path.display())]
    OneClass {
        /// The file or folder.
        path: PathBuf,
        /// How many there are.
        count: usize,
        /// The class of all.
        class: &'static str,
    },
    /// A text beyond the limit.
    #[error(
        "{}, line {line}: a text of more than {} MiB is no review", path.display(), MAX_TEXT >> 20
    )]
    Long {
        /// The file.
        path: PathBuf,
        /// Where it begins.
        line: u64,
    },
    /// A word index that is none.
    #[error("{} is not a word index like Keras's imdb_word_index.json: {problem}", path.display())]
    WordIndex {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Whether a path is read by [`read`]: a folder, or a file whose name ends in .csv, .tsv, .jsonl
/// or .ndjson.
pub fn recognized(path: &Path) -> bool {
    path.is_dir() || table::Format::of(path).is_some()
}

/// Reads reviews in a fixed order. Where they are not parted into those to train on and those to
/// test, `seed` decides which fifth is for testing. Without a vocabulary one is made of the words
/// of the training part. Texts are held one at a time, all others as ranks.
///
/// # Errors
/// [`TextError`] says which line of which file is wrong, and what to do.
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

/// What the system reported of a path.
fn at(path: &Path) -> impl FnOnce(io::Error) -> TextError {
    |source| TextError::Read { path: path.into(), source }
}
