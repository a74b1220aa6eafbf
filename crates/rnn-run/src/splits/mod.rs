//! The examples of a run: those to train on, to validate and to test.

pub(crate) mod arrays;
mod split;
mod tutorial;
mod weights;

pub use split::Split;
pub use tutorial::trained_videos;

use crate::config::{BuiltinTask, Config, Task};
use crate::experiment::VOCABULARY;
use crate::source::DatasetSource;
use anyhow::Result;
use rnn::nn::{Dataset, Model};
use rnn_data::text::Vocabulary;

/// The examples of a run in three sets: to train on, to validate and to test.
pub struct Splits {
    /// The words of the reviews; `None` if they are not known or the data holds no reviews.
    pub vocabulary: Option<Vocabulary>,
    /// Examples to train on: 70% of the training reviews; 95% of the training videos; of the user's
    /// arrays the fraction that `fit.toml` leaves, or all of `x_train` if there is an `x_val`.
    pub train: Dataset,
    /// Examples to validate: the rest of those, or `x_val`.
    pub validation: Dataset,
    /// Examples to test: the first 10,000 test reviews, as the tutorial has it; the videos not
    /// trained on; `x_test`, or none.
    pub test: Dataset,
    /// Names of the user's arrays that belong to none of these.
    pub unused: Vec<String>,
    /// Remarks for the user about how the data was read, such as that a large array is streamed.
    pub remarks: Vec<String>,
}

impl Splits {
    /// Returns the fingerprint of the examples to train on, which tells them from others: 16
    /// hexadecimal digits.
    ///
    /// # Errors
    /// Fails if the examples cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        Ok(format!("{:016x}", self.train.fingerprint()?))
    }

    /// Returns the set that a finished model is evaluated on, with the part that it is: the test
    /// data, or else the validation data, or else the training data, which may be empty.
    pub fn held_out(&self) -> (Split, &Dataset) {
        let parts = [(Split::Test, &self.test), (Split::Validation, &self.validation)];
        let found = parts.into_iter().find(|(_, set)| !set.is_empty());
        found.unwrap_or((Split::Training, &self.train))
    }
}

/// Reads or computes the examples of a run for its model, as `config` describes them. `vocabulary`
/// is that of a run that has been trained; with `None`, as for a new run, one is made if the data
/// allows it.
///
/// # Errors
/// Fails if the data cannot be read, is not in one of the layouts, or does not fit the model.
pub fn load(config: &Config, model: &Model, vocabulary: Option<Vocabulary>) -> Result<Splits> {
    let sets = match &config.task {
        Task::Custom(own) => arrays::splits(own, model)?,
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
    })
}
