//! Standard output and standard error. Here `print!`, `println!` and `eprintln!` do not panic where
//! nobody reads any more: they ask the command to end, quietly. Names and texts of files cannot steer the
//! terminal: what it would obey is shown.

use crate::interrupt::{self, Cause};
use rnn::plain;
use std::fmt;
use std::io::{self, Write};
use std::process;

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

/// Writes text to standard output at once. If the reader is gone, makes an [`interrupt::request`]
/// with [`Cause::ClosedPipe`]. Any other error, such as a full disk, is reported and ends the
/// process with exit code 1.
pub fn out(text: fmt::Arguments<'_>) {
    match write(&mut io::stdout(), text) {
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

/// Writes text to standard error at once. If the reader is gone, makes an [`interrupt::request`]
/// with [`Cause::ClosedPipe`]. Other errors are ignored.
pub fn err(text: fmt::Arguments<'_>) {
    let written = write(&mut io::stderr(), text);
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        interrupt::request(Cause::ClosedPipe);
    }
}

/// All of the text at once, so that lines of several threads or processes do not mix.
fn write(to: &mut impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    to.write_all(plain(&text.to_string()).as_bytes())?;
    to.flush()
}
