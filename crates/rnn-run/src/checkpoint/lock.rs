use crate::error::RunError;
use crate::host::{Guard, Host};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// A lock that keeps other processes from training into the same folder. Dropping it releases it.
/// If the process dies, the system releases it.
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
    /// Fails with [`RunError::Locked`] if another process holds the lock. Fails also if `.lock` is
    /// not an empty file, or if it cannot be created or locked.
    pub fn acquire(folder: &Path, host: &dyn Host) -> Result<Self> {
        let path = folder.join(".lock");
        loop {
            let foreign =
                fs::symlink_metadata(&path).is_ok_and(|data| !data.is_file() || data.len() > 0);
            ensure!(!foreign, "{} is no lock of this program: move it", path.display());
            let cannot = || format!("cannot lock {}", path.display());
            // Another program's file that appears here meanwhile keeps its contents.
            let file = File::options().write(true).create(true).truncate(false).open(&path);
            let file = file.with_context(cannot)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    bail!(RunError::Locked { folder: folder.to_owned() })
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
            }
            // The one who held the lock may have removed the file after it was opened here.
            if is_at(&file, &path) {
                let _removed = host.at_end({
                    let path = path.clone();
                    Box::new(move || drop(fs::remove_file(path)))
                });
                return Ok(Self { path, _file: file, _removed });
            }
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // A file that stays does no harm: it is not locked.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |data: fs::Metadata| (data.dev(), data.ino());
    let (open, named) = (file.metadata().map(identity), fs::symlink_metadata(path).map(identity));
    matches!((open, named), (Ok(open), Ok(named)) if open == named)
}

/// Elsewhere a file that is open keeps its name.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}
