//! The reaction to an error of a training.

use rnn::nn::TrainError;
use rnn_graph::DeviceError;
use std::error::Error;
use std::fmt;
use std::iter;
use std::path::PathBuf;

/// The number of times that a run continues with a new device after the old one failed.
const MAX_DEVICE_FAULTS: usize = 2;

/// The error of a training that failed and can be resumed from a checkpoint.
#[derive(Debug)]
pub struct Stopped {
    /// The error of the step.
    pub error: TrainError,
    /// Number of steps done at the checkpoint that is kept.
    pub step: u64,
    /// The folder of the run.
    pub run: PathBuf,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, step, .. } = self;
        let causes = iter::successors(Some(error as &dyn Error), |error| (*error).source());
        let causes = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        write!(f, "{causes}; the checkpoint after step {step} is kept")
    }
}

/// The message has the causes.
impl Error for Stopped {}

/// The reaction to an error of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// No remedy: the training fails.
    None,
    /// Open the device again and go on from the last checkpoint.
    Reopen,
    /// Repeat the steps up to this one to find where a number ceased to be finite; the training
    /// fails all the same.
    Explain {
        /// The number of the step.
        step: u64,
    },
}

/// The number of device faults in a run so far, which decides the reaction: after each of the first
/// two faults the device is opened again, after the third it is not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovery {
    faults: usize,
}

impl Recovery {
    /// Returns the reaction to an error of a training, and counts the error if the device was lost
    /// or ran out of memory. `ranks` is true if several ranks train together; there is then no
    /// remedy. `saved` is true if there is a checkpoint; without one, the device is not opened
    /// again.
    pub fn remedy(&mut self, error: &TrainError, ranks: bool, saved: bool) -> Remedy {
        match error {
            // The other ranks do not go back.
            _ if ranks => Remedy::None,
            TrainError::Device(error) if may_recover(error) => {
                self.faults += 1;
                match saved && self.faults <= MAX_DEVICE_FAULTS {
                    true => Remedy::Reopen,
                    false => Remedy::None,
                }
            }
            &TrainError::NotFinite { step, .. } => Remedy::Explain { step },
            _ => Remedy::None,
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {MAX_DEVICE_FAULTS}", self.faults)
    }
}

/// Returns true if a device that is opened again may succeed: one that refuses a command will not.
fn may_recover(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Lost { .. } | DeviceError::OutOfMemory { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> TrainError {
        DeviceError::Lost { device: "a GPU".into(), message: "made up".into() }.into()
    }

    #[test]
    fn a_lost_device_is_opened_twice_and_no_more() {
        let mut recovery = Recovery::default();
        let mut remedy = || recovery.remedy(&lost(), false, true);
        assert_eq!([remedy(), remedy(), remedy()], [Remedy::Reopen, Remedy::Reopen, Remedy::None]);
        assert_eq!(Recovery::default().remedy(&lost(), false, false), Remedy::None);
        assert_eq!(Recovery::default().remedy(&lost(), true, true), Remedy::None);
    }

    #[test]
    fn what_a_new_device_does_not_help_against_ends_the_training() {
        let refused = DeviceError::Refused { device: "a GPU".into(), message: "made up".into() };
        let mut recovery = Recovery::default();
        assert_eq!(recovery.remedy(&refused.into(), false, true), Remedy::None);
        assert_eq!(recovery.remedy(&TrainError::Empty, false, true), Remedy::None);
    }
}
