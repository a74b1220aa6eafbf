use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number formats of a training.
///
/// With `Mixed`, x W, h, the gates and cells of [`crate::Lstm`], [`crate::SimpleRnn`] and
/// [`crate::ConvLstm2D`] with their gradients are stored in half precision,
/// [`rnn_core::DType::F16`], and so is the recurrent matrix while a scan multiplies it. Sums,
/// states, all other layers, weights, their gradients and the optimizer stay in single precision.
/// The loss is multiplied by a scale, and its gradients divided by it, so that small ones are not
/// lost; a step in which one is not finite is left out and halves the scale, as Keras's
/// LossScaleOptimizer does. The CPU device rounds alike, in memory of single precision: it gains
/// nothing, but shows what becomes of a model's accuracy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    F32,
    /// Sequences in half precision.
    Mixed,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "mixed" => Ok(Self::Mixed),
            _ => Err("a precision is f32 or mixed".into()),
        }
    }
}
