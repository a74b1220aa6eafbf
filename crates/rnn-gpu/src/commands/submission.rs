//! The argument of commands that open a device: how long a GPU may compute at a stretch.

use rnn::device;
use std::time::Duration;

/// The time of a submission.
#[derive(clap::Args, Clone, Copy)]
pub struct SubmissionArgs {
    /// Hand a GPU work for about so many milliseconds at a time, so that a desktop stays usable and no
    /// watchdog resets it; no result depends on it [default: 100]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    submission_ms: Option<u64>,
}

impl SubmissionArgs {
    /// Sets the time for GPUs that are opened from now on.
    pub fn apply(self) {
        if let Some(milliseconds) = self.submission_ms {
            device::limit_submissions(Duration::from_millis(milliseconds));
        }
    }
}
