use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number formats of a training.
///
/// With [`Self::Mixed`], [`crate::Lstm`], [`crate::SimpleRnn`] and [`crate::ConvLstm2D`] (as 1D and
/// 3D) store x W, h, gates, cells and the gradients of these in half precision,
/// [`rnn_core::DType::F16`], and so the recurrent matrix while a scan multiplies it. Everything
/// else is in single precision: sums, states, all other layers, weights, their gradients and the
/// optimizer.
///
/// So that small gradients are not rounded to 0, the loss is multiplied by a scale, and the
/// gradients of the weights are divided by it. If one of them is not finite, the step does not
/// change the weights and the scale is halved, as by Keras's LossScaleOptimizer. The CPU device
/// rounds in the same way, but saves no memory or time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    F32,
    /// Sequences of some recurrent layers in half precision, as described above.
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
