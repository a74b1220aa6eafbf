//! Limits of what a description may hold, so that a small file takes neither long nor much memory.

use crate::ConfigError;
use crate::architecture::Architecture;

/// The most calls of layers in a model. Models that people make have fewer than 2,000.
const MAX_CALLS: usize = 10_000;

/// The most bytes of the names of all layers. Summaries, files of weights and of ONNX have up to 40
/// copies of them; 10,000 layers have some 200,000.
const MAX_NAMES: usize = 1 << 20;

/// Refuses so many calls that work proportional to their square would take too long.
pub(super) fn calls(calls: usize) -> Result<(), ConfigError> {
    let many = || format!("the model has {calls} layers, {MAX_CALLS} are the most");
    if calls <= MAX_CALLS { Ok(()) } else { Err(ConfigError::Structure(many())) }
}

/// Refuses layers whose names, each behind those of the models that it is nested in and of `outer`
/// around them, take too much memory.
pub(super) fn names(architecture: &Architecture, outer: &str) -> Result<(), ConfigError> {
    let of_layer = |path: &[String]| outer.len() + path.iter().map(String::len).sum::<usize>();
    let layers = architecture.layer_paths().map(of_layer);
    let inputs = architecture.inputs().iter().map(|input| input.name.len());
    let bytes: usize = layers.chain(inputs).sum();
    let long = || format!("the names of its layers have {bytes} bytes, {MAX_NAMES} are the most");
    if bytes <= MAX_NAMES { Ok(()) } else { Err(ConfigError::Structure(long())) }
}
