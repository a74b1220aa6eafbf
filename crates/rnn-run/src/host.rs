//! The program that runs are part of: where their output goes, and how it ends.

use rnn::Tell;
use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The program that a run is part of, such as a command in a terminal. The run gives it text to
/// print and finds out from it when to stop.
///
/// `()` is a program that prints nothing and never stops a run.
pub trait Host: fmt::Debug + Send + Sync {
    /// Prints `text` as a result, without adding a line feed; a command prints it to standard
    /// output.
    fn print(&self, text: fmt::Arguments<'_>);

    /// Prints `line` and a line feed as a remark; a command prints it to standard error.
    fn warn(&self, line: fmt::Arguments<'_>);

    /// Prints `line` and a line feed as a result.
    fn tell(&self, line: fmt::Arguments<'_>) {
        self.print(format_args!("{line}\n"));
    }

    /// Returns true if the program is to end, so that a run stops at the next step. The default is
    /// false.
    fn stop_requested(&self) -> bool {
        false
    }

    /// Requests the end of the program, as Ctrl-C does. A display that reads the keys itself calls
    /// this. The default does nothing.
    fn request_stop(&self) {}

    /// Delays the end of the program until the guard is dropped. The holder must call
    /// [`Host::stop_requested`] from time to time and stop if it returns true. The default delays
    /// nothing.
    fn hold(&self) -> Guard {
        Guard::default()
    }

    /// Registers `clean`, which is called if the program ends before the guard is dropped. It must
    /// be quick. The default drops it without a call.
    fn at_end(&self, clean: Box<dyn FnOnce() + Send>) -> Guard {
        drop(clean);
        Guard::default()
    }

    /// Registers that the run in the folder `run` has checkpoints of its whole training. If the
    /// program ends before the guard is dropped, it may tell the user how to resume the run. The
    /// default does nothing.
    fn resumable(&self, run: &Path) -> Guard {
        let _ = run;
        Guard::default()
    }

    /// Reports the error of rank number `rank`, which ends all ranks, and returns the exit code of
    /// the program. The default reports nothing and returns 1.
    fn rank_failed(&self, rank: usize, error: &anyhow::Error) -> u8 {
        let _ = (rank, error);
        1
    }
}

/// Returns a function that passes each line of text from the library to [`Host::warn`] of `host`.
pub fn warnings(host: &Arc<dyn Host>) -> Tell {
    let host = host.clone();
    Arc::new(move |line| host.warn(format_args!("{line}")))
}

/// The program that prints nothing and never stops a run.
impl Host for () {
    fn print(&self, _: fmt::Arguments<'_>) {}

    fn warn(&self, _: fmt::Arguments<'_>) {}
}

/// A registration with a [`Host`]. Dropping it ends the registration. [`Default`] registers
/// nothing.
#[derive(Debug, Default)]
pub struct Guard {
    _registration: Option<Box<dyn Any + Send>>,
}

impl Guard {
    /// Returns a guard that owns `registration`. Dropping `registration`, which happens when the
    /// guard is dropped, must end the registration.
    pub fn new(registration: impl Any + Send) -> Self {
        Self { _registration: Some(Box::new(registration)) }
    }
}
