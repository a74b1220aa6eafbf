//! Stateful models, which keep their states from batch to batch: every batch must have the same
//! number of rows.

use super::options::DEFAULT_BATCH;
use crate::error::RunError;
use anyhow::{Result, ensure};
use rnn::model_file::ModelFile;
use rnn::nn::{Architecture, Model};

/// Whether a model is stateful, and the batch size that its description fixes. The layers of a
/// stateful model keep one state for each row, so every batch must have the same number of rows.
#[derive(Clone, Copy, Debug)]
pub struct States {
    stateful: bool,
    fixed: Option<usize>,
}

impl States {
    /// Returns whether `model` is stateful, and the batch size that `architecture` fixes, if it
    /// does.
    ///
    /// # Errors
    /// Fails if the layers do not fit together.
    pub fn of(model: &Model, architecture: &Architecture) -> Result<Self> {
        Ok(Self { stateful: model.is_stateful()?, fixed: architecture.fixed_batch() })
    }

    /// Returns true if the model is stateful. The order of the examples then matters.
    pub fn kept(self) -> bool {
        self.stateful
    }

    /// Returns the batch size: `asked` if it is given, else the one that the description of a
    /// stateful model fixes, else 32.
    pub fn batch(self, asked: Option<usize>) -> usize {
        let fixed = self.fixed.filter(|_| self.stateful);
        asked.or(fixed).unwrap_or(DEFAULT_BATCH)
    }

    /// Checks that a stateful model gets batches of one size only, and of the size that its
    /// description fixes, if it does. Each of `sets` is the purpose of a set of examples, in words,
    /// and their number; sets are divided into batches of `batch` examples. Any batch size suits a
    /// model that is not stateful.
    ///
    /// # Errors
    /// Fails with [`RunError::StateRows`] if a batch would have another size.
    ///
    /// # Panics
    /// Panics if the model is stateful, `batch` is 0 and a set has examples.
    pub fn check(self, batch: usize, sets: &[(&str, usize)]) -> Result<()> {
        if !self.stateful {
            return Ok(());
        }
        let mut wanted = self.fixed;
        for &(purpose, count) in sets.iter().filter(|(_, count)| *count > 0) {
            let rest = count % batch;
            let sizes = [(count >= batch).then_some(batch), (rest > 0).then_some(rest)];
            for size in sizes.into_iter().flatten() {
                let rows = *wanted.get_or_insert(size);
                ensure!(
                    size == rows,
                    RunError::StateRows { rows, count, purpose: purpose.to_owned(), batch, size }
                );
            }
        }
        Ok(())
    }
}

/// Returns the batch size in which a trained model takes `examples` examples: `asked` if it is
/// given, else that of [`States::batch`].
///
/// # Errors
/// Fails as [`States::of`] and [`States::check`].
///
/// # Panics
/// Panics as [`States::check`].
pub fn batch_for(
    file: &ModelFile,
    model: &Model,
    asked: Option<usize>,
    examples: usize,
) -> Result<usize> {
    let states = States::of(model, &file.architecture)?;
    let batch = states.batch(asked);
    states.check(batch, &[("given", examples)])?;
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_of_a_stateful_model_has_the_same_rows() {
        let states = |fixed| States { stateful: true, fixed };
        let fits = |fixed, batch, sets: &[(&str, usize)]| states(fixed).check(batch, sets).is_ok();
        assert!(fits(Some(8), 64, &[("to train on", 8), ("to validate", 0)]));
        assert!(fits(Some(4), 4, &[("to train on", 12), ("to validate", 4)]));
        assert!(fits(None, 5, &[("to train on", 10), ("to validate", 5)]));
        assert!(!fits(None, 5, &[("to train on", 10), ("to validate", 3)]));
        assert!(!fits(None, 5, &[("to train on", 11)]));
        assert!(!fits(Some(4), 2, &[("to train on", 4)]));
        let message = states(Some(4)).check(4, &[("to validate", 10)]).unwrap_err().to_string();
        assert!(message.contains("the 10 examples to validate in batches of 4 make one of 2"));
        assert!(States { stateful: false, fixed: Some(4) }.check(3, &[("given", 10)]).is_ok());
        assert_eq!(states(Some(4)).batch(None), 4);
        assert_eq!(States { stateful: false, fixed: Some(4) }.batch(None), DEFAULT_BATCH);
    }
}
