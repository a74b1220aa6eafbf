//! What an optimizer keeps, as folders and Keras's files hold it.

use super::keras::in_keras_order;
use super::{ModelFileError, Result};
use crate::nn::{Architecture, Model, Optimizer, OptimizerState, SlotOrder, WeightRange};
use rnn_core::HostTensor;
use rnn_formats::keras::{KerasFile, Variables};
use rnn_formats::{remove_if_there, safetensors};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the file in a model's folder that holds the state of its optimizer, as safetensors.
pub const FILE: &str = "optimizer.safetensors";

/// Writes the state of an optimizer into the folder of a model, in place of an earlier one. If
/// `state` is `None`, an earlier state is removed.
///
/// # Errors
/// Fails if the file cannot be written or removed.
pub fn save(folder: &Path, state: Option<&OptimizerState>) -> Result<()> {
    let path = folder.join(FILE);
    let Some(OptimizerState { optimizer, step, slots }) = state else {
        return remove_if_there(&path).map_err(|source| ModelFileError::Write { path, source });
    };
    let metadata = [("optimizer", optimizer.clone()), ("step", step.to_string())];
    let metadata: BTreeMap<String, String> =
        metadata.map(|(key, value)| (key.to_owned(), value)).into();
    Ok(safetensors::save(&path, slots, &metadata)?)
}

/// Reads the state of an optimizer from the folder of a model; `None` if the folder has none.
///
/// # Errors
/// Fails if the file cannot be read, is damaged, or does not name the optimizer and the step.
pub fn load(folder: &Path) -> Result<Option<OptimizerState>> {
    let path = folder.join(FILE);
    if !path.try_exists().map_err(|source| ModelFileError::Read { path: path.clone(), source })? {
        return Ok(None);
    }
    let (slots, mut metadata) = safetensors::load(&path)?;
    let damaged = || ModelFileError::Misfit(format!("{} does not say whose it is", path.display()));
    let step = metadata.get("step").and_then(|step| step.parse().ok()).ok_or_else(damaged)?;
    let optimizer = metadata.remove("optimizer").ok_or_else(damaged)?;
    Ok(Some(OptimizerState { optimizer, step, slots }))
}

/// The variables before and after the slots in Keras's order of an optimizer's variables
/// (keras/src/optimizers), and the slots themselves by name and weight.
struct Layout<'a> {
    rate: Option<f64>,
    slots: Vec<(&'static str, &'a WeightRange)>,
    /// The number after the slots.
    number: Option<f64>,
}

impl<'a> Layout<'a> {
    fn new(optimizer: &Optimizer, architecture: &Architecture, model: &'a Model) -> Self {
        let mut weights = in_keras_order(architecture, model);
        weights.retain(|weight| weight.trained);
        let names = optimizer.slot_names();
        let slots = match optimizer.slot_order() {
            SlotOrder::ByWeight => weights
                .iter()
                .flat_map(|weight| names.iter().map(|name| (*name, *weight)))
                .collect(),
            SlotOrder::BySlot(order) => {
                let names = order.iter().filter(|name| names.contains(name));
                names.flat_map(|name| weights.iter().map(|weight| (*name, *weight))).collect()
            }
        };
        Self { rate: optimizer.constant_rate(), slots, number: optimizer.kept_number(0) }
    }

    /// Variables before the slots.
    fn first(&self) -> usize {
        1 + usize::from(self.rate.is_some())
    }

    fn len(&self) -> usize {
        self.first() + self.slots.len() + usize::from(self.number.is_some())
    }
}

/// Reads the state of `optimizer` for `model`, which was built from `architecture`, from a file of
/// Keras 3. Returns `None` if the file has no state or the optimizer has made no step.
///
/// # Errors
/// Fails with [`ModelFileError::Misfit`] if the model was nested in the file (a model in a model),
/// or if the number or the shapes of the variables are not those of this optimizer and model.
pub fn of_keras(
    file: &KerasFile,
    architecture: &Architecture,
    model: &Model,
    optimizer: &Optimizer,
) -> Result<Option<OptimizerState>> {
    let Some(variables) = file.optimizer.first() else { return Ok(None) };
    let tensors = &variables.tensors;
    let layout = Layout::new(optimizer, architecture, model);
    if tensors.len() <= layout.first() && !layout.slots.is_empty() {
        return Ok(None);
    }
    let misfit = |message: String| Err(ModelFileError::Misfit(message));
    if architecture.layer_paths().any(|path| path.len() != 1) {
        return misfit("of a model with models in it, it is not supported".into());
    }
    if tensors.len() != layout.len() {
        return misfit(format!(
            "{} of this model has {} variables in Keras 3, the file has {}",
            optimizer.class(),
            layout.len(),
            tensors.len()
        ));
    }
    let step = tensors.first().and_then(|(_, step)| step.as_u32().ok()?.first().copied());
    let step = step.ok_or_else(|| ModelFileError::misfit("the number of steps is none"))?.into();
    let mut state = OptimizerState { optimizer: optimizer.class().into(), step, slots: vec![] };
    for ((name, weight), (_, tensor)) in layout.slots.iter().zip(&tensors[layout.first()..]) {
        if tensor.shape().dims() != weight.shape {
            let (weight, shape) = (&weight.name, tensor.shape());
            return misfit(format!("{name} of {weight} has the shape {shape}"));
        }
        state.push(name, weight, tensor.clone());
    }
    Ok((step > 0).then_some(state))
}

/// Returns the variables of an optimizer for a `.keras` file, in Keras's order, from its `state`.
/// `model` was built from `architecture`.
///
/// # Errors
/// Fails with [`ModelFileError::Misfit`] if `state` lacks a slot, or has made more than 2^32 - 1
/// steps, the most that Keras counts.
pub fn for_keras(
    (architecture, model): (&Architecture, &Model),
    optimizer: &Optimizer,
    state: &OptimizerState,
) -> Result<Variables> {
    let layout = Layout::new(optimizer, architecture, model);
    let scalar = |value: f64| HostTensor::scalar(value as f32);
    let step = u32::try_from(state.step)
        .map_err(|_| ModelFileError::misfit("Keras counts fewer steps"))?;
    let mut tensors = vec![HostTensor::from_u32([0; 0], vec![step])?];
    tensors.extend(layout.rate.map(scalar));
    for (name, weight) in &layout.slots {
        let tensor = state.slot(name, weight);
        let missing = || ModelFileError::Misfit(format!("no {name} of {} is kept", weight.name));
        tensors.push(tensor.ok_or_else(missing)?.clone());
    }
    tensors.extend(optimizer.kept_number(state.step).map(scalar));
    let numbered = tensors.into_iter().enumerate();
    let tensors = numbered.map(|(number, tensor)| (number.to_string(), tensor)).collect();
    let (path, name) = ("optimizer".to_owned(), optimizer.class().to_lowercase());
    Ok(Variables { path, name, tensors })
}
