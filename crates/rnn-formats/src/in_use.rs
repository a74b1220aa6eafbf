//! Files that another program holds open. On Windows it may keep them from being replaced or removed
//! meanwhile: a virus scanner or a search index for the moment in which it reads what was just
//! written, a viewer for longer.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The time for which a file in use is waited for: scanners are done by then.
const PATIENCE: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_millis(20);

/// Renames a file as [`fs::rename`] does, in place of one that is there. If another program holds one
/// of them open, it is waited for, up to two seconds.
///
/// # Errors
/// Fails as [`fs::rename`]; both files are then as they were.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    patiently(PATIENCE, || fs::rename(from, to))
}

/// Removes a file as [`fs::remove_file`] does. If another program holds it open, that is waited for, up
/// to two seconds.
///
/// # Errors
/// Fails as [`fs::remove_file`].
pub fn remove_file(path: &Path) -> io::Result<()> {
    patiently(PATIENCE, || fs::remove_file(path))
}

/// Removes a file as [`remove_file`] does, if it is there.
///
/// # Errors
/// Fails as [`fs::remove_file`], except that no such file is no error.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Returns true if a file could not be opened, replaced or removed because a program holds it open,
/// which only Windows makes an error of. There a file that may not be written looks the same.
pub fn is_in_use(error: &io::Error) -> bool {
    /// `ERROR_ACCESS_DENIED`, with which a rename over an open file fails; `ERROR_SHARING_VIOLATION`;
    /// `ERROR_LOCK_VIOLATION`; `ERROR_USER_MAPPED_FILE`.
    const CODES: [i32; 4] = [5, 32, 33, 1224];
    cfg!(windows) && error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

/// Does `work` again and again while another program holds its file open, for `patience` at most, and
/// returns its last result.
pub fn patiently<T>(patience: Duration, mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        match work() {
            Err(error) if is_in_use(&error) && begun.elapsed() < patience => thread::sleep(PAUSE),
            done => return done,
        }
    }
}
