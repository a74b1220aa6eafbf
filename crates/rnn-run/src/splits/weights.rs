//! The weights of examples, or of their time steps, in the loss: `w_train` and the like.

use super::arrays::{borrowed, names};
use crate::arrays::{Arrays, ElementKind};
use anyhow::{Result, ensure};
use rnn::HostTensor;
use rnn::nn::Batch;
use rnn_core::Examples;
use std::sync::Arc;

/// Returns true if the data holds weights for the part with the suffix `suffix`, such as `_train`:
/// an array for all outputs, or an array for one of several `outputs`.
pub fn are_in(arrays: &Arrays, suffix: &str, outputs: &[String]) -> bool {
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    arrays.has(&format!("w{suffix}")) || !of_outputs(arrays, suffix, &outputs).is_empty()
}

/// The arrays that are for one of several outputs: `w_train_NAME` or `w_train_0`.
fn of_outputs(arrays: &Arrays, suffix: &str, outputs: &[&str]) -> Vec<String> {
    let names = match outputs.len() {
        1 => vec![],
        _ => names("w", suffix, outputs).concat(),
    };
    names.into_iter().filter(|name| arrays.has(name)).collect()
}

/// Reads the weights of examples, or of their time steps, for the part with the suffix `suffix`,
/// such as `_train`. `outputs` and `shapes` are the names of the model's outputs and their shapes
/// with all examples. Returns an empty list if the data has no weights; one array if it has one for
/// all outputs; else an array for each output, in order, with ones for outputs without weights.
///
/// # Errors
/// Fails if an array cannot be read or does not fit the shape of an output, if there are an array
/// for all outputs and one for a single output, or if one array for several outputs has weights of
/// time steps.
pub fn read(
    arrays: &mut Arrays,
    suffix: &str,
    (outputs, shapes): (&[&str], &[Vec<usize>]),
) -> Result<Vec<Arc<dyn Examples>>> {
    let for_all = format!("w{suffix}");
    let own = of_outputs(arrays, suffix, outputs);
    if arrays.has(&for_all) {
        ensure!(
            own.is_empty(),
            "there are {for_all}, for all outputs, and {}: keep one or the other",
            own.join(", ")
        );
        let weights = arrays.array(&[&for_all], ElementKind::Floats)?;
        let axes = weights.shape().dims();
        // As Keras has it (keras/src/trainers/data_adapters/array_data_adapter.py).
        ensure!(
            outputs.len() == 1 || matches!(axes, [_] | [_, 1]),
            "{for_all} is of shape {axes:?}; for all {} outputs it takes one weight an example: \
             give those of steps by output, {for_all}_{} and so on",
            outputs.len(),
            outputs[0]
        );
        shapes.iter().try_for_each(|shape| check(&for_all, axes, shape))?;
        return Ok(vec![weights.examples()]);
    }
    if own.is_empty() {
        return Ok(vec![]);
    }
    let mut all: Vec<Arc<dyn Examples>> = Vec::new();
    for (names, shape) in names("w", suffix, outputs).iter().zip(shapes) {
        if names.iter().any(|name| arrays.has(name)) {
            let weights = arrays.array(&borrowed(names), ElementKind::Floats)?;
            check(&names[0], weights.shape().dims(), shape)?;
            all.push(weights.examples());
        } else {
            let count = shape.first().copied().unwrap_or(0);
            all.push(Arc::new(HostTensor::from_f32([count], vec![1.0; count])?));
        }
    }
    Ok(all)
}

fn check(name: &str, found: &[usize], output: &[usize]) -> Result<()> {
    let judged = &output[..output.len().saturating_sub(1)];
    let steps =
        if judged.len() > 1 { format!(", or for each step, {judged:?}") } else { "".into() };
    ensure!(
        Batch::weights_fit(found, output),
        "{name} is of shape {found:?}; it takes a weight for each of {} examples{steps}",
        output.first().copied().unwrap_or(0)
    );
    Ok(())
}
