//! How long a rank waits for the others in a step.

use crate::host::Host;
use anyhow::{Result, anyhow};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, process, thread};

/// The time that a rank waits for the others: longer than a device is waited for.
const PATIENCE: Duration = Duration::from_secs(900);

/// The environment variable with another number of seconds.
const VARIABLE: &str = "RNN_GPU_RANK_TIMEOUT";

/// The time by which a rank reports later than the one before it, which ends them all.
const HEAD_START: Duration = Duration::from_secs(2);

/// The interval at which the thread looks.
const GLANCE: Duration = Duration::from_millis(200);

/// A thread that looks for how long this rank has been waiting for the others. MPI has no limit of its
/// own, and may be called from one thread alone; so after the limit the process ends, and the launcher
/// ends all others.
#[derive(Debug)]
pub struct Patience {
    /// The number of the wait, which is odd during one.
    waits: Arc<AtomicU64>,
}

/// A wait that goes on until this is dropped.
#[derive(Debug)]
pub struct Wait<'a>(&'a AtomicU64);

impl Patience {
    /// Begins to look, on the rank of this number. `host` reports the error.
    ///
    /// # Errors
    /// Fails if the thread cannot be had, or the variable holds no number of seconds.
    pub fn begin(rank: usize, host: &Arc<dyn Host>) -> Result<Self> {
        let asked = env::var(VARIABLE).ok().map(|text| text.parse().map(Duration::from_secs));
        let asked =
            asked.transpose().map_err(|_| anyhow!("{VARIABLE} takes a number of seconds"))?;
        let limit = asked.unwrap_or(PATIENCE) + HEAD_START * rank as u32;
        let waits = Arc::new(AtomicU64::new(0));
        let (seen, host) = (waits.clone(), host.clone());
        thread::Builder::new().name("patience".into()).spawn(move || {
            let (mut wait, mut waited) = (0, Duration::ZERO);
            while waited < limit {
                // Not by the clock: a process that was stopped has not waited meanwhile.
                thread::sleep(GLANCE);
                let now = seen.load(Ordering::SeqCst);
                waited = if now == wait && now % 2 == 1 { waited + GLANCE } else { Duration::ZERO };
                wait = now;
            }
            let seconds = waited.as_secs();
            let error = anyhow!(
                "another rank has not come to the same step for {seconds} s: it hangs, or is slow \
                 ({VARIABLE} sets another limit)"
            );
            process::exit(host.rank_failed(rank, &error).into());
        })?;
        Ok(Self { waits })
    }

    /// Begins to wait for the other ranks.
    pub fn wait(&self) -> Wait<'_> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        Wait(&self.waits)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
