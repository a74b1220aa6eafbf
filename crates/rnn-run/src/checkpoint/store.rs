use super::{RunLock, StoredCheckpoint};
use crate::config::Config;
use crate::host::Host;
use crate::run::contents::{check_unlinked, entries, exists};
use anyhow::{Context, Result, anyhow, bail};
use rnn::HostTensor;
use rnn::nn::TrainerState;
use rnn_formats::checkpoint::{self, CheckpointError};
use rnn_formats::{is_in_use, remove_file, remove_if_there, rename};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The state of a run between two steps and its configuration: all that is needed to resume it.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The configuration of the run.
    pub config: Config,
    /// Fingerprint of the data, [`crate::splits::Splits::fingerprint`].
    pub data: String,
    /// Weights, slots of the optimizer, counters and history.
    pub state: TrainerState,
}

/// The format of the file, which its metadata name.
const FORMAT: &str = "rnn-gpu checkpoint 1";

/// Tensors and texts by name, of which a file is made.
type Parts = (Vec<(String, HostTensor)>, BTreeMap<String, String>);

impl Checkpoint {
    /// Returns the checkpoint as the bytes of a safetensors file.
    ///
    /// # Errors
    /// Fails if two tensors share a name.
    pub fn to_bytes(self) -> Result<Vec<u8>> {
        let (tensors, metadata) = self.into_parts()?;
        Ok(checkpoint::to_bytes(tensors, &metadata)?)
    }

    /// Parses the bytes that [`Checkpoint::to_bytes`] returned.
    ///
    /// # Errors
    /// Fails if the bytes are damaged or not a checkpoint, or if another version wrote them whose
    /// format differs.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let path = Path::new("the checkpoint of rank 0");
        Self::from_parts(path, checkpoint::parse(path, bytes)?)
    }

    fn into_parts(self) -> Result<Parts> {
        let Self { config, data, mut state } = self;
        let tensors = std::mem::take(&mut state.tensors);
        let metadata = [
            ("format", FORMAT.to_owned()),
            ("config", serde_json::to_string(&config)?),
            ("data", data),
            ("state", serde_json::to_string(&state)?),
        ];
        Ok((tensors, metadata.map(|(key, value)| (key.to_owned(), value)).into()))
    }

    fn from_parts(path: &Path, (tensors, metadata): Parts) -> Result<Self> {
        if let Some(other) = metadata.get("format").filter(|format| *format != FORMAT) {
            // The text of a file may be of any length.
            let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
            let path = path.display();
            bail!(
                "{path} has the format \"{other}\", and this version of rnn-gpu reads \"{FORMAT}\": \
                 go on with the version that wrote it"
            );
        }
        let state = TrainerState { tensors, ..value(path, &metadata, "state")? };
        let data = metadata.get("data").cloned().unwrap_or_default();
        let config: Config = value(path, &metadata, "config")?;
        config.check().with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Self { config, data, state })
    }
}

/// The folder `checkpoints` of a run. It holds `step-N.safetensors` for each checkpoint, N being
/// the steps done; `best.safetensors`, that of the epoch with the smallest loss; and, if the run is
/// finished, the empty file `finished`. Each file is replaced as a whole.
#[derive(Clone, Debug)]
pub struct Store {
    run: PathBuf,
    folder: PathBuf,
}

const BEST: &str = "best.safetensors";
const FINISHED: &str = "finished";

impl Store {
    /// Returns the store in the folder `run` of a run. Nothing is created yet.
    pub fn of(run: &Path) -> Self {
        Self { run: run.to_owned(), folder: run.join("checkpoints") }
    }

