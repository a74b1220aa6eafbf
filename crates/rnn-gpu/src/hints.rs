//! Advice about errors in terms of the command and its options. The libraries report only causes.

use rnn::cut;
use rnn::datasets::text::TextError;
use rnn::device::DeviceChoiceError;
use rnn::model_file::ModelFileError;
use rnn::nn::TrainError;
use rnn_graph::DeviceError;
use rnn_run::error::RunError;
use rnn_run::train::Stopped;
use std::error::Error;

/// The most characters of a cause, which may have a name or a line of a file in it.
const CAUSE: usize = 800;

/// Returns an error and its causes in one line, without a line feed, and behind them the option or
/// command that helps, if one is known. Of a long cause the middle is left out.
pub fn explained(error: &anyhow::Error) -> String {
    let causes: Vec<String> =
        error.chain().map(|cause| cut(&cause.to_string(), CAUSE).into_owned()).collect();
    causes.join(": ") + &error.chain().find_map(hint).unwrap_or_default()
}

/// Returns the text that is added to the message of an error, if something is known to help.
fn hint(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(Stopped { error, run, .. }) = cause.downcast_ref() {
        let device = of_device(error).map(|hint| format!(", with another device{hint}"));
        let device = device.unwrap_or_default();
        return Some(format!(": rnn-gpu train --resume {}{device}", run.display()));
    }
    let of_choice = |error: &DeviceChoiceError| match error {
        DeviceChoiceError::Drivers(_) => Some("; use --device cpu, or mend the driver"),
        DeviceChoiceError::NoGpu => Some(", or use --device cpu"),
        DeviceChoiceError::Unknown(_) => Some(": `rnn-gpu devices` lists those that there are"),
        DeviceChoiceError::Open(_) | DeviceChoiceError::Threads(_) => None,
    };
    let of_text = |error: &TextError| match error {
        TextError::Column { of, .. } => Some(format!(": --{of}-column")),
        _ => None,
    };
    let of_model = |error: &ModelFileError| match error {
        ModelFileError::WeightsAlone => {
            Some(", or give the JSON of model.to_json() with --architecture model.json")
        }
        ModelFileError::NoWeights => Some(": train it first with `rnn-gpu train --model`"),
        _ => None,
    };
    (cause.downcast_ref().and_then(of_run))
        .or_else(|| cause.downcast_ref().and_then(of_choice).map(str::to_owned))
        .or_else(|| cause.downcast_ref().and_then(of_model).map(str::to_owned))
        .or_else(|| cause.downcast_ref().and_then(of_text))
        .or_else(|| cause.downcast_ref().and_then(of_device).map(str::to_owned))
        .or_else(|| cause.downcast_ref().and_then(of_fault).map(str::to_owned))
}

/// Returns what to do about a run that failed.
fn of_run(error: &RunError) -> Option<String> {
    let another_folder = "choose another folder with --out";
    Some(match error {
        RunError::Interrupted { run, .. } => {
            format!("; go on with: rnn-gpu train --resume {}", run.display())
        }
        RunError::Finished { epochs, .. } => {
            format!("; to go on with it, ask for more than {epochs} --epochs")
        }
        RunError::ResumedOnOtherData { .. } => {
            ": give that with --data, or begin another run".to_owned()
        }
        RunError::EvaluatedOnOtherData { .. } => {
            ": to measure the run on it, give --data".to_owned()
        }
        RunError::DataGone { .. } => ": say with --data where it is now".to_owned(),
        RunError::NoDataFile { .. } => ": leave --data out".to_owned(),
        RunError::NoWordFile { .. } | RunError::HasWords { .. } => {
            ": leave --word-index out".to_owned()
        }
        RunError::NoWords { .. } => ": give --word-index imdb_word_index.json, the file of \
             Keras's imdb.get_word_index()"
            .to_owned(),
        RunError::Unwritable { .. } | RunError::Unreadable { .. } | RunError::HoldsOther { .. } => {
            format!("; {another_folder}")
        }
        RunError::Occupied { .. } => format!(": move it, or {another_folder}"),
        RunError::HoldsRun { .. } | RunError::HoldsImported { .. } => {
            format!(": {another_folder}, or replace it with --overwrite")
        }
        RunError::HoldsUnfinished { folder } => format!(
            ": go on with it by `rnn-gpu train --resume {}`, {another_folder}, or discard it with \
             --overwrite",
            folder.display()
        ),
        RunError::Locked { .. } => format!(": wait for it, or {another_folder}"),
        RunError::Unfinished { run } => format!(": rnn-gpu train --resume {}", run.display()),
        RunError::Imported { .. } => ": give --data".to_owned(),
        RunError::NoHalf { .. } => ": choose another --device, such as cpu; to train without, \
             leave --precision out"
            .to_owned(),
        RunError::StepTooLarge { fits: 0, .. } => {
            "; not even one example fits: make the examples smaller".to_owned()
        }
        RunError::StepTooLarge { fits, .. } => format!("; --batch-size {fits} fits"),
        RunError::StateRows { rows, .. } => format!(
            "; give --batch-size {rows}, or batch_size = {rows} in fit.toml, and a multiple of \
             {rows} examples"
        ),
        RunError::NoLoss => ": put loss = \"mse\" or another into the file given with --fit, or \
             under [compile] of model.toml"
            .to_owned(),
        RunError::NoTable { .. } => "; leave --target out".to_owned(),
        RunError::NoTarget { .. } => ": name the column of the labels with --target".to_owned(),
        RunError::ColumnTwice { .. } => " by --target and --features".to_owned(),
        RunError::NoFeatures { .. } => ": name fewer with --target".to_owned(),
        RunError::TextNotStreamed { .. } => ": leave --stream out".to_owned(),
        RunError::NothingSeen => ": --track 0 gives none".to_owned(),
        RunError::VideoTooShort { track, .. } => format!("; choose fewer than --track {track}"),
        RunError::NothingPredicted => ": --frames 0 gives none".to_owned(),
        RunError::NoMpi => ": cargo build --release --features mpi".to_owned(),
        _ => return None,
    })
}

fn of_device(error: &TrainError) -> Option<&'static str> {
    match error {
        TrainError::Device(error) => of_fault(error),
        _ => None,
    }
}

fn of_fault(error: &DeviceError) -> Option<&'static str> {
    match error {
        DeviceError::OutOfMemory { .. }
        | DeviceError::Lost { .. }
        | DeviceError::Timeout { .. } => Some(": --device cpu"),
        DeviceError::Refused { .. } => Some(
            ", which `rnn-gpu devices` lists; until then use another of them, such as --device cpu",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_hints_wherever_they_stand_in_a_chain() {
        let lost = || DeviceError::Lost { device: "a GPU".into(), message: "gone".into() };
        let error = anyhow::Error::from(TrainError::from(lost())).context("it failed");
        let wanted =
            "it failed: a GPU was lost: gone; start again, or use the CPU device: --device cpu";
        assert_eq!(explained(&error), wanted);
        let error = anyhow::Error::from(DeviceChoiceError::Unknown("x".into()));
        assert!(explained(&error).ends_with("`rnn-gpu devices` lists those that there are"));
        assert_eq!(explained(&anyhow::anyhow!("no hint")), "no hint");
        let error = RunError::StateRows {
            rows: 4,
            count: 10,
            purpose: "to validate".into(),
            batch: 4,
            size: 2,
        };
        let error = anyhow::Error::from(error).context("the data does not fit");
        assert!(explained(&error).contains("one of 2; give --batch-size 4, or"));
    }
}
