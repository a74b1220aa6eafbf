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

    /// Returns the configuration as it is written into the folder `run`. Paths to data that lies in
    /// the folder, or beside it in one of the two folders above, become relative to the folder; all
    /// others become absolute. A relative path begins in the working directory; a path that cannot
    /// be made absolute stays as it is.
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

    /// Returns the configuration, read from the folder `run` where [`Config::kept_in`] wrote it,
    /// with its relative paths resolved against the folder's present place. A relative path of a
    /// configuration without a fingerprint, which older versions wrote, is resolved only if
    /// something is there, and else begins in the working directory.
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

    /// Replaces the path of the data and that of the list of its words by those in `moved`, in that
    /// order, made absolute; `None` keeps a path.
    ///
    /// # Errors
    /// Fails with [`RunError::NoDataFile`] or [`RunError::NoWordFile`] if the run reads no such
    /// file, or if a path is empty or the working directory is unknown. That the new files exist is
    /// not checked.
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

    /// Makes sure that the file or folder of the data exists, if the run reads one.
    ///
    /// # Errors
    /// Fails with [`RunError::DataGone`] if it does not.
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
