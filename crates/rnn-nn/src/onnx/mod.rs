//! Parts of ONNX graphs that layers are made of: the context in which a layer adds its operators
//! ([`Layer::onnx`](crate::Layer::onnx)), windows, and recurrences.

mod activations;
mod context;
pub(crate) mod conv_lstm;
mod recurrence;
mod steps;
mod windows;

pub use crate::error::ExportError;
pub use context::{OnnxContext, OnnxTensor};
pub(crate) use recurrence::OnnxCell;
pub use recurrence::{OnnxScan, ScanOptions};
pub(crate) use windows::OnnxWindows;
