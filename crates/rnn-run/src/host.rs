//! The program that runs are part of: where their lines go, and how it ends.

use rnn::Tell;
use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The program that a run is part of, such as a command in a terminal. It prints what a run has to
/// say, and says when the run is to stop.
///
/// `()` is a program that prints nothing and never stops a run.
pub trait Host: fmt::Debug + Send + Sync {
    /// Prints text among the results; a command prints it to standard output.
    fn print(&self, text: fmt::Arguments<'_>);

    /// Prints a line among the remarks; a command prints it to standard error.
    fn warn(&self, line: fmt::Arguments<'_>);

    /// Prints a line among the results.
    fn tell(&self, line: fmt::Arguments<'_>) {
        self.print(format_args!("{line}\n"));
    }

    /// Returns whether the program was asked to end.
    fn stop_requested(&self) -> bool {
        false
    }

    /// Asks the program to end, as Ctrl-C does where a screen reads the keys.
    fn request_stop(&self) {}

    /// Delays the end of the program until the guard is dropped: work that holds it asks
    /// [`Host::stop_requested`] from time to time.
    fn hold(&self) -> Guard {
        Guard::default()
    }

    /// Registers work to be done if the program ends before the guard is dropped. It has to be quick.
    fn at_end(&self, clean: Box<dyn FnOnce() + Send>) -> Guard {
        drop(clean);
        Guard::default()
    }

    /// Notes that the training of the run in this folder is over and kept, so that it can be resumed
    /// if the program ends before the guard is dropped.
    fn resumable(&self, run: &Path) -> Guard {
        let _ = run;
        Guard::default()
    }

    /// Reports the error of one of several ranks, which ends all of them, and returns the exit code.
    fn rank_failed(&self, rank: usize, error: &anyhow::Error) -> u8 {
        let _ = (rank, error);
        1
    }
}

/// Returns a function that hands each line of the library to [`Host::warn`] of `host`.
pub fn warnings(host: &Arc<dyn Host>) -> Tell {
    let host = host.clone();
    Arc::new(move |line| host.warn(format_args!("{line}")))
}

/// The program that prints nothing and never stops a run.
impl Host for () {
    fn print(&self, _: fmt::Arguments<'_>) {}

    fn warn(&self, _: fmt::Arguments<'_>) {}
}

/// A registration with a [`Host`], which ends when it is dropped. [`Default`] gives one of nothing.
#[derive(Debug, Default)]
pub struct Guard {
    _registration: Option<Box<dyn Any + Send>>,
}

impl Guard {
    /// Returns a guard that owns `registration`, and drops it when the guard is dropped; dropping
    /// it must end the registration.
    pub fn new(registration: impl Any + Send) -> Self {
        Self { _registration: Some(Box::new(registration)) }
    }
}
