//! The causes of failed runs that a user can do something about.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// An error whose cause another setting, folder or file would remove, so that a caller can react to
/// it. Other errors of this crate are plain `anyhow` errors.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// A training was interrupted after a checkpoint.
    #[error("interrupted after step {step}")]
    Interrupted {
        /// The steps done at the checkpoint.
        step: u64,
        /// The folder of the run.
        run: PathBuf,
    },
    /// A training was interrupted before its first checkpoint.
    #[error("interrupted; nothing was written")]
    InterruptedAtStart,
    /// A run that is to be resumed has all of its epochs.
    #[error("{} is finished: it has all {epochs} epochs", run.display())]
    Finished {
        /// The folder of the run.
        run: PathBuf,
        /// The epochs done.
        epochs: usize,
    },
    /// A run was to be resumed on other data than it began with.
    #[error("{data} is not the data that the run was trained on until now")]
    ResumedOnOtherData {
        /// The name of the data that was given.
        data: String,
    },
    /// A run was to be evaluated on other data than it was trained on.
    #[error("{data} is not the data that the run was trained on")]
    EvaluatedOnOtherData {
        /// The name of the data that was found.
        data: String,
    },
    /// The data of a run has been moved or removed.
    #[error("the data of the run, {}, is not there", path.display())]
    DataGone {
        /// The path at which it was.
        path: PathBuf,
    },
    /// Another place was given for the data of a run that reads none.
    #[error("the run was trained on {data}, which is in no file")]
    NoDataFile {
        /// The name of the data.
        data: String,
    },
    /// Another place was given for the list of words of a run that reads none.
    #[error("the run was trained on {data}, without a list of words in a file")]
    NoWordFile {
        /// The name of the data.
        data: String,
    },
    /// A run's own words and a list of words were both given.
    #[error("{} holds the words that it was trained with", run.display())]
    HasWords {
        /// The folder of the run.
        run: PathBuf,
    },
    /// The words of a run are not known.
    #[error("{} does not hold the words of its reviews", run.display())]
    NoWords {
        /// The folder of the run.
        run: PathBuf,
    },
    /// A folder cannot be written.
    #[error("cannot write to the folder {}", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder cannot be read.
    #[error("cannot use the folder {}", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder for a run holds files that are not a run's.
    #[error("{} is not empty and no run: it holds {entry}", folder.display())]
    HoldsOther {
        /// The folder.
        folder: PathBuf,
        /// The name of one of these files.
        entry: String,
    },
    /// A folder or file stands where a run writes a file or folder.
    #[error("{} is {is}, and a run writes a {wanted} of that name", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
        /// The kind of what is there, with its article.
        is: &'static str,
        /// The kind that a run writes.
        wanted: &'static str,
    },
    /// A folder for a run holds a run that has come to its end.
    #[error("{} holds a finished run", folder.display())]
    HoldsRun {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder for a run holds a model that was imported.
    #[error("{} holds an imported model", folder.display())]
    HoldsImported {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder for a run holds a run that can be resumed.
    #[error("{} holds a run that is not finished", folder.display())]
    HoldsUnfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process trains into the folder.
    #[error("another process trains into {}", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// A finished run is needed, and this one can be resumed.
    #[error("the run in {} is not finished", run.display())]
    Unfinished {
        /// The folder of the run.
        run: PathBuf,
    },
    /// A run is needed, and the folder holds an imported model, which has no data.
    #[error("{} was imported, not trained here, so there is no data", folder.display())]
    Imported {
        /// The folder.
        folder: PathBuf,
    },
    /// The device has no half precision.
    #[error("{device} has no half precision, which {precision} precision needs")]
    NoHalf {
        /// The device.
        device: String,
        /// The precision that was asked for.
        precision: String,
    },
    /// A training step does not fit on the device.
    #[error("a step of {batch} examples {reason}")]
    StepTooLarge {
        /// The examples of the step.
        batch: usize,
        /// The reason, as a verb and its object.
        reason: String,
        /// The most examples whose step fits; 0, if not even one does.
        fits: usize,
    },
    /// A batch has other rows than the states that the model's layers keep.
    #[error(
        "the model is stateful, and its layers keep the states of {rows} rows from batch to batch: \
         the {count} examples {purpose} in batches of {batch} make one of {size}"
    )]
    StateRows {
        /// The rows that the layers keep.
        rows: usize,
        /// The examples of the set.
        count: usize,
        /// The use of the set.
        purpose: String,
        /// The batch size.
        batch: usize,
        /// The rows of the batch that does not fit.
        size: usize,
    },
    /// The model does not say which loss it is trained with.
    #[error("the model does not say what loss it is trained with")]
    NoLoss,
    /// Columns were chosen for data that is no table.
    #[error("{} is no .csv file: its examples and labels are arrays, x_train and y_train", path.display())]
    NoTable {
        /// The data.
        path: PathBuf,
    },
    /// A table was given without the column of its labels.
    #[error("{} is a table, in which labels are a column; {columns}", path.display())]
    NoTarget {
        /// The table.
        path: PathBuf,
        /// The columns of the table, in words.
        columns: String,
    },
    /// A column was chosen twice.
    #[error("column {name} is named twice")]
    ColumnTwice {
        /// The column.
        name: String,
    },
    /// No column is left to be an example.
    #[error("{} has no column besides the labels to feed a model", path.display())]
    NoFeatures {
        /// The table.
        path: PathBuf,
    },
    /// A table was to be read from its file as it is needed.
    #[error("{} is text, which is read as a whole", path.display())]
    TextNotStreamed {
        /// The table.
        path: PathBuf,
    },
    /// A rollout was to begin without a frame.
    #[error("a rollout begins with one frame at least")]
    NothingSeen,
    /// A rollout was to begin with more frames than there are.
    #[error("{track} frames to begin with are longer than the video: it has {frames} frames")]
    VideoTooShort {
        /// The frames to begin with.
        track: usize,
        /// The frames of the video.
        frames: usize,
    },
    /// A rollout was to predict no frame.
    #[error("a rollout predicts one frame at least")]
    NothingPredicted,
    /// Several ranks were to train in a program without MPI.
    #[error("this program was built without MPI")]
    NoMpi,
}
