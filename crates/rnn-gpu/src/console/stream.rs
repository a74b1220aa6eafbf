//! A standard stream whose reader may be gone, be full or take nothing.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The bytes of a stream that are kept for later, where they cannot be written now.
const BACKLOG: usize = 1 << 20;

/// The bytes that a pipe takes without waiting if it takes any (PIPE_BUF of Linux).
const CHUNK: usize = 4096;

/// A stream of a command that goes on without its reader.
pub struct Stream {
    /// What the stream is called in messages.
    pub name: &'static str,
    kept: Mutex<Kept>,
    told: AtomicBool,
}

struct Kept {
    bytes: Vec<u8>,
    /// True if the last attempt failed: the next one does not wait.
    failed: bool,
}

impl Stream {
    /// Creates a stream of which nothing is kept.
    pub const fn new(name: &'static str) -> Self {
        let kept = Mutex::new(Kept { bytes: Vec::new(), failed: false });
        Self { name, kept, told: AtomicBool::new(false) }
    }

    /// Returns true once, for the first caller that wants to say that the stream is lost.
    pub fn is_news(&self) -> bool {
        !self.told.swap(true, Ordering::SeqCst)
    }

    /// Writes what was kept, and then `text`. What cannot be written is kept, as far as there is
    /// room. After a failure the next call does not wait for a reader.
    ///
    /// # Errors
    /// Fails as the stream does; with `TimedOut` if its reader takes nothing for the time of
    /// `patience`.
    pub fn send(&self, mut to: impl Target, text: &str, patience: Duration) -> io::Result<()> {
        let kept = &mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes.len() + text.len() <= BACKLOG {
            kept.bytes.extend(text.as_bytes());
        }
        let patience = if kept.failed { Duration::ZERO } else { patience };
        let mut done = 0;
        let mut drain = || {
            while done < kept.bytes.len() {
                wait(&to, Some(patience))?;
                let end = kept.bytes.len().min(done + CHUNK);
                done += write(&mut to, &kept.bytes[done..end])?;
            }
            Ok(())
        };
        let drained = drain();
        kept.bytes.drain(..done);
        kept.failed = drained.is_err();
        drained
    }
}

/// Writes all bytes, and waits for the reader for as long as it likes.
///
/// # Errors
/// Fails as the stream does.
pub fn write_all(to: &mut impl Target, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        wait(to, None)?;
        bytes = &bytes[write(to, bytes)?..];
    }
    Ok(())
}

/// Writes some of the bytes: none if the stream, which does not wait, is full again.
fn write(to: &mut impl Target, bytes: &[u8]) -> io::Result<usize> {
    match unbuffered(to, bytes) {
        Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
        Err(error) if is_transient(&error) => Ok(0),
        written => written,
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

#[cfg(unix)]
pub use std::os::fd::AsFd as Target;

/// Past the buffer of the standard library, which would keep what a full disk does not take, and
/// write it again.
#[cfg(unix)]
fn unbuffered(to: &mut impl Target, bytes: &[u8]) -> io::Result<usize> {
    match rustix::io::write(to, bytes) {
        // The standard library takes a stream that is not open for writing for one that is not there.
        Err(rustix::io::Errno::BADF) => Ok(bytes.len()),
        written => Ok(written?),
    }
}

/// Waits until the stream takes some bytes, or is broken.
#[cfg(unix)]
fn wait(to: &impl Target, patience: Option<Duration>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    loop {
        match poll(&mut [PollFd::new(to, PollFlags::OUT)], patience.as_ref()) {
            Ok(0) => {
                let message = "its reader takes nothing";
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(rustix::io::Errno::INTR) => {}
            // What cannot be waited for is written at once.
            _ => return Ok(()),
        }
    }
}

#[cfg(not(unix))]
pub use std::io::Write as Target;

#[cfg(not(unix))]
fn unbuffered(to: &mut impl Target, bytes: &[u8]) -> io::Result<usize> {
    let written = to.write(bytes)?;
    to.flush()?;
    Ok(written)
}

#[cfg(not(unix))]
fn wait(_: &impl Target, _: Option<Duration>) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::Stream;
    use std::fs::OpenOptions;
    use std::io::{self, Read};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_millis(20);

    #[test]
    fn what_a_reader_takes_late_is_whole() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let stream = Stream::new("a pipe");
        let lines: Vec<String> = (0..20_000).map(|n| format!("line {n}\n")).collect();
        let failed = lines.iter().filter(|l| stream.send(&writer, l, PATIENCE).is_err()).count();
        assert!(failed > 10_000, "{failed}: a pipe takes no more than 64 KiB");
        let read = std::thread::spawn(move || {
            let mut all = String::new();
            reader.read_to_string(&mut all).map(|_| all)
        });
        while stream.send(&writer, "", Duration::from_secs(10)).is_err() {}
        drop(writer);
        assert_eq!(read.join().expect("no panic").expect("text"), lines.concat());
    }

    #[test]
    fn a_stream_that_fails_is_news_once() {
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
            return rnn_testing::skip("no /dev/full");
        };
        let stream = Stream::new("a full disk");
        for _ in 0..3 {
            let error = stream.send(&full, "line\n", PATIENCE).expect_err("no room");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        assert_eq!([stream.is_news(), stream.is_news()], [true, false]);
    }
}
