//! The files that a run was trained on, wherever it lies.

use super::{Config, Task};
use crate::error::RunError;
use crate::source::DatasetSource;
use anyhow::{Result, bail, ensure};
use std::fs;
use std::path::{Component, Path, PathBuf, absolute};

/// The number of levels above the folder of a run at which its data still lies beside it:
/// `project/data.npz` and `project/runs/lstm`.
const LEVELS: usize = 2;

impl Config {
    /// The data of the user's and the list of its words, where they are files or folders.
    fn paths(&mut self) -> [Option<&mut PathBuf>; 2] {
        match &mut self.task {
            Task::Custom(own) => [Some(&mut own.arrays), None],
            Task::Builtin(task) => {
                let data = match &mut task.data {
                    DatasetSource::Imdb(path) | DatasetSource::Text { path, .. } => Some(path),
                    DatasetSource::Bundled | DatasetSource::Movies(_) => None,
                };
                [data, task.word_index.as_mut()]
            }
        }
    }

    /// Returns the configuration as it is written into the folder `run`, which must exist. A path
    /// to data in that folder, or in one of the two folders above it, becomes relative to `run`;
    /// other paths become absolute. The paths of `self` are relative to the working directory. A
    /// path that cannot be made absolute stays.
    pub fn kept_in(&self, run: &Path) -> Self {
        let mut config = self.clone();
        for path in config.paths().into_iter().flatten() {
            if let Some(relative) = relative(path, run) {
                *path = relative;
            } else if let Ok(whole) = absolute(&*path) {
                *path = whole;
            }
        }
        config
    }

    /// Returns the configuration that was read from the folder `run`, with its relative paths
    /// resolved against that folder, the reverse of [`Config::kept_in`]. Older versions wrote paths
    /// relative to the working directory and no fingerprint: without a fingerprint, a path is
    /// resolved only if it then leads to something that exists.
    pub fn found_in(mut self, run: &Path) -> Self {
        // Before there was a fingerprint, paths began in the folder that `train` was called in.
        let old = self.fingerprint.is_none();
        for path in self.paths().into_iter().flatten() {
            let beside = tidied(&run.join(&*path));
            if path.is_relative() && (!old || beside.exists()) {
                *path = beside;
            }
        }
        self
    }

    /// Replaces the paths of the data and of its word list by those in `moved`, in that order, made
    /// absolute; `None` keeps a path. Whether the new files exist is not checked.
    ///
    /// # Errors
    /// Fails with [`RunError::NoDataFile`] if a path is given for data that is in no file, and with
    /// [`RunError::NoWordFile`] if one is given for a word list that the run does not read from a
    /// file. Fails also if a path is empty or the working directory is unknown.
    pub fn replace_data(&mut self, moved: [Option<PathBuf>; 2]) -> Result<()> {
        let data = self.data();
        let [data_path, word_path] = self.paths();
        let [moved_data, moved_words] = moved;
        match (data_path, moved_data) {
            (Some(path), Some(moved)) => *path = absolute(moved)?,
            (None, Some(_)) => bail!(RunError::NoDataFile { data }),
            (_, None) => {}
        }
        match (word_path, moved_words) {
            (Some(path), Some(moved)) => *path = absolute(moved)?,
            (None, Some(_)) => bail!(RunError::NoWordFile { data }),
            (_, None) => {}
        }
        Ok(())
    }

    /// Returns the configuration for people: what is no UTF-8 in its paths is replaced.
    pub(super) fn with_shown_paths(&self) -> Self {
        let mut config = self.clone();
        for path in config.paths().into_iter().flatten() {
            *path = path.to_string_lossy().into_owned().into();
        }
        config
    }

    /// Makes sure that the configuration can be written into the folder `run`: its paths are
    /// UTF-8, as the text of the files is.
    ///
    /// # Errors
    /// Fails with [`RunError::NotUtf8`] if one is not.
    pub fn check_paths(&self, run: &Path) -> Result<()> {
        let mut kept = self.kept_in(run);
        let mut paths = kept.paths().into_iter().flatten();
        match paths.find(|path| path.to_str().is_none()) {
            Some(path) => bail!(RunError::NotUtf8 { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// Makes sure that the file or folder of the data exists, if the run reads one.
    ///
    /// # Errors
    /// Fails with [`RunError::DataGone`] if it does not exist.
    pub fn check_data(&mut self) -> Result<()> {
        if let [Some(path), _] = self.paths() {
            ensure!(path.exists(), RunError::DataGone { path: path.clone() });
        }
        Ok(())
    }
}

/// The path as it begins in the folder `run`, if what it leads to lies in that, or beside it.
fn relative(path: &Path, run: &Path) -> Option<PathBuf> {
    // A link to data elsewhere lies where the link does.
    let folder = fs::canonicalize(absolute(path).ok()?.parent()?).ok()?;
    let path = folder.join(path.file_name()?);
    let run = fs::canonicalize(run).ok()?;
    for (up, above) in run.ancestors().take(LEVELS + 1).enumerate() {
        // What all files lie beside is beside none.
        above.parent()?;
        if let Ok(below) = path.strip_prefix(above) {
            let up = std::iter::repeat_n(Component::ParentDir, up);
            return Some(up.collect::<PathBuf>().join(below));
        }
    }
    None
}

/// The path without detours, where its folder is there.
fn tidied(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::relative;
    use std::fs;
    use std::path::Path;

    #[test]
    fn what_lies_beside_a_run_is_found_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b/runs/lstm")).unwrap();
        fs::create_dir_all(at("a/b/data")).unwrap();
        let from = |path: &str| relative(&at(path), &at("a/b/runs/lstm"));
        let is =
            |path: &str, wanted: &str| assert_eq!(from(path).as_deref(), Some(Path::new(wanted)));
        is("a/b/data/d.npz", "../../data/d.npz");
        is("a/b/runs/d.npz", "../d.npz");
        is("a/b/runs/lstm/d.npz", "d.npz");
        is("a/b/data/../d.npz", "../../d.npz");
        assert_eq!(from("a/d.npz"), None);
    }
}
