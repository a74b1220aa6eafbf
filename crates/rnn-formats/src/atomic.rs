//! Writing files so that a reader sees the old contents or the new, never a part.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file could not be written. Whatever stood at the path before is untouched.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot write {}: {source}; check that the folder exists, is writable and has space left",
    path.display()
)]
pub struct WriteError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What the system or the writer reported.
    pub source: io::Error,
}

/// Replaces the file at `path` by what `fill` writes.
///
/// The bytes go to a temporary file in the same folder, are flushed to the disk, and only then
/// renamed over `path`. If anything fails, or the process dies, `path` keeps its old contents.
///
/// # Errors
/// [`WriteError`] if the folder is missing or not writable, the disk is full, or `fill` fails.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    replace(path, fill).map_err(|source| WriteError { path: path.to_owned(), source })
}

const PREFIX: &str = ".rnn-";
const SUFFIX: &str = ".tmp";

/// Removes what writers that died left unfinished in a folder, in which nobody else may write.
pub fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let unfinished =
            name.to_str().is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX));
        if unfinished && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn replace(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Temporary files are private by default; a result should have the mode of any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder)?;
    let mut writer = BufWriter::new(temporary.as_file_mut());
    fill(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    // The rename is durable once the folder is. Not every file system can flush a folder.
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
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
        assert!(error.to_string().contains("a.txt: out of luck"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_dead_writers_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".rnn-x7Y.tmp", ".rnn-x7Y", "a.tmp", "a.txt"] {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        assert!(!folder.path().join(".rnn-x7Y.tmp").exists());
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
