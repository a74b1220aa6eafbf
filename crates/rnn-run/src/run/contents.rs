//! The files that a run writes into its folder, as opposed to files of the user's.

use super::RunFolder;
use crate::checkpoint::Store;
use crate::config::Config;
use crate::error::RunError;
use anyhow::{Context, Result, bail};
use rnn::model_file::{MODEL_JSON, OPTIMIZER, WEIGHTS};
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the file in the folder of a run that says where its TensorBoard curves are.
pub const CURVES_NOTE: &str = "tensorboard.txt";

/// Name of the file in the folder of an imported model while it is written. While it is there, the model's
/// files in the folder are those of an import that has not ended, not the user's.
pub const IMPORT_MARK: &str = ".import";

/// The files that a run writes into its folder, besides those in folders of it.
const FILES: [&str; 16] = [
    "config.json",
    "curves.png",
    "forecast.png",
    "histogram.png",
    "history.csv",
    "history.json",
    IMPORT_MARK,
    MODEL_JSON,
    OPTIMIZER,
    "report.html",
    "report.json",
    "report.txt",
    "results.json",
    CURVES_NOTE,
    "vocabulary.json",
    WEIGHTS,
];

/// The contents of a folder, which decide whether a new run may begin there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Nothing that would be lost: the folder does not exist, is empty, or holds only what a
    /// process left that died before its first checkpoint or the end of its import.
    Nothing,
    /// A finished run.
    Run,
    /// A run that is not finished and can be resumed.
    Unfinished,
    /// A model that was imported.
    Imported,
    /// No run and no model, but other files or folders. The path is that of the first of them by
    /// name.
    Other(PathBuf),
}

impl Holds {
    /// Returns what a folder holds.
    ///
    /// # Errors
    /// Fails with [`RunError::Unreadable`] if the path is no folder, or the folder cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        let store = Store::of(folder);
        if store.is_unfinished()? {
            return Ok(Self::Unfinished);
        }
        if is_run(folder)? {
            return Ok(Self::Run);
        }
        if has_model(folder)? {
            return Ok(Self::Imported);
        }
        let unreadable = |source| RunError::Unreadable { folder: folder.to_owned(), source };
        let all = entries(folder).map_err(unreadable)?;
        let half_imported = all.iter().any(|entry| name_of(entry) == IMPORT_MARK);
        let is_left = |entry: &DirEntry| is_left(entry) || half_imported && is_imported(entry);
        let other = all.iter().find(|entry| !is_left(entry));
        Ok(other.map_or(Self::Nothing, |entry| Self::Other(entry.path())))
    }
}

/// Returns true if a folder holds a run: a `config.json` that is a valid [`Config`], or
/// checkpoints.
///
/// # Errors
/// Fails if a file or folder cannot be read that may be of a run.
pub fn is_run(folder: &Path) -> Result<bool> {
    use io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound};
    let config = folder.join("config.json");
    match fs::read_to_string(&config) {
        Ok(text) if serde_json::from_str::<Config>(&text).is_ok() => return Ok(true),
        Err(error)
            if !matches!(error.kind(), InvalidData | IsADirectory | NotADirectory | NotFound) =>
        {
            return Err(error).with_context(|| format!("cannot read {}", config.display()));
        }
        _ => {}
    }
    Store::of(folder).has_any()
}

/// Returns true if a folder holds a run, finished or not, or an imported model; false also if it
/// does not exist.
///
/// # Errors
/// Fails as [`is_run`].
pub fn holds_model(folder: &Path) -> Result<bool> {
    Ok(has_model(folder)? || is_run(folder)?)
}

/// Returns true if a folder has the files of a model, whether it was trained there or imported.
fn has_model(folder: &Path) -> Result<bool> {
    let there = |name: &str| exists(&folder.join(name));
    Ok(there(MODEL_JSON)? && there(WEIGHTS)?)
}

