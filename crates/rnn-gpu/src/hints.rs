//! What to do about an error, in the terms of the command: libraries tell causes alone.

use rnn::device::DeviceChoiceError;
use rnn::model_file::ModelFileError;
use std::error::Error;

/// What helps against an error, if something is known to.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(of)
}

fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    let advice = match cause.downcast_ref() {
        Some(DeviceChoiceError::NoGpu) => Some("or use --device cpu"),
        Some(DeviceChoiceError::Unknown(_)) => Some("`rnn-gpu devices` lists those that there are"),
        _ => None,
    };
    let advice = advice.or(match cause.downcast_ref() {
        Some(ModelFileError::NoWeights) => Some("train it first with `rnn-gpu train --model`"),
        _ => None,
    });
    advice.map(str::to_owned)
}

/// An error for people, in one line.
pub fn explained(error: &anyhow::Error) -> String {
    match hint(error) {
        Some(hint) => format!("{error:#}; {hint}"),
        None => format!("{error:#}"),
    }
}
