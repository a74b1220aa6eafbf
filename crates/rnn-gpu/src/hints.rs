//! What to do about an error, in the terms of the command: libraries tell causes alone.

use rnn::datasets::text::TextError;
use rnn::device::DeviceChoiceError;
use rnn::model_file::ModelFileError;
use rnn::nn::TrainError;
use rnn_graph::DeviceError;
use rnn_run::train::Stopped;
use std::error::Error;

/// An error for people, in one line.
pub fn explained(error: &anyhow::Error) -> String {
    match error.chain().find_map(hint) {
        Some(hint) => format!("{error:#}{hint}"),
        None => format!("{error:#}"),
    }
}

/// What is added to the message of an error, if something is known to help.
fn hint(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(Stopped { error, .. }) = cause.downcast_ref() {
        return of_device(error).map(|hint| format!(", with another device{hint}"));
    }
    let of_choice = |error: &DeviceChoiceError| match error {
        DeviceChoiceError::NoGpu => Some(", or use --device cpu"),
        DeviceChoiceError::Unknown(_) => Some(": `rnn-gpu devices` lists those that there are"),
        DeviceChoiceError::Open(_) => None,
    };
    let of_text = |error: &TextError| match error {
        TextError::Column { of, .. } => Some(format!(": --{of}-column")),
        _ => None,
    };
    let of_model = |error: &ModelFileError| match error {
        ModelFileError::NoWeights => Some(": train it first with `rnn-gpu train --model`"),
        _ => None,
    };
    (cause.downcast_ref().and_then(of_choice).map(str::to_owned))
        .or_else(|| cause.downcast_ref().and_then(of_model).map(str::to_owned))
        .or_else(|| cause.downcast_ref().and_then(of_text))
        .or_else(|| cause.downcast_ref().and_then(of_device).map(str::to_owned))
        .or_else(|| cause.downcast_ref().and_then(of_fault).map(str::to_owned))
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
        DeviceError::Refused { .. } => Some(": `rnn-gpu devices` lists them"),
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
    }
}