/// Returns true if a file or folder exists.
///
/// # Errors
/// Fails if the system does not tell, so that what cannot be looked at is not taken to be absent.
pub fn exists(path: &Path) -> Result<bool> {
    match path.try_exists() {
        // Beyond a file there is nothing.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        there => there.with_context(|| format!("cannot look for {}", path.display())),
    }
}

/// Returns true if a run writes a file of this name directly into its folder. Files in subfolders,
/// such as checkpoints, do not count.
pub fn writes(name: &str) -> bool {
    FILES.contains(&name)
}

/// Checks that no folder in `folder` has the name of a file that a run writes, and no file that of
/// its folder of checkpoints.
///
/// # Errors
/// Fails with [`RunError::Occupied`] if there is one.
pub fn check_room(folder: &Path) -> Result<()> {
    let folders = ["checkpoints"].map(|name| (folder.join(name), true));
    let files = FILES.map(|name| (folder.join(name), false));
    for (path, wanted) in folders.into_iter().chain(files) {
        if exists(&path)? && path.is_dir() != wanted {
            let [is, wanted] = if wanted { ["a file", "folder"] } else { ["a folder", "file"] };
            bail!(RunError::Occupied { path, is, wanted });
        }
    }
    Ok(())
}

/// Makes sure that what is written into a folder of a run stays in the run, whoever made that: it is
/// no symbolic link. It need not exist.
///
/// # Errors
/// Fails with [`RunError::Linked`] if it is one.
pub fn check_unlinked(folder: &Path) -> Result<(), RunError> {
    match folder.is_symlink() {
        true => Err(RunError::Linked { path: folder.to_owned() }),
        false => Ok(()),
    }
}

/// Removes the files that a run has written into a folder, and its subfolders that are empty then.
/// Other files stay, and so do the TensorBoard curves of this process. No link is followed.
///
/// # Errors
/// Fails if a folder cannot be read or a file cannot be removed.
pub fn clear(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot remove the run in {}", folder.display());
    let mut folders = Vec::new();
    // The note of where this process writes its curves stays with them.
    let kept = writes_curves_of(folder)?.then_some(CURVES_NOTE);
    let written = |name: &str| FILES.contains(&name) && Some(name) != kept;
    remove(folder, &mut folders, &written).with_context(cannot)?;
    for entry in entries(folder).with_context(cannot)? {
        let name = name_of(&entry);
        if !is_folder(&entry.path()).with_context(cannot)? {
            continue;
        }
        match name.as_str() {
            "checkpoints" => remove(&entry.path(), &mut folders, &is_checkpoint),
            "tensorboard" => ["train", "validation"].into_iter().try_for_each(|part| {
                let part = entry.path().join(part);
                if is_folder(&part)? { remove(&part, &mut folders, &is_board) } else { Ok(()) }
            }),
            name if is_rollout(name) => remove(&entry.path(), &mut folders, &is_of_rollout),
            _ => continue,
        }
        .with_context(cannot)?;
        folders.push(entry.path());
    }
    // These fail where something of the user's is left.
    folders.iter().filter(|path| *path != folder).for_each(|path| drop(fs::remove_dir(path)));
    Ok(())
}

/// Returns true for a folder; false for a link to one, and where nothing is.
fn is_folder(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        data => Ok(data?.is_dir()),
    }
}

/// Removes the files of a folder whose names are of a run.
fn remove(folder: &Path, done: &mut Vec<PathBuf>, ours: &dyn Fn(&str) -> bool) -> io::Result<()> {
    for entry in entries(folder)? {
        let name = name_of(&entry);
        if !entry.file_type()?.is_dir() && (ours(&name) || is_temporary(&name)) {
            rnn_formats::remove_file(&entry.path())?;
        }
    }
    done.push(folder.to_owned());
    Ok(())
}

/// Returns what is in a folder, by name; nothing if the folder does not exist.
///
/// # Errors
/// Fails if it cannot be read.
pub fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    let mut all = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        all => all?.collect::<io::Result<Vec<_>>>()?,
    };
    all.sort_by_key(DirEntry::file_name);
    Ok(all)
}