    /// Returns true if there is a checkpoint and the run is not marked as finished, so that it can
    /// be resumed.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    pub fn is_unfinished(&self) -> Result<bool> {
        Ok(!self.steps()?.is_empty() && !self.is_finished()?)
    }

    /// Returns true if the run is marked as finished by [`Store::finish`].
    ///
    /// # Errors
    /// Fails if the system does not tell.
    pub fn is_finished(&self) -> Result<bool> {
        exists(&self.folder.join(FINISHED))
    }

    /// Returns true if there is a checkpoint, whether the run is finished or not.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    pub fn has_any(&self) -> Result<bool> {
        Ok(!self.steps()?.is_empty() || exists(&self.folder.join(BEST))?)
    }

    /// Marks the run as finished, so that it does not count as one to be resumed. Does nothing if
    /// there is no checkpoint.
    pub fn finish(&self) -> Result<()> {
        match self.has_any()? {
            true => Ok(rnn_formats::write_atomically(&self.folder.join(FINISHED), |_| Ok(()))?),
            false => Ok(()),
        }
    }

    /// Returns the folder of the run.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Prepares the folder for checkpoints: creates it, and removes the mark of a finished run.
    ///
    /// # Errors
    /// Fails if a file cannot be created or removed, and with [`crate::error::RunError::Linked`] if
    /// the folder is a symbolic link.
    pub fn begin(&self) -> Result<()> {
        check_unlinked(&self.folder)?;
        let cannot = || format!("cannot prepare {}", self.folder.display());
        fs::create_dir_all(&self.folder).with_context(cannot)?;
        remove_if_there(&self.folder.join(FINISHED)).with_context(cannot)
    }

    /// Writes a checkpoint and removes all but the newest `keep`. If `best` is true, it is also
    /// kept as the one with the smallest validation loss, in place of the one before. On a disk that
    /// is full, older checkpoints make room, the oldest first, and at last that with the smallest
    /// loss; the newest one stays until the new one is whole.
    ///
    /// # Errors
    /// Fails if it cannot be written; then the newest before it is still there. Fails also if an old
    /// one cannot be removed, but not if another program holds that open: it goes with a later one.
    pub fn save(&self, checkpoint: Checkpoint, best: bool, keep: usize) -> Result<()> {
        let name = format!("step-{:08}.safetensors", checkpoint.state.step);
        let config = checkpoint.config.kept_in(&self.run);
        let mut parts = Checkpoint { config, ..checkpoint }.into_parts()?;
        self.with_room(|| self.write(&name, &mut parts))?;
        if best {
            self.save_best(&name, &mut parts)?;
        }
        let steps = self.steps()?;
        for (_, path) in &steps[..steps.len().saturating_sub(keep)] {
            match fs::remove_file(path) {
                Err(error) if is_in_use(&error) => {}
                removed => {
                    removed.with_context(|| format!("cannot remove {}", path.display()))?;
                }
            }
        }
        Ok(())
    }

    /// Does some work that writes to the disk of the run. If the disk is full, less useful checkpoints
    /// make room for it, the oldest first, and it is done again; the newest stays.
    ///
    /// # Errors
    /// Fails with the error of the work, or if a checkpoint cannot be removed.
    pub fn with_room(&self, mut work: impl FnMut() -> Result<()>) -> Result<()> {
        while let Err(error) = work() {
            if !(is_out_of_room(&error) && self.make_room()?) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes the least useful checkpoint, but not the newest; returns false if there is no other.
    fn make_room(&self) -> Result<bool> {
        let best = self.folder.join(BEST);
        let steps = self.steps()?;
        let path = match &steps[..] {
            [(_, oldest), _, ..] => oldest,
            [_] if exists(&best)? => &best,
            _ => return Ok(false),
        };
        remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        Ok(true)
    }

    /// Keeps the newest checkpoint also as the one with the smallest validation loss: by a file of its
    /// own, and on a full disk as another name of the same.
    fn save_best(&self, newest: &str, parts: &mut Parts) -> Result<()> {
        match self.write(BEST, parts) {
            Err(error) if is_out_of_room(&error) => {
                let (newest, best) = (self.folder.join(newest), self.folder.join(BEST));
                remove_if_there(&best)
                    .with_context(|| format!("cannot replace {}", best.display()))?;
                // Not every file system has links, and the checkpoint itself is written.
                let _ = fs::hard_link(newest, best);
                Ok(())
            }
            written => written,
        }
    }

    fn write(&self, name: &str, (tensors, metadata): &mut Parts) -> Result<()> {
        Ok(checkpoint::save(&self.folder.join(name), tensors, metadata)?)
    }

    /// Reads the newest checkpoint that is not damaged, or the one with the smallest loss if there
    /// is no other. No file is changed. A damaged file, whose contents do not match its digest, is
    /// reported to `host`, and the one before it is tried. A file that cannot be read for another
    /// reason ends the search: it may be readable later, or by another version.
    ///
    /// # Errors
    /// Fails if there is no such checkpoint, or a file cannot be read for such another reason.
    pub fn newest(&self, host: &dyn Host) -> Result<Checkpoint> {
        self.search(host, &|_| Ok(()))
    }

    /// Reads the newest checkpoint as [`Store::newest`] does, and renames the damaged files that it
    /// passes to `.damaged`. The run has to be locked, by `lock`.
    ///
    /// # Errors
    /// Fails as [`Store::newest`], and if a damaged file cannot be renamed.
    pub fn recover(&self, host: &dyn Host, _lock: &RunLock) -> Result<Checkpoint> {
        self.search(host, &|path| {
            let aside = path.with_extension("damaged");
            rename(path, &aside).with_context(|| format!("cannot set {} aside", path.display()))
        })
    }

    fn search(
        &self,
        host: &dyn Host,
        set_aside: &dyn Fn(&Path) -> Result<()>,
    ) -> Result<Checkpoint> {
        let best = self.folder.join(BEST);
        let best = exists(&best)?.then_some(best);
        let newest_first = self.steps()?.into_iter().rev().map(|(_, path)| path);
        for path in newest_first.chain(best) {
            match read(&path) {
                Ok(Checkpoint { config, data, state }) => {
                    let config = config.found_in(&self.run);
                    return Ok(Checkpoint { config, data, state });
                }
                Err(error) if !is_damaged(&error) => {
                    let path = path.display();
                    return Err(
                        error.context(format!("{path} was left as it is, and so were all others"))
                    );
                }
                Err(error) => {
                    host.warn(format_args!("{error:#}; going back to the one before"));
                    set_aside(&path)?;
                }
            }
        }
        bail!("{} has no sound checkpoint to go on from", self.run.display())
    }

    /// Returns descriptions of the checkpoints, in the order of their steps, and then of that with
    /// the smallest loss. Each file is read as a whole, and none is changed. A training may write
    /// and remove checkpoints meanwhile; those that are gone are left out.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    pub fn list(&self) -> Result<Vec<StoredCheckpoint>> {
        let steps = self.steps()?.into_iter().map(|(step, path)| (Some(step), path));
        let all = steps.chain([(None, self.folder.join(BEST))]);
        Ok(all.filter_map(|(step, path)| StoredCheckpoint::of(&path, step)).collect())
    }

    /// The checkpoints with the steps done, in order.
    fn steps(&self) -> Result<Vec<(u64, PathBuf)>> {
        let entries = match entries(&self.folder) {
            // Where the run should be, there is a file.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => vec![],
            entries => entries
                .with_context(|| format!("cannot read the folder {}", self.folder.display()))?,
        };
        let step = |path: PathBuf| {
            let name = path.file_name()?.to_str()?;
            let number = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
            Some((number.parse().ok()?, path))
        };
        let mut steps: Vec<_> = entries.iter().filter_map(|entry| step(entry.path())).collect();
        steps.sort();
        Ok(steps)
    }
}

