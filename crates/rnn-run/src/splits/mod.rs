//! The examples of a run, in sets for training, validation and test.

pub(crate) mod arrays;
mod fingerprint;
mod split;
mod tutorial;
mod weights;

pub use split::Split;
pub use tutorial::trained_videos;

use crate::config::{BuiltinTask, Config, Task};
use crate::experiment::VOCABULARY;
use crate::forecast::{self, Windows};
use crate::source::DatasetSource;
use anyhow::Result;
use rnn::nn::{Dataset, Model};
use rnn_data::text::Vocabulary;

/// The examples of a run, in sets for training, validation and test.
pub struct Splits {
    /// The words of the reviews; `None` if they are not known or the data holds no reviews.
    pub vocabulary: Option<Vocabulary>,
    /// Examples to train on: 70% of the training reviews, or 95% of the training videos. Of a
    /// user's data, the part of `x_train` that is not held out for validation.
    pub train: Dataset,
    /// Examples to validate: the rest of these reviews or videos; of a user's data `x_val`, or else
    /// the part of `x_train` that is held out.
    pub validation: Dataset,
    /// Examples to test: the first 10,000 test reviews, as in the tutorial; the videos that were
    /// not trained on; of a user's data `x_test`, or none.
    pub test: Dataset,
    /// Names of the user's arrays that are in none of the sets.
    pub unused: Vec<String>,
    /// Remarks for the user about how the data was read, such as that a large array is streamed.
    pub remarks: Vec<String>,
    /// The windows of the three sets, if they are of time series.
    pub windows: Option<[Windows; 3]>,
}

impl Splits {
    /// Returns the set that a finished model is evaluated on, and which part of the data it is: the
    /// test data, or if that is empty the validation data, or else the training data, which may be
    /// empty too.
    pub fn held_out(&self) -> (Split, &Dataset) {
        let parts = [(Split::Test, &self.test), (Split::Validation, &self.validation)];
        let found = parts.into_iter().find(|(_, set)| !set.is_empty());
        found.unwrap_or((Split::Training, &self.train))
    }

    /// Returns the windows of a set, if they are of time series.
    pub fn windows(&self, of: Split) -> Option<&Windows> {
        let [train, validation, test] = self.windows.as_ref()?;
        Some(match of {
            Split::Training => train,
            Split::Validation => validation,
            Split::Test => test,
        })
    }
}

/// Reads or computes the examples of a run, as `config` describes them, for its model. `vocabulary`
/// is the one that the run was trained with; `None` for a new run, which then gets one if the words
/// of its reviews are known.
///
/// # Errors
/// Fails if the data cannot be read, is in no supported form, or does not fit the model.
pub fn load(config: &Config, model: &Model, vocabulary: Option<Vocabulary>) -> Result<Splits> {
    let sets = match &config.task {
        Task::Custom(own) => match &own.forecast {
            Some(forecast) => forecast::splits(forecast, &own.arrays)?,
            None => arrays::splits(own, model)?,
        },
        Task::Builtin(BuiltinTask { data: DatasetSource::Movies(movies), .. }) => {
            tutorial::videos(movies)?
        }
        Task::Builtin(task) => {
            let mut remarks = vec![];
            let known = tutorial::raw_reviews(task, config.seed, vocabulary, &mut remarks)?;
            let (raw, vocabulary) = known;
            let vocabulary = vocabulary.map(|words| words.limited(VOCABULARY as u32));
            Splits { vocabulary, remarks, ..tutorial::reviews(raw, task.length, config.seed)? }
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
        remarks: sets.remarks,
        windows: sets.windows,
    })
}
