//! The causes of failed runs that a user can do something about.

use crate::splits::Split;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// An error that the user can remove by another setting, folder or file, so that a caller may give
/// advice. Other errors of this crate are plain `anyhow` errors.
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
    /// A run was to be resumed, but it is finished and has all of its epochs.
    #[error("{} is finished: it has all {epochs} epochs", run.display())]
    Finished {
        /// The folder of the run.
        run: PathBuf,
        /// The epochs done.
        epochs: usize,
    },
    /// A run was to be resumed on other data than it began with.
    #[error(
        "{data} is not the data that the run was trained on until now: its {} examples are others",
        set.name()
    )]
    ResumedOnOtherData {
        /// The name of the data that was found.
        data: String,
        /// The first set that differs.
        set: Split,
    },
    /// A run was to be evaluated on other data than it was trained on.
    #[error(
        "{data} is not the data that the run was trained on: its {} examples are others",
        set.name()
    )]
    EvaluatedOnOtherData {
        /// The name of the data that was found.
        data: String,
        /// The first set that differs.
        set: Split,
    },
    /// The file or folder with the data of a run does not exist any more.
    #[error("the data of the run, {}, is not there", path.display())]
    DataGone {
        /// The path at which it was.
        path: PathBuf,
    },
    /// The configuration of a run would hold a path that is no text.
    #[error(
        "the path {} is not UTF-8, and the files of a run could not name it: rename it, or put it \
         beside the run",
        path.display()
    )]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Another place was given for the data of a run that reads none.
    #[error("the run was trained on {data}, which is in no file")]
    NoDataFile {
        /// The name of the data.
        data: String,
    },
    /// A new path was given for the word list of a run, but the run was trained without such a
    /// file.
    #[error("the run was trained on {data}, without a list of words in a file")]
    NoWordFile {
        /// The name of the data.
        data: String,
    },
    /// A word list was given for a run whose folder already holds its words.
    #[error("{} holds the words that it was trained with", run.display())]
    HasWords {
        /// The folder of the run.
        run: PathBuf,
    },
    /// The words of a run on reviews are not known, and no word list was given.
    #[error("{} does not hold the words of its reviews", run.display())]
    NoWords {
        /// The folder of the run.
        run: PathBuf,
    },
    /// The folder cannot be created or written.
    #[error("cannot write to the folder {}", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The path is no folder, or the folder cannot be read.
    #[error("cannot use the folder {}", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A run was to begin in a folder that holds files which no run writes.
    #[error("{} is not empty and no run: it holds {entry}", folder.display())]
    HoldsOther {
        /// The folder.
        folder: PathBuf,
        /// The name of one of these files.
        entry: String,
    },
    /// A folder has the name of a file that a run writes, or the other way around.
    #[error("{} is {is}, and a run writes a {wanted} of that name", path.display())]
    Occupied {
        /// The path of what exists.
        path: PathBuf,
        /// The kind of what exists: "a file" or "a folder".
        is: &'static str,
        /// The kind that a run writes: "file" or "folder".
        wanted: &'static str,
    },
    /// In the folder of a run a symbolic link stands in the place of a folder to write into.
    #[error(
        "{} is a symbolic link, through which nothing is written: put the folder that it leads to in \
         its place, or remove it",
        path.display()
    )]
    Linked {
        /// The path.
        path: PathBuf,
    },
    /// A folder for a run holds a run that has come to its end.
    #[error("{} holds a finished run", folder.display())]
    HoldsRun {
        /// The folder.
        folder: PathBuf,
    },
    /// A run was to begin in a folder that holds an imported model, which may not be replaced.
    #[error("{} holds an imported model", folder.display())]
    HoldsImported {
        /// The folder.
        folder: PathBuf,
    },
    /// A run was to begin in a folder that holds a run which can be resumed.
    #[error("{} holds a run that is not finished", folder.display())]
    HoldsUnfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process writes into the folder.
    #[error("another process trains into {} or evaluates it", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// A finished run is needed, and the folder holds one that can be resumed.
    #[error("the run in {} is not finished", run.display())]
    Unfinished {
        /// The folder of the run.
        run: PathBuf,
    },
    /// A run is needed, and the folder holds an imported model, which has no configuration and no
    /// data.
    #[error("{} was imported, not trained here, so there is no data", folder.display())]
    Imported {
        /// The folder.
        folder: PathBuf,
    },
    /// The device has no 16-bit floats, which the precision needs.
    #[error("{device} has no half precision, which {precision} precision needs")]
    NoHalf {
        /// The device.
        device: String,
        /// The precision that was asked for.
        precision: String,
    },
    /// A training step needs more memory than is free or larger buffers than the device allows, or
    /// the device cannot launch it.
    #[error("a step of {batch} examples {reason}")]
    StepTooLarge {
        /// The number of examples in the step.
        batch: usize,
        /// The reason, as the verb and object of a sentence about the step.
        reason: String,
        /// The largest number of examples whose step fits; 0 if not even one does.
        fits: usize,
    },
    /// The layers of a stateful model keep the states of a fixed number of rows, and a batch has
    /// another number.
    #[error(
        "the model is stateful, and its layers keep the states of {rows} rows from batch to batch: \
         the {count} examples {purpose} in batches of {batch} make one of {size}"
    )]
    StateRows {
        /// The number of rows whose states the layers keep.
        rows: usize,
        /// The number of examples in the set.
        count: usize,
        /// The use of the set in words, such as "to train on".
        purpose: String,
        /// The batch size.
        batch: usize,
        /// The number of rows of the batch that does not fit.
        size: usize,
    },
    /// Neither the model nor the `fit.toml` names a loss.
    #[error("the model does not say what loss it is trained with")]
    NoLoss,
    /// Columns were named for data that is no `.csv` file.
    #[error("{} is no .csv file: its examples and labels are arrays, x_train and y_train", path.display())]
    NoTable {
        /// The data that was given.
        path: PathBuf,
    },
    /// The data is a `.csv` file, and no column is named that holds the labels.
    #[error("{} is a table, in which labels are a column; {columns}", path.display())]
    NoTarget {
        /// The `.csv` file.
        path: PathBuf,
        /// The columns of the file, in words.
        columns: String,
    },
    /// A column was named twice.
    #[error("column {name} is named twice")]
    ColumnTwice {
        /// The column.
        name: String,
    },
    /// No column of a `.csv` file is left to be a feature.
    #[error("{} has no column besides the labels to feed a model", path.display())]
    NoFeatures {
        /// The `.csv` file.
        path: PathBuf,
    },
    /// A `.csv` file was to be streamed, but it can only be read as a whole.
    #[error("{} is text, which is read as a whole", path.display())]
    TextNotStreamed {
        /// The `.csv` file.
        path: PathBuf,
    },
    /// A rollout was to begin without a frame that the model sees.
    #[error("a rollout begins with one frame at least")]
    NothingSeen,
    /// A rollout was to begin with more frames than the video has.
    #[error("{track} frames to begin with are longer than the video: it has {frames} frames")]
    VideoTooShort {
        /// The number of frames that the model was to see.
        track: usize,
        /// The number of frames of the video.
        frames: usize,
    },
    /// A rollout was to predict no frame.
    #[error("a rollout predicts one frame at least")]
    NothingPredicted,
    /// Several ranks were to train, but the program was built without MPI.
    #[error("this program was built without MPI")]
    NoMpi,
}
