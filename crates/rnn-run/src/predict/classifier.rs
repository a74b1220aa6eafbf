use crate::config::Task;
use crate::error::RunError;
use crate::experiment::VOCABULARY;
use crate::run::RunFolder;
use crate::source::DatasetSource;
use anyhow::{Result, bail, ensure};
use rnn::Device;
use rnn::text_classifier::TextClassifier;
use rnn_data::text::Vocabulary;
use std::path::Path;

/// Opens the model of a finished run on reviews to classify texts. `word_index` is a file like
/// Keras's `imdb_word_index.json`; it must be given if the run does not hold the words of its
/// reviews, and only then.
///
/// # Errors
/// Fails with [`RunError::NoWords`] if the words are not known, and with [`RunError::HasWords`] if
/// the run holds them and `word_index` is given as well. Fails also if the run cannot be read or is
/// not one on reviews, `word_index` cannot be read or is damaged, or the device lacks the precision
/// of the run ([`RunError::NoHalf`]).
pub fn open_classifier(
    run: &Path,
    word_index: Option<&Path>,
    device: &dyn Device,
) -> Result<TextClassifier> {
    let (folder, config) = RunFolder::open(run)?;
    let length = match &config.task {
        Task::Builtin(task) if !matches!(task.data, DatasetSource::Movies(_)) => task.length,
        _ => bail!("{} is a run of {}, which reads no text", run.display(), config.name()),
    };
    let own = folder.vocabulary()?;
    ensure!(own.is_none() || word_index.is_none(), RunError::HasWords { run: run.to_owned() });
    let index = word_index.map(Vocabulary::read_word_index).transpose()?;
    let vocabulary = own.or(index.map(|words| words.limited(VOCABULARY as u32)));
    let vocabulary = vocabulary.ok_or_else(|| RunError::NoWords { run: run.to_owned() })?;
    let mut model = config.model()?;
    folder.load_weights(&mut model)?;
    Ok(TextClassifier::new(config.trainer(model, device)?, vocabulary, length))
}
