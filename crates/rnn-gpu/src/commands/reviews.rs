//! The arguments for the reviews that are trained on, and their download.

use anyhow::{Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rnn::datasets::download::Download;
use rnn::datasets::text::Columns;
use rnn_run::source::DatasetSource;
use std::path::{Path, PathBuf};

/// The arguments that say how reviews are read from text.
#[derive(clap::Args)]
pub struct TextArgs {
    /// The column of a .csv, .tsv or .jsonl file that holds the text [default: text, review or
    /// sentence]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// The column that holds the label: 0 or 1, neg or pos, negative or positive, false or true
    /// [default: label, sentiment or class]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// The words by rank, in the format of Keras's imdb_word_index.json [default: those of the
    /// reviews, the most frequent first; of imdb.npz, the file beside it]
    #[arg(long, value_name = "FILE")]
    pub word_index: Option<PathBuf>,
}

impl TextArgs {
    /// Returns the names of the columns that the arguments name.
    pub fn columns(&self) -> Columns {
        Columns { text: self.text_column.clone(), label: self.label_column.clone() }
    }

    /// Checks that the arguments apply to a source of reviews.
    ///
    /// # Errors
    /// Fails if columns are named for a source that is not text, or a word list is given for the
    /// bundled reviews or for videos.
    pub fn check(&self, source: &DatasetSource) -> Result<()> {
        ensure!(
            matches!(source, DatasetSource::Text { .. }) || self.columns() == Columns::default(),
            "--text-column and --label-column are for .csv, .tsv and .jsonl files"
        );
        ensure!(
            matches!(source, DatasetSource::Text { .. } | DatasetSource::Imdb(_))
                || self.word_index.is_none(),
            "--word-index is for reviews given with --data; {} needs none",
            source.name()
        );
        Ok(())
    }
}

/// Downloads `file` to `path`, with a progress bar on standard error.
///
/// # Errors
/// Fails if the file cannot be downloaded, is not the expected one, or cannot be written.
pub fn download(file: &Download, path: &Path) -> Result<()> {
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
