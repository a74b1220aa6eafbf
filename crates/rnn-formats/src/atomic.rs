//! Writing files so that a reader sees the old contents or the new, never a part.

use crate::in_use::{is_in_use, rename};
use crate::name::check_names;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::NamedTempFile;

/// The error that a file could not be written. A file that stood at the path before is unchanged.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}; check that {}", path.display(), to_check(source))]
pub struct WriteError {
    /// Path of the file.
    pub path: PathBuf,
    /// The error of the operating system, or of the code that wrote the contents.
    pub source: io::Error,
}

fn to_check(source: &io::Error) -> &'static str {
    match is_in_use(source) {
        true => "no other program has it open, and that it is writable",
        false => "the folder exists, is writable and has space left",
    }
}

/// Replaces the file at `path` with the bytes that `fill` writes, by means of an [`AtomicFile`]. If
/// anything fails, a file at `path` stays as it was.
///
/// # Errors
/// Fails with [`WriteError`] if the folder is missing or not writable, the disk is full, or `fill`
/// fails.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut AtomicFile) -> io::Result<()>,
) -> Result<(), WriteError> {
    let mut file = AtomicFile::create(path)?;
    let filled = fill(&mut file);
    filled.map_err(|source| WriteError { path: path.to_owned(), source })?;
    file.commit()
}

/// A file that takes the place of the file at a path once it is complete.
///
/// The bytes go to a temporary file in the same folder, which is locked, so that those that dead
/// writers left are told apart and removed (once a process and folder), and which
/// [`AtomicFile::commit`] flushes to the disk and renames. If anything fails before, the process dies
/// or this is dropped, the other file keeps its contents.
#[derive(Debug)]
pub struct AtomicFile {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
    begun: Begun,
}

/// The temporary files of this process.
static BEGUN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// An entry in that list.
#[derive(Debug)]
struct Begun(PathBuf);

impl Drop for Begun {
    fn drop(&mut self) {
        BEGUN.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

/// Removes the temporary files of all [`AtomicFile`]s of this process. The caller must end the
/// process next: from now on, every thread that creates, commits or drops an [`AtomicFile`] blocks
/// for ever.
pub fn abandon_all() {
    let begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    for path in begun.iter() {
        // What another thread has removed needs no removing.
        let _ = std::fs::remove_file(path);
    }
    std::mem::forget(begun);
}

const PREFIX: &str = ".rnn-";
const SUFFIX: &str = ".tmp";

/// The folders that this process has swept.
static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes the temporary files that writers which died left in a folder: those that no process has
/// locked, or on Windows open. It is done once for a folder; what cannot be removed stays.
fn sweep(folder: &Path) {
    if !SWEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned()) {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX));
        // Of another kind, such as a pipe or a link to one, it would be waited for.
        if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            remove_dead(&entry.path());
        }
    }
}

/// The lock is held meanwhile, so that a writer that has just begun sees it.
#[cfg(not(windows))]
fn remove_dead(path: &Path) {
    if let Ok(file) = File::open(path)
        && file.try_lock().is_ok()
    {
        let _ = std::fs::remove_file(path);
    }
}

/// A lock would keep readers from the file here. A writer has it open, so that it cannot be opened for
/// one program alone.
#[cfg(windows)]
fn remove_dead(path: &Path) {
    use std::os::windows::fs::OpenOptionsExt;
    const DELETE: u32 = 0x0001_0000;
    const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
    let mut options = File::options();
    options.access_mode(DELETE).share_mode(0).custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
    drop(options.open(path));
}

/// Creates a temporary file and locks it, so that nobody takes it for one of a writer that died.
#[cfg(unix)]
fn create_locked(builder: &tempfile::Builder<'_, '_>, folder: &Path) -> io::Result<NamedTempFile> {
    use std::fs::TryLockError;
    use std::os::unix::fs::MetadataExt;
    loop {
        let file = builder.tempfile_in(folder)?;
        match file.as_file().try_lock() {
            // Somebody sweeps it.
            Err(TryLockError::WouldBlock) => continue,
            // Where files cannot be locked, nobody finds one unlocked either.
            Err(TryLockError::Error(_)) => return Ok(file),
            Ok(()) => {}
        }
        if file.as_file().metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

/// Without the attribute of temporary files, which would stay with the renamed file.
#[cfg(not(unix))]
fn create_locked(builder: &tempfile::Builder<'_, '_>, folder: &Path) -> io::Result<NamedTempFile> {
    builder
        .make_in(folder, |path| File::options().read(true).write(true).create_new(true).open(path))
}

impl AtomicFile {
    /// Creates an empty temporary file in the folder of `path`, which [`AtomicFile::commit`] will
    /// rename to `path`.
    ///
    /// # Errors
    /// Fails with [`WriteError`] if the folder is missing or not writable, or the system does not give
    /// that name to files ([`check_names`]).
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        let failed = |source| WriteError { path: path.to_owned(), source };
        check_names(path).map_err(|error| failed(io::Error::other(error)))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        // Temporary files are private by default; a result should have the mode of any new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        sweep(folder(path));
        let mut all = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
        let file = create_locked(&builder, folder(path));
        let file = file.map_err(failed)?;
        let begun = Begun(file.path().to_owned());
        all.push(begun.0.clone());
        Ok(Self { writer: BufWriter::new(file), path: path.to_owned(), begun })
    }

    /// Flushes the file to the disk and renames it to its path, over a file that is there.
    ///
    /// # Errors
    /// Fails with [`WriteError`] if the disk is full or the file cannot be renamed. A file at the
    /// path then keeps its contents, and the temporary file is deleted.
    pub fn commit(self) -> Result<(), WriteError> {
        let Self { writer, path, begun } = self;
        let place = || -> io::Result<()> {
            let mut temporary = writer.into_inner().map_err(IntoInnerError::into_error)?;
            temporary.as_file().sync_all()?;
            let all = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
            rename(temporary.path(), &path)?;
            temporary.disable_cleanup(true);
            drop(all);
            drop(begun);
            // The rename is durable once the folder is. Not every file system can flush a folder.
            #[cfg(unix)]
            if let Ok(folder) = File::open(folder(&path)) {
                let _ = folder.sync_all();
            }
            Ok(())
        };
        place().map_err(|source| WriteError { path: path.clone(), source })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn replaces_the_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for text in ["one", "two"] {
            write_atomically(&path, |w| w.write_all(text.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_writer_leaves_the_old_contents_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let error = write_atomically(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("out of luck"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.txt"));
        assert_eq!(error.source.to_string(), "out of luck");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_dead_writers_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".rnn-x7Y.tmp", ".rnn-x7Y", "a.tmp", "a.txt"] {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        let path = folder.path().join("b.txt");
        let alive = File::create(folder.path().join(".rnn-abc.tmp")).unwrap();
        #[cfg(unix)]
        alive.lock().unwrap();
        let writing = AtomicFile::create(&path).unwrap();
        // It stands for another process, which sweeps as well.
        SWEPT.lock().unwrap().remove(folder.path());
        write_atomically(&path, |_| Ok(())).unwrap();
        writing.commit().unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".rnn-abc.tmp", ".rnn-x7Y", "a.tmp", "a.txt", "b.txt"]);
        drop(alive);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/a.txt");
        let error = write_atomically(&path, |_| Ok(())).unwrap_err();
        assert_eq!(error.path, path);
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }
}
