use crate::error::RunError;
use crate::host::{Guard, Host};
use anyhow::{Context, Result, bail, ensure};
use rnn_formats::is_in_use;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A lock that keeps other processes from writing into the same run until it is dropped. The system
/// frees the lock of a process that dies.
#[derive(Debug)]
pub struct RunLock {
    held: Arc<Mutex<Option<Held>>>,
    _at_end: Guard,
}

impl RunLock {
    /// Locks the folder of a run, which must exist, through the file `.lock` in it. The file is
    /// removed when the lock is dropped, or when the program of `host` ends.
    ///
    /// # Errors
    /// Fails with [`RunError::Locked`] if another process writes into the folder; otherwise if
    /// `.lock` is a link or a file of other contents, or cannot be created or locked.
    pub fn acquire(folder: &Path, host: &dyn Host) -> Result<Self> {
        let path = folder.join(".lock");
        let cannot = || format!("cannot lock {}", path.display());
        let foreign = match fs::symlink_metadata(&path) {
            // On Windows one that is just being removed cannot be looked at.
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_in_use(&error) => false,
            data => data.map(|data| !data.is_file() || data.len() > 0).with_context(cannot)?,
        };
        ensure!(!foreign, "{} is no lock of this program: move it", path.display());
        let held = Held::try_at(&path).with_context(cannot)?;
        let Some(held) = held else { bail!(RunError::Locked { folder: folder.to_owned() }) };
        let held = Arc::new(Mutex::new(Some(held)));
        let at_end = held.clone();
        let _at_end = host.at_end(Box::new(move || release(&at_end)));
        Ok(Self { held, _at_end })
    }

    /// Locks the folder of a run as [`RunLock::acquire`] does; `None` if nothing can be written
    /// there, because the folder or its disk is read-only.
    ///
    /// # Errors
    /// Fails as [`RunLock::acquire`].
    pub fn acquire_if_writable(folder: &Path, host: &dyn Host) -> Result<Option<Self>> {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match Self::acquire(folder, host) {
            Err(error) => match error.downcast_ref().map(io::Error::kind) {
                Some(PermissionDenied | ReadOnlyFilesystem) => Ok(None),
                _ => Err(error),
            },
            lock => lock.map(Some),
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        release(&self.held);
    }
}

fn release(held: &Mutex<Option<Held>>) {
    drop(held.lock().unwrap_or_else(PoisonError::into_inner).take());
}

#[cfg(unix)]
use unix::Held;
#[cfg(windows)]
use windows::Held;

#[cfg(unix)]
mod unix {
    use rustix::fs::OFlags;
    use std::fs::{self, File, TryLockError};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::{Path, PathBuf};

    /// A file that this process has locked, and removes in the end.
    #[derive(Debug)]
    pub struct Held {
        path: PathBuf,
        file: File,
    }

    impl Held {
        /// Opens the file, or creates it, and locks it; `None` if another process has. What else may
        /// appear there meanwhile keeps its contents: a link is not followed, nothing is truncated,
        /// and a pipe is not waited for.
        pub fn try_at(path: &Path) -> io::Result<Option<Self>> {
            let mut options = File::options();
            options.write(true).create(true).truncate(false);
            options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
            loop {
                let file = options.open(path)?;
                match file.try_lock() {
                    Ok(()) => {}
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(error)) => return Err(error),
                }
                // The one who held the lock may have removed the file after it was opened here.
                if is_at(&file, path)? {
                    return Ok(Some(Self { path: path.to_owned(), file }));
                }
            }
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            // A file that stays does no harm: it is not locked.
            if is_at(&self.file, &self.path).unwrap_or(false) {
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    /// Whether the open file is the one that has this name.
    fn is_at(file: &File, path: &Path) -> io::Result<bool> {
        let identity = |data: fs::Metadata| (data.dev(), data.ino());
        let open = identity(file.metadata()?);
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            named => Ok(identity(named?) == open),
        }
    }
}

#[cfg(windows)]
mod windows {
    use rnn_formats::patiently;
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::OpenOptionsExt;
    use std::path::Path;
    use std::time::Duration;

    /// A file that is open for this process alone, and that the system removes when it is closed.
    #[derive(Debug)]
    pub struct Held {
        _file: File,
    }

    /// The link itself is opened.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
    /// Another program has the file open. One that is just being removed gives "access denied" instead, as
    /// one that may not be written does.
    const ERROR_SHARING_VIOLATION: i32 = 32;
    const PATIENCE: Duration = Duration::from_millis(500);

    impl Held {
        /// Opens the file, or creates it; `None` if another process has it open, longer than for the
        /// moment that a scanner takes.
        pub fn try_at(path: &Path) -> io::Result<Option<Self>> {
            let mut options = File::options();
            options.write(true).create(true).truncate(false).share_mode(0);
            options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_DELETE_ON_CLOSE);
            match patiently(PATIENCE, || options.open(path)) {
                Ok(file) => Ok(Some(Self { _file: file })),
                Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(None),
                Err(error) => Err(error),
            }
        }
    }
}
