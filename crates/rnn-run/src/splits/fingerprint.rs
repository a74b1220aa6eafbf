//! What tells the data of a run from other data.
//!
//! A fingerprint is the digests of the training, the validation and the test examples, each of 32
//! hexadecimal digits, in this order and with hyphens between them. Versions before that recorded 16
//! digits, of 64 of the training examples; data that match those count as the same, because nothing
//! more is known of what the run was trained on.

use super::{Split, Splits};
use crate::host::Host;
use anyhow::{Result, ensure};
use rnn::nn::Dataset;
use rnn_core::hex;

/// The hexadecimal digits of the digest of a set.
const DIGITS: usize = 32;
/// Those of a fingerprint of earlier versions.
const OLD_DIGITS: usize = 16;

impl Splits {
    /// Returns the fingerprint of all examples, which tells them from others: a digest of each set,
    /// in hexadecimal digits.
    ///
    /// # Errors
    /// Fails if an example cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        let digests = self.sets().map(|(_, set)| digest(set));
        Ok(digests.into_iter().collect::<Result<Vec<_>>>()?.join("-"))
    }

    /// Compares the examples, whose fingerprint is `now`, with those of the fingerprint `then`,
    /// which [`Splits::fingerprint`] of this or an earlier version returned. Returns the first set
    /// that differs; `None` if they are the same. The host is told if `then` cannot tell much.
    ///
    /// # Errors
    /// Fails if an example cannot be read, or `then` is of another version.
    pub fn changed(&self, then: &str, now: &str, host: &dyn Host) -> Result<Option<Split>> {
        if is_digest(then, OLD_DIGITS) {
            host.warn(format_args!(
                "the run is of an earlier version, which recorded 64 of its training examples: only \
                 those are compared with the data"
            ));
            let same = format!("{:016x}", self.train.sampled_fingerprint()?) == then;
            return Ok((!same).then_some(Split::Training));
        }
        let (before, after): (Vec<_>, Vec<_>) =
            (then.split('-').collect(), now.split('-').collect());
        ensure!(
            before.len() == after.len() && before.iter().all(|part| is_digest(part, DIGITS)),
            "the run's fingerprint of its data is of another version of rnn-gpu: go on with the \
             version that wrote it"
        );
        let mut sets = self.sets().into_iter().zip(before.iter().zip(&after));
        Ok(sets.find(|(_, (then, now))| then != now).map(|((split, _), _)| split))
    }

    fn sets(&self) -> [(Split, &Dataset); 3] {
        [
            (Split::Training, &self.train),
            (Split::Validation, &self.validation),
            (Split::Test, &self.test),
        ]
    }
}

fn is_digest(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn digest(set: &Dataset) -> Result<String> {
    Ok(hex(&set.digest()?[..DIGITS / 2]))
}
