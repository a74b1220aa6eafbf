//! This process as the [`Host`] of runs.

use crate::{console, hints, interrupt};
use rnn::cut;
use rnn::device::{self, DeviceChoiceError};
use rnn_graph::Device;
use rnn_run::finite::FiniteRows;
use rnn_run::host::{Guard, Host, warnings};
use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

/// This process as the host of runs. Results go to standard output, remarks to standard error, and
/// signals request its end.
#[derive(Clone, Copy, Debug)]
pub struct Process;

/// Returns [`Process`] as a shared host.
pub fn host() -> Arc<dyn Host> {
    Arc::new(Process)
}

/// Opens a device as [`device::open`] does, and returns it with the reason for the choice. Its
/// warnings go to standard error.
///
/// # Errors
/// Fails as [`device::open`].
pub fn open_device(choice: &str) -> Result<(Box<dyn Device>, String), DeviceChoiceError> {
    device::open_with(choice, &warnings(&host()))
}

/// Opens a device as [`device::open_to_verify`] does. Its warnings go to standard error.
///
/// # Errors
/// Fails as [`device::open`].
pub fn open_to_verify(choice: &str) -> Result<Box<dyn Device>, DeviceChoiceError> {
    device::open_to_verify(choice, &warnings(&host()))
}

/// Opens every device of this machine as [`device::open_all`] does. Their warnings go to standard
/// error.
///
/// # Errors
/// Fails as [`device::open_all`].
pub fn open_devices() -> Result<Vec<Box<dyn Device>>, DeviceChoiceError> {
    device::open_all_with(&warnings(&host()))
}

/// Prints a warning to standard error for each of `rows` that has rows which are not finite.
pub fn warn_of(rows: &[FiniteRows]) {
    for warning in rows.iter().filter_map(FiniteRows::warning) {
        console::err(format_args!("{warning}\n"));
    }
}

/// The most characters of a line for people, which may list names of a file.
const LINE: usize = 1000;

/// The text with the middle of long lines left out.
fn with_short_lines(text: &str) -> String {
    text.split('\n').map(|line| cut(line, LINE)).collect::<Vec<_>>().join("\n")
}

impl Host for Process {
    fn print(&self, text: fmt::Arguments<'_>) {
        console::out(format_args!("{}", with_short_lines(&text.to_string())));
    }

    fn warn(&self, line: fmt::Arguments<'_>) {
        console::err(format_args!("{}\n", with_short_lines(&line.to_string())));
    }

    fn stop_requested(&self) -> bool {
        interrupt::requested().is_some()
    }

    fn request_stop(&self) {
        interrupt::request(interrupt::Cause::Interrupt);
    }

    fn hold(&self) -> Guard {
        Guard::new(interrupt::hold())
    }

    fn at_end(&self, clean: Box<dyn FnOnce() + Send>) -> Guard {
        Guard::new(interrupt::at_end(clean))
    }

    fn resumable(&self, run: &Path) -> Guard {
        let run = run.display();
        let advice = format!("the training is kept; go on with: rnn-gpu train --resume {run}\n");
        Guard::new(interrupt::at_end(move || {
            let _ = io::stderr().write_all(advice.as_bytes());
        }))
    }

    fn rank_failed(&self, rank: usize, error: &anyhow::Error) -> u8 {
        let of_rank = if rank > 0 { format!("rank {rank}: ") } else { String::new() };
        console::err(format_args!("error: {of_rank}{}\n", hints::explained(error)));
        interrupt::exit_code()
    }
}
