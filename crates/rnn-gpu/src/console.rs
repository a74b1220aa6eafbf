//! Standard output and standard error. Here `print!`, `println!` and `eprintln!` do not panic where
//! nobody reads any more: they ask the command to end, quietly. A training goes on instead
//! ([`outlive_readers`]): what it is for lies in its folder, not in its lines. Names and texts of files
//! cannot steer the terminal: their control characters are escaped.

mod stream;

use crate::interrupt::{self, Cause};
use rnn::plain;
use std::fmt;
use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stream::Stream;

/// Prints to standard output as `console::out` does.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::console::out(format_args!($($text)*)) };
}

/// Prints a line to standard output as `console::out` does.
#[macro_export]
macro_rules! println {
    () => { $crate::console::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::console::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error as `console::err` does.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::console::err(format_args!("{}\n", format_args!($($text)*))) };
}

/// True if the command goes on without readers.
static OUTLIVES: AtomicBool = AtomicBool::new(false);

static OUTPUT: Stream = Stream::new("standard output");
static ERRORS: Stream = Stream::new("standard error");

/// The time for which a training waits for a reader that takes nothing, before it goes on without
/// it; and the time for which its end waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// From now on no stream that cannot be written ends the command: a reader that is gone, a disk that
/// is full, a terminal that has hung up, or a reader that takes nothing for five seconds. The other
/// stream says so once. Up to a mebibyte of each stream is kept and written as soon as that succeeds.
pub fn outlive_readers() {
    OUTLIVES.store(true, Ordering::SeqCst);
}

/// Writes what a training has kept of its output, before the process ends; waits for readers for a
/// bounded time.
pub fn finish() {
    if OUTLIVES.load(Ordering::SeqCst) {
        // What a reader does not take now, it never will.
        let _ = OUTPUT.send(io::stdout(), "", PATIENCE);
        let _ = ERRORS.send(io::stderr(), "", PATIENCE);
    }
}

/// Writes text to standard output. If its reader is gone, the command is asked to end; any other
/// error, such as a full disk, ends the process with exit code 1. Neither happens after
/// [`outlive_readers`].
pub fn out(text: fmt::Arguments<'_>) {
    let text = text.to_string();
    let text = plain(&text);
    if OUTLIVES.load(Ordering::SeqCst) {
        if let Err(error) = OUTPUT.send(io::stdout(), &text, PATIENCE)
            && OUTPUT.is_news()
        {
            let _ = ERRORS.send(io::stderr(), &lost(&OUTPUT, &error), PATIENCE);
        }
        return;
    }
    match stream::write_all(&mut io::stdout(), text.as_bytes()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            interrupt::request(Cause::ClosedPipe);
        }
        // Such as a disk that is full: what was printed would be taken for all that there is.
        Err(error) => {
            err(format_args!("error: cannot write to standard output: {error}\n"));
            process::exit(1);
        }
    }
}

/// Writes text to standard error. If its reader is gone, the command is asked to end, but not after
/// [`outlive_readers`].
pub fn err(text: fmt::Arguments<'_>) {
    let text = text.to_string();
    let text = plain(&text);
    if OUTLIVES.load(Ordering::SeqCst) {
        if let Err(error) = ERRORS.send(io::stderr(), &text, PATIENCE)
            && ERRORS.is_news()
        {
            let _ = OUTPUT.send(io::stdout(), &lost(&ERRORS, &error), PATIENCE);
        }
        return;
    }
    let written = stream::write_all(&mut io::stderr(), text.as_bytes());
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        interrupt::request(Cause::ClosedPipe);
    }
}

fn lost(stream: &Stream, error: &io::Error) -> String {
    let name = stream.name;
    format!("cannot write to {name} ({error}): the training goes on, and its figures are kept\n")
}
