//! Standard output and standard error. Here `print!`, `println!` and `eprintln!` do not panic where
//! nobody reads any more: they ask the command to end, quietly.

use crate::interrupt::{self, Cause};
use std::fmt;
use std::io::{self, Write};
use std::process;

/// Prints to standard output, and does not panic where nobody reads it.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::console::out(format_args!($($text)*)) };
}

/// Prints a line to standard output, and does not panic where nobody reads it.
#[macro_export]
macro_rules! println {
    () => { $crate::console::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::console::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error, and does not panic where nobody reads it.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::console::err(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes text to standard output. If its reader is gone, the command is asked to end; any other
/// error, such as a full disk, ends the process with exit code 1.
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

/// Writes text to standard error. If its reader is gone, the command is asked to end.
pub fn err(text: fmt::Arguments<'_>) {
    let written = write(&mut io::stderr(), text);
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        interrupt::request(Cause::ClosedPipe);
    }
}

/// All of the text at once, so that lines of several threads or processes do not mix.
fn write(to: &mut impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    to.write_all(text.to_string().as_bytes())?;
    to.flush()
}
