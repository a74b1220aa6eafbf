//! How much work a submission may hold, so that none keeps a desktop waiting or outlives a watchdog:
//! Windows resets a GPU that works on one submission for two seconds.

use crate::kept;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest time of a submission, unless [`Options::submission`](crate::Options::submission) sets it.
pub(crate) const SUBMISSION: Duration = Duration::from_millis(100);
/// The part of that time which is planned for submissions of measured kernels.
const PLANNED: f64 = 0.75;
/// The part which is planned for a launch, and for a submission that was never measured.
const CAUTIOUS: f64 = 0.25;
/// The pace of a device on which it could not be measured.
const UNKNOWN_PACE: f64 = 16.0;
/// The slowest pace that is believed of a device: that of 3 GFLOP/s. Measured ones are slower where other
/// programs keep the device, or the processor of an emulated one, busy.
const MAX_PACE: f64 = 32.0;
/// A submission of less time tells more of the queue than of kernels.
pub(crate) const ENOUGH: Duration = Duration::from_millis(2);
/// Name of the pace in the file.
const PACE: &str = "nanoseconds of a unit of work";

/// The time of a submission, and the pace of the device: nanoseconds for a unit of [`work`](rnn_graph::work). The pace is
/// measured, kept in a file, and decides where programs are cut. No bit of a result depends on it.
#[derive(Debug)]
pub(crate) struct Budget {
    most: Duration,
    /// True if a caller has set the pace, which then remains.
    is_set: bool,
    path: Option<PathBuf>,
    pace: Mutex<Option<f64>>,
}

impl Budget {
    /// Returns the budget of submissions of at most `most`. The pace is `set`, or that of the file at
    /// `path`.
    pub fn open(most: Duration, set: Option<f64>, path: Option<PathBuf>) -> Self {
        let kept = || path.as_deref().and_then(kept_pace);
        let pace = Mutex::new(set.or_else(kept));
        Self { most, is_set: set.is_some(), path, pace }
    }

    /// Returns true if the pace is known.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Returns the pace.
    pub fn pace(&self) -> f64 {
        self.known().unwrap_or(UNKNOWN_PACE)
    }

    fn known(&self) -> Option<f64> {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a measured pace. A slower one counts at once, a faster one by half, as the next program's
    /// kernels may be of the slower kind.
    pub fn learn(&self, pace: f64) {
        if self.is_set || !(pace.is_finite() && pace > 0.0) {
            return;
        }
        let pace = pace.min(MAX_PACE);
        let mut known = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let new = known.map_or(pace, |old| pace.max((old + pace) / 2.0));
        *known = Some(new);
        if let Some(path) = &self.path {
            kept::write(path, &BTreeMap::from([(PACE.to_owned(), new)]));
        }
    }

    /// Returns the most work of one launch.
    pub fn launch_work(&self) -> u64 {
        (CAUTIOUS * self.most.as_nanos() as f64 / self.pace()) as u64
    }

    /// Returns true if a launch of that much work may be submitted as a whole.
    pub fn holds(&self, work: u64) -> bool {
        self.pace() * work as f64 <= self.most.as_nanos() as f64
    }

    /// Returns how many of the next dispatches, whose work is `work`, go into a submission that is to be
    /// measured, at a pace.
    pub fn next(&self, work: &[u64], pace: f64) -> usize {
        let times = work.iter().map(|&work| pace * work as f64);
        first(times, CAUTIOUS * self.most.as_nanos() as f64)
    }

    /// Returns where to end submissions of dispatches that take these nanoseconds: indices behind the last
    /// dispatch of each.
    pub fn ends(&self, nanoseconds: &[f64]) -> Vec<usize> {
        let most = PLANNED * self.most.as_nanos() as f64;
        let mut ends = vec![];
        let mut begin = 0;
        while begin < nanoseconds.len() {
            begin += first(nanoseconds[begin..].iter().copied(), most);
            ends.push(begin);
        }
        ends
    }
}

/// Returns how many of the first have a sum of at most `most`, and at least 1.
fn first(times: impl Iterator<Item = f64>, most: f64) -> usize {
    let sums = times.scan(0.0, |sum, time| {
        *sum += time;
        Some(*sum)
    });
    sums.take_while(|&sum| sum <= most).count().max(1)
}

/// Returns the floating-point operations that a submission of the usual length holds at the pace of the
/// file at `path`.
pub(crate) fn kept_flops(path: &Path) -> Option<f64> {
    Some(rnn_graph::FLOPS_OF_WORK as f64 * SUBMISSION.as_nanos() as f64 / kept_pace(path)?)
}

/// Returns the pace that was measured and kept in the file at `path`.
fn kept_pace(path: &Path) -> Option<f64> {
    let known: BTreeMap<String, f64> = kept::read(path)?;
    known.get(PACE).copied().filter(|pace| pace.is_finite() && *pace > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: f64 = 1e6;

    #[test]
    fn no_submission_exceeds_the_budget_but_by_one_dispatch() {
        let budget = Budget::open(SUBMISSION, Some(1.0), None);
        assert_eq!(budget.ends(&[]), [] as [usize; 0]);
        let times = [30.0, 40.0, 10.0, 200.0, 75.0, 0.0, 1.0].map(|ms| ms * MILLISECOND);
        assert_eq!(budget.ends(&times), [2, 3, 4, 6, 7]);
        assert_eq!(budget.launch_work(), 25_000_000);
        // A device that takes a thousand times as long.
        let slow = Budget::open(SUBMISSION, Some(1000.0), None);
        assert_eq!(slow.launch_work(), 25_000);
        assert_eq!(slow.next(&[10_000, 10_000, 10_000], slow.pace()), 2);
        assert_eq!(slow.next(&[50_000, 10_000], slow.pace()), 1);
        slow.learn(1.0);
        assert_eq!(slow.pace(), 1000.0);
    }

    #[test]
    fn the_pace_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Some(folder.path().join("pace.json"));
        let budget = Budget::open(SUBMISSION, None, path.clone());
        assert!(!budget.is_known());
        budget.learn(4.0);
        budget.learn(f64::NAN);
        budget.learn(2.0);
        assert_eq!(budget.pace(), 3.0);
        budget.learn(8.0);
        assert_eq!(Budget::open(SUBMISSION, None, path.clone()).pace(), 8.0);
        std::fs::write(path.as_deref().expect("a path"), "{}").expect("room");
        assert!(!Budget::open(SUBMISSION, None, path).is_known());
    }
}