fn name_of(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

fn is_lock(entry: &DirEntry) -> bool {
    name_of(entry) == ".lock"
        && entry.metadata().is_ok_and(|data| data.is_file() && data.len() == 0)
}

/// Returns true if an import that did not end may have left it.
fn is_imported(entry: &DirEntry) -> bool {
    [IMPORT_MARK, MODEL_JSON, WEIGHTS, OPTIMIZER].contains(&name_of(entry).as_str())
}

/// Returns true if a process that died before its first checkpoint may have left it.
fn is_left(entry: &DirEntry) -> bool {
    let all = |folder: &Path, ours: &dyn Fn(&DirEntry) -> bool| {
        entries(folder).is_ok_and(|entries| entries.iter().all(ours))
    };
    match name_of(entry).as_str() {
        "checkpoints" => all(&entry.path(), &|file| {
            let name = name_of(file);
            file.path().is_file() && (is_checkpoint(&name) || is_temporary(&name))
        }),
        "tensorboard" => all(&entry.path(), &|part| {
            ["train", "validation"].contains(&name_of(part).as_str())
                && all(&part.path(), &|file| of_board(&name_of(file)).is_some())
        }),
        CURVES_NOTE => leads_to_curves(&entry.path()),
        name => is_lock(entry) || is_temporary(name),
    }
}

/// Returns true if a file holds the path of a folder, and is not the user's own of that name.
fn leads_to_curves(note: &Path) -> bool {
    let beside = note.parent().unwrap_or(Path::new(""));
    // A file of any length need not be read whole: a path is short.
    let short = fs::metadata(note).is_ok_and(|data| data.len() <= 1 << 16);
    let text = short.then(|| fs::read_to_string(note).ok()).flatten();
    text.is_some_and(|text| beside.join(text.trim_end_matches(['\r', '\n'])).is_dir())
}

/// Returns true if a writer that died left it: see `rnn_formats::AtomicFile` and `plot::output`.
fn is_temporary(name: &str) -> bool {
    name.starts_with(".rnn-") && name.ends_with(".tmp") || name.starts_with(".picture-")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_checkpoint(name: &str) -> bool {
    let stem = name.strip_suffix(".safetensors").or(name.strip_suffix(".damaged"));
    let step = |stem: &str| stem == "best" || stem.strip_prefix("step-").is_some_and(is_number);
    name == "finished" || stem.is_some_and(step)
}

/// The process that wrote curves for TensorBoard into a file of this name: see
/// `rnn_formats::tensorboard`.
fn of_board(name: &str) -> Option<&str> {
    let mut parts = name.strip_prefix("events.out.tfevents.")?.split('.').skip(1);
    (parts.next()? == "rnn-gpu").then(|| parts.next())?
}

/// Returns true if it holds curves that another process has written.
fn is_board(name: &str) -> bool {
    of_board(name).is_some_and(|process| !is_this_process(process))
}

fn is_this_process(process: &str) -> bool {
    process == std::process::id().to_string()
}

/// Whether this process writes curves of the run in this folder, here or elsewhere.
fn writes_curves_of(folder: &Path) -> Result<bool> {
    let Some(curves) = RunFolder(folder.to_owned()).curves_folder()? else { return Ok(false) };
    // A folder that cannot be read, or is gone, is none that this process writes into.
    let files = entries(&curves.join("train")).unwrap_or_default();
    Ok(files.iter().any(|file| of_board(&name_of(file)).is_some_and(is_this_process)))
}

fn is_rollout(name: &str) -> bool {
    name.strip_prefix("rollout-").is_some_and(is_number)
}

fn is_of_rollout(name: &str) -> bool {
    let frame = name.strip_prefix("frame-").and_then(|name| name.strip_suffix(".png"));
    frame.is_some_and(is_number)
        || matches!(name, "frames.png" | "film.gif" | "errors.png" | "errors.csv")
}
