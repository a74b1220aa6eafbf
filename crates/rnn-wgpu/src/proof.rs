//! Test of a device's matrix units before a program first relies on them.

use crate::kept;
use rnn_graph::{DeviceError, Session};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A test of a device's matrix units, with a function that reports failures.
#[derive(Clone)]
pub struct Prover {
    /// Runs products on the matrix units. Returns a description of the first wrong result, or
    /// `None` if all results are right. Fails if the device fails.
    pub test: fn(&mut dyn Session) -> Result<Option<String>, DeviceError>,
    /// Receives one line of text that says that the matrix units are not used, and why.
    pub tell: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover").field("test", &self.test).finish_non_exhaustive()
    }
}

/// Test result of a kernel on an adapter and driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Verdict {
    wrong: Option<String>,
}

/// Test results of the matrix unit kernels, stored in one file per adapter and driver.
#[derive(Debug)]
pub(crate) struct Proof {
    prover: Option<Prover>,
    device: String,
    path: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    verdicts: BTreeMap<String, Verdict>,
    told: BTreeSet<String>,
}

impl Proof {
    /// Opens the test results of the device named `device`, which are stored in the file at `path`.
    /// Without a prover all kernels are trusted; without a path nothing is stored.
    pub fn open(prover: Option<Prover>, device: String, path: Option<PathBuf>) -> Self {
        let path = path.filter(|_| prover.is_some());
        let verdicts = path.as_deref().and_then(kept::read).unwrap_or_default();
        Self { prover, device, path, known: Mutex::new(Known { verdicts, ..Known::default() }) }
    }

    /// Returns true if the matrix unit kernel with the WGSL text `kernel` may be used. The first
    /// call for a text runs the test, while other callers wait. `session` creates a session that
    /// uses the kernel untested. The first negative answer for a text is reported through
    /// [`Prover::tell`].
    ///
    /// # Errors
    /// Fails if the test cannot run.
    pub fn holds(
        &self,
        kernel: &str,
        session: impl FnOnce() -> Box<dyn Session>,
    ) -> Result<bool, DeviceError> {
        let Some(prover) = &self.prover else { return Ok(true) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = kept::digest(kernel.as_bytes());
        if !known.verdicts.contains_key(&key) {
            let wrong = (prover.test)(&mut *session())?;
            known.verdicts.insert(key.clone(), Verdict { wrong });
            if let Some(path) = &self.path {
                kept::write(path, &known.verdicts);
            }
        }
        let wrong = known.verdicts.get(&key).and_then(|verdict| verdict.wrong.clone());
        if let Some(wrong) = &wrong
            && known.told.insert(key)
        {
            let device = &self.device;
            (prover.tell)(&format!(
                "the matrix units of {device} are not used, as they failed their test: {wrong}"
            ));
        }
        Ok(wrong.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::open;
    use crate::session::GpuSession;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static TESTS: AtomicUsize = AtomicUsize::new(0);
    static LINES: AtomicUsize = AtomicUsize::new(0);

    fn fail(_: &mut dyn Session) -> Result<Option<String>, DeviceError> {
        TESTS.fetch_add(1, Ordering::SeqCst);
        Ok(Some("a product is wrong".into()))
    }

    fn tell(line: &str) {
        assert!(line.contains("a card") && line.contains("a product is wrong"), "{line}");
        LINES.fetch_add(1, Ordering::SeqCst);
    }

    #[test]
    fn a_verdict_is_kept_and_told_once() {
        let Some(gpu) = open() else { return };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("proof.json");
        let proof = |prover: &Option<Prover>| {
            Proof::open(prover.clone(), "a card".into(), Some(path.clone()))
        };
        let session = || -> Box<dyn Session> { Box::new(GpuSession::new(gpu.clone(), true)) };
        let counts = || (TESTS.load(Ordering::SeqCst), LINES.load(Ordering::SeqCst));
        let holds = |proof: &Proof, kernel| proof.holds(kernel, session).expect("it is judged");
        let bad = Some(Prover { test: fail, tell: Arc::new(tell) });
        let first = proof(&bad);
        assert!(!holds(&first, "kernel") && !holds(&first, "kernel"));
        assert_eq!(counts(), (1, 1));
        // A later process knows the verdict, and reports it again.
        let later = proof(&bad);
        assert!(!holds(&later, "kernel"));
        assert_eq!(counts(), (1, 2));
        // Nothing is known of another text, or if the file is damaged.
        assert!(!holds(&later, "another kernel"));
        assert_eq!(counts(), (2, 3));
        std::fs::write(&path, "{}").expect("room");
        let good = Some(Prover { test: |_| Ok(None), tell: Arc::new(tell) });
        assert!(holds(&proof(&good), "kernel") && holds(&proof(&good), "kernel"));
        assert!(holds(&proof(&None), "kernel"));
        assert_eq!(counts(), (2, 3));
    }
}
