//! The end of a command before its work is done: on Ctrl-C, on a request to terminate, or because
//! the reader of its output is gone.
//!
//! The process then ends at once and leaves no temporary file. Work that needs a delay, such as a
//! training that first takes a checkpoint, calls [`hold`]. The first request is then only noted,
//! and the work must look at [`requested`] between two steps. A second signal ends the process
//! without waiting for the work.

use anyhow::{Context as _, Result};
use rnn::formats;
use std::collections::BTreeMap;
use std::io::Write as _;
#[cfg(unix)]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The reason for which a process is requested to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Ctrl-C, and on Windows Ctrl-Break.
    Interrupt,
    /// SIGTERM, which `kill` sends, and a system that shuts down.
    Terminate,
    /// SIGHUP: the terminal or, on Windows, the window was closed.
    Hangup,
    /// The reader of standard output or standard error is gone.
    ClosedPipe,
}

impl Cause {
    /// With what the process ends: 128 + the signal's number, as shells expect it. Output that
    /// nobody reads is no failure, as with ripgrep, unless the exit code was to say whether work
    /// that is now left undone succeeded.
    fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
            Self::Hangup => 129,
            Self::ClosedPipe if JUDGES.load(Ordering::SeqCst) => 141,
            Self::ClosedPipe => 0,
        }
    }
}

/// The first cause that was given, as its number among these, plus 1.
static REQUESTED: AtomicU8 = AtomicU8::new(0);
const CAUSES: [Cause; 4] = [Cause::Interrupt, Cause::Terminate, Cause::Hangup, Cause::ClosedPipe];
/// The number of guards that hold.
static HOLDING: AtomicUsize = AtomicUsize::new(0);
/// True if the exit code says more than that the output is complete.
static JUDGES: AtomicBool = AtomicBool::new(false);

/// The work to be done before the process ends at once, by the order of [`at_end`].
type Cleanups = BTreeMap<usize, Box<dyn FnOnce() + Send>>;
static CLEANUPS: Mutex<(usize, Cleanups)> = Mutex::new((0, BTreeMap::new()));

/// The time that may take: another thread may hold what it needs, as the lock of standard error.
const PATIENCE: Duration = Duration::from_millis(500);

/// Begins to handle signals: each makes a [`request`]. On Unix these are SIGINT, SIGTERM and
/// SIGHUP, unless the process was started to ignore it; on Windows Ctrl-C, Ctrl-Break, the closing of
/// the window, logging off and shutting down. `judges` is true
/// if the command's exit code tells whether its work succeeded, as
/// [`Command::judges`](crate::commands::Command::judges) says; a closed pipe is then a failure.
///
/// # Errors
/// Fails if the system does not allow a handler.
pub fn listen(judges: bool) -> Result<()> {
    JUDGES.store(judges, Ordering::SeqCst);
    signals().context("cannot listen to signals")
}

#[cfg(unix)]
fn signals() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    // Without a handler, a write past the limit on the size of files (`ulimit -f`) ends the process.
    // With one it is an error.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    // Whoever ignores a signal for a command, as `nohup` and shells that start it in the background
    // do, means that it goes on.
    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = signal_hook::iterator::Signals::new(heard)?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            request(match signal {
                SIGINT => Cause::Interrupt,
                SIGHUP => Cause::Hangup,
                _ => Cause::Terminate,
            });
        }
    })?;
    Ok(())
}