/// Returns true if a file was not written for want of room, on the disk or in a quota.
fn is_out_of_room(error: &anyhow::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| matches!(error.kind(), StorageFull | QuotaExceeded))
}

/// Returns true if the file's contents are not those that were written.
fn is_damaged(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(CheckpointError::Digest { .. }))
}

/// Reads the checkpoint in a file.
///
/// # Errors
/// Fails if it cannot be read, is damaged, or is of another version.
pub(super) fn read(path: &Path) -> Result<Checkpoint> {
    Checkpoint::from_parts(path, checkpoint::load(path)?)
}

fn value<T: serde::de::DeserializeOwned>(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    key: &str,
) -> Result<T> {
    let foreign = || format!("{} is not a checkpoint of this version of rnn-gpu", path.display());
    let text = metadata.get(key).ok_or_else(|| anyhow!(foreign()))?;
    serde_json::from_str(text).with_context(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_of_another_format_is_named_as_that() {
        let metadata = BTreeMap::from([("format".into(), "rnn-gpu checkpoint 2".into())]);
        let bytes = checkpoint::to_bytes(vec![], &metadata).expect("bytes");
        let error = Checkpoint::from_bytes(&bytes).expect_err("it is not of this version");
        assert!(!is_damaged(&error));
        let message = error.to_string();
        assert!(message.contains("checkpoint 2") && message.contains(FORMAT), "{message}");
    }
}
