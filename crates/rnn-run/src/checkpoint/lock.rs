use crate::error::RunError;
use crate::host::{Guard, Host};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A lock that keeps other processes from writing into the same run until it is dropped. The system
/// frees the lock of a process that dies.
#[derive(Debug)]
pub struct RunLock {
    path: PathBuf,
    _file: File,
    _removed: Guard,
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
        loop {
            let foreign =
                fs::symlink_metadata(&path).is_ok_and(|data| !data.is_file() || data.len() > 0);
            ensure!(!foreign, "{} is no lock of this program: move it", path.display());
            let cannot = || format!("cannot lock {}", path.display());
            let file = open(&path).with_context(cannot)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    bail!(RunError::Locked { folder: folder.to_owned() })
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
            }
            // The one who held the lock may have removed the file after it was opened here.
            if is_at(&file, &path).with_context(cannot)? {
                let _removed = host.at_end({
                    let path = path.clone();
                    Box::new(move || drop(fs::remove_file(path)))
                });
                return Ok(Self { path, _file: file, _removed });
            }
        }
    }
}

impl RunLock {
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

/// Opens the file of the lock, and creates it if need be. What else may appear here meanwhile keeps
/// its contents: a link is not followed, and nothing is truncated.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        // A pipe is not waited for.
        libc::O_NOFOLLOW | libc::O_NONBLOCK,
    );
    #[cfg(windows)]
    {
        /// Of the file system: the link itself is opened.
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        std::os::windows::fs::OpenOptionsExt::custom_flags(
            &mut options,
            FILE_FLAG_OPEN_REPARSE_POINT,
        );
    }
    options.open(path)
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // A file that stays does no harm: it is not locked.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the open file is the one that has this name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let identity = |data: fs::Metadata| (data.dev(), data.ino());
    let open = identity(file.metadata()?);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        named => Ok(identity(named?) == open),
    }
}

/// Elsewhere a file that is open keeps its name.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}