/// Returns true if the process was started so that it ignores a signal; known on Linux alone.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(windows)]
#[allow(unsafe_code, reason = "the system's function takes a pointer to one of ours")]
fn signals() -> std::io::Result<()> {
    use windows_sys::Win32::System::Console::SetConsoleCtrlHandler;
    // SAFETY: the handler lives as long as the process, and may run on any thread at any time.
    match unsafe { SetConsoleCtrlHandler(Some(handle_event), 1) } {
        0 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Is called by Windows on a thread of its own.
#[cfg(windows)]
#[allow(unsafe_code, reason = "the system's type of a handler is that of unsafe functions")]
unsafe extern "system" fn handle_event(event: u32) -> windows_sys::core::BOOL {
    use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT};
    let cause = match event {
        CTRL_C_EVENT | CTRL_BREAK_EVENT => Cause::Interrupt,
        CTRL_CLOSE_EVENT => Cause::Hangup,
        _ => Cause::Terminate,
    };
    request(cause);
    // After any other event the process is ended as soon as this returns. It is not, for five
    // seconds, so that a training can take its checkpoint.
    while cause != Cause::Interrupt {
        thread::park();
    }
    1
}

/// Requests the end of the process. While a guard of [`hold`] lives, a first request is only noted:
/// the work that holds the guard finds it in [`requested`] and must end the process. A second
/// request ends the process at once, unless its cause is a closed pipe, which every later line
/// finds again. Without a guard each request ends the process at once.
pub fn request(cause: Cause) {
    let number = CAUSES.iter().position(|&of| of == cause).map_or(0, |at| at as u8 + 1);
    let before = REQUESTED.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst);
    let held = HOLDING.load(Ordering::SeqCst) > 0;
    match before {
        // Every later line finds the pipe closed again.
        _ if held && cause == Cause::ClosedPipe => {}
        Ok(_) if held => {}
        _ => end_now(),
    }
}

/// Returns the cause of the first request to end the process; `None` if there was none.
pub fn requested() -> Option<Cause> {
    let number = usize::from(REQUESTED.load(Ordering::SeqCst));
    number.checked_sub(1).and_then(|at| CAUSES.get(at)).copied()
}

/// Returns the exit code of a process that ends after an error or a request: 1 if there was no
/// request, and 128 plus the number of the signal after a signal. After a closed pipe it is 141 if
/// [`listen`] was called with `judges`, else 0.
pub fn exit_code() -> u8 {
    requested().map_or(1, Cause::exit_code)
}

/// A guard of [`hold`]. While it lives, a first request to end the process is only noted.
#[derive(Debug)]
pub struct Held(());

/// Delays the end of the process until the guard is dropped. The caller must look at [`requested`]
/// from time to time and end its work after a request.
pub fn hold() -> Held {
    HOLDING.fetch_add(1, Ordering::SeqCst);
    Held(())
}

impl Drop for Held {
    fn drop(&mut self) {
        HOLDING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The registration of work by [`at_end`]. Dropping it removes the registration; the work is then
/// not done.
#[derive(Debug)]
pub struct Cleanup(usize);

/// Registers `clean`, which is called if a request ends the process at once before the returned
/// guard is dropped. It must be quick and must not wait for a lock that is held for long: the
/// process ends after half a second in any case.
pub fn at_end(clean: impl FnOnce() + Send + 'static) -> Cleanup {
    let (next, all) = &mut *cleanups();
    *next += 1;
    all.insert(*next, Box::new(clean));
    Cleanup(*next)
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // Dropped only once the list is free again.
        let clean = cleanups().1.remove(&self.0);
        drop(clean);
    }
}

fn cleanups() -> MutexGuard<'static, (usize, Cleanups)> {
    CLEANUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process without waiting for any other thread.
fn end_now() -> ! {
    let cause = requested().unwrap_or(Cause::Interrupt);
    let code = i32::from(cause.exit_code());
    // If no thread can be had, the cleaning is not timed.
    let _ = thread::Builder::new().spawn(move || {
        thread::sleep(PATIENCE);
        exit(code);
    });
    formats::abandon_all();
    let all = std::mem::take(&mut cleanups().1);
    all.into_values().rev().for_each(|clean| clean());
    if cause != Cause::ClosedPipe {
        // Standard error may be closed as well.
        let _ = writeln!(std::io::stderr(), "interrupted");
    }
    exit(code)
}

/// Without what libraries registered with `atexit`: drivers take down there what other threads still
/// use.
#[cfg(unix)]
fn exit(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

#[cfg(not(unix))]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}
