use super::Checkpoint;
use super::store::read;
use rnn::nn::FitProgress;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::Path;

/// The description of a file of a [`Store`](super::Store).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredCheckpoint {
    /// The name of the file.
    pub file: String,
    /// The number, counted from 1, of the epoch that the last step belongs to; 0 before the first
    /// step, `None` if the file is not sound.
    pub epoch: Option<usize>,
    /// The number of steps done. If the file is not sound, it is the number in its name, or `None`
    /// if there is none.
    pub step: Option<u64>,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// True if a training can be resumed from the file: it can be read, is as it was written, and
    /// is of this version's format.
    pub sound: bool,
    /// The reason why the file is not sound; `None`, and not in the JSON, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl StoredCheckpoint {
    /// Describes a file whose name has the number `step`; `None` if there is no such file.
    pub(super) fn of(path: &Path, step: Option<u64>) -> Option<Self> {
        let found = read(path);
        let bytes = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            data => data.map_or(0, |data| data.len()),
        };
        let file = path.file_name()?.to_string_lossy().into_owned();
        Some(match found {
            Ok(Checkpoint { state, .. }) => {
                let FitProgress { history, steps, .. } = state.progress;
                let epoch = Some(history.epochs.len() + usize::from(steps > 0));
                Self { file, epoch, step: Some(state.step), bytes, sound: true, problem: None }
            }
            Err(error) => {
                let problem = Some(format!("{error:#}"));
                Self { file, epoch: None, step, bytes, sound: false, problem }
            }
        })
    }
}
