//! The files that a command writes for the user. None is written twice, and none takes the place of
//! a file that the command reads or of a file of a run.

use crate::run::contents::{self, exists};
use anyhow::{Context, Result, ensure};
use rnn::nn::distinct_names;
use rnn_formats::check_names;
use std::fs;
use std::path::{Path, PathBuf};

/// Checks, before much work is done for it, that the file `path` can be written by a command that reads
/// no files.
///
/// # Errors
/// Fails as [`Outputs::take`].
pub fn check(path: &Path) -> Result<()> {
    Outputs::default().take(path).map(drop)
}

/// The files that a command reads, and the files that it is going to write, which are checked so
/// that none is overwritten by mistake. [`Default`] reads none.
#[derive(Debug, Default)]
pub struct Outputs {
    sources: Vec<PathBuf>,
    taken: Vec<PathBuf>,
}

impl Outputs {
    /// Returns the record of a command that reads the files and folders `sources`.
    pub fn of(sources: &[&Path]) -> Self {
        let sources = sources.iter().map(|source| (*source).to_owned()).collect();
        Self { sources, taken: vec![] }
    }

    /// Adds `path` to the files that the command is going to write, and returns it. Nothing is
    /// written.
    ///
    /// # Errors
    /// Fails in each of these cases:
    ///
    /// - `path` names no file, is a folder, or has a name that the system does not give to files
    ///   ([`check_names`]).
    /// - It is a file that the command reads, under any name or link.
    /// - It is an existing `.npy` file in a folder of arrays that the command reads.
    /// - It is in the folder of a run or a model and has the name of a file of a run.
    /// - It was taken before; upper and lower case count as equal.
    pub fn take(&mut self, path: &Path) -> Result<PathBuf> {
        check_names(path)?;
        let shown = path.display();
        let name = path.file_name().with_context(|| format!("{shown} names no file"))?;
        ensure!(!path.is_dir(), "{shown} is a folder: name a file");
        let folder = folder_of(path);
        for source in &self.sources {
            let read = same_file(path, source)
                // The arrays of a folder of them.
                || same_file(folder, source)
                    && !contents::holds_model(source)?
                    && exists(path)?
                    && is_array(path);
            ensure!(!read, "{shown} is what is read here: choose another name");
        }
        let of_run = name.to_str().is_some_and(contents::writes) && contents::holds_model(folder)?;
        ensure!(
            !of_run,
            "{shown} is a file of the run in {}: choose another name",
            folder.display()
        );
        // File systems that do not tell small letters from capitals would make two names one file.
        let place = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let place = place.join(name.to_string_lossy().to_lowercase());
        ensure!(!self.taken.contains(&place), "{shown} would be written twice");
        self.taken.push(place);
        Ok(path.to_owned())
    }

    /// Takes a file for each of several arrays and returns the paths in order: `path` itself if
    /// there is one array, else `STEM-NAME.npy` beside it, STEM being its name without the ending.
    /// In each of `names`, characters other than letters, digits, `.`, `-` and `_` become `_`;
    /// names that are then equal are numbered.
    pub fn take_each(&mut self, path: &Path, names: &[String]) -> Result<Vec<PathBuf>> {
        if names.len() == 1 {
            return Ok(vec![self.take(path)?]);
        }
        let plain = |c: char| if c.is_alphanumeric() || ".-_".contains(c) { c } else { '_' };
        let names: Vec<String> =
            names.iter().map(|name| name.chars().map(plain).collect()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let files = distinct_names(&names, str::to_lowercase).into_iter();
        files.map(|name| self.take(&path.with_file_name(format!("{stem}-{name}.npy")))).collect()
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn is_array(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "npy")
}

/// Returns true if two paths lead to one file or folder, through links as well.
#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino()));
    matches!((identity(a), identity(b)), (Ok(a), Ok(b)) if a == b)
}

/// Returns true if two paths lead to one file or folder.
#[cfg(not(unix))]
fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::Outputs;
    use std::fs;

    #[test]
    fn each_output_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let names = |names: &[&str]| -> Vec<String> {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let files = Outputs::of(&[]).take_each(&folder.path().join("y.npy"), &names);
            let name =
                |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().into();
            files.unwrap().into_iter().map(name).collect()
        };
        assert_eq!(names(&["dec"]), ["y.npy"]);
        assert_eq!(names(&["y", "dec", "dec_1"]), ["y-y.npy", "y-dec.npy", "y-dec_1.npy"]);
        assert_eq!(names(&["a/b", "a_b", "a:b"]), ["y-a_b.npy", "y-a_b_1.npy", "y-a_b_2.npy"]);
        assert_eq!(names(&["Out", "out"]), ["y-Out.npy", "y-out_1.npy"]);
        assert_eq!(names(&["größe", "..", "日本"]), ["y-größe.npy", "y-...npy", "y-日本.npy"]);
    }

    #[test]
    fn nothing_is_written_twice_or_over_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("x.npy"), "x").unwrap();
        let source = at("x.npy");
        let mut outputs = Outputs::of(&[&source]);
        assert!(outputs.take(&at("y.npy")).is_ok());
        for twice in ["y.npy", "./y.npy", "Y.npy"] {
            assert!(outputs.take(&at(twice)).unwrap_err().to_string().contains("twice"), "{twice}");
        }
        assert!(outputs.take(&source).unwrap_err().to_string().contains("is read here"));
        assert!(outputs.take(folder.path()).is_err());
        #[cfg(unix)]
        {
            fs::hard_link(&source, at("hard.npy")).unwrap();
            std::os::unix::fs::symlink(&source, at("soft.npy")).unwrap();
            for other in ["hard.npy", "soft.npy"] {
                assert!(outputs.take(&at(other)).is_err(), "{other}");
            }
        }
        // Of a folder that is read its arrays are left alone.
        let mut outputs = Outputs::of(&[folder.path()]);
        assert!(outputs.take(&source).is_err() && outputs.take(&at("new.npy")).is_ok());
    }
}
