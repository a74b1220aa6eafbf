use crate::resident::Resident;
use crate::{Model, ModelError, Optimizer, TrainError, Trainer, TrainerState, WeightRange};
use rnn_core::HostTensor;

/// The values that an optimizer keeps between steps, by the names of the weights. Unlike those in a
/// [`TrainerState`], they do not depend on the places of the weights in one array.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState {
    /// The class of the optimizer, as [`Optimizer::class`] returns it.
    pub optimizer: String,
    /// The number of steps done.
    pub step: u64,
    /// A tensor for each of [`Optimizer::slot_names`] and each weight that gradients change. It has
    /// the name of both, such as `momentum/lstm/kernel`, and the weight's shape.
    pub slots: Vec<(String, HostTensor)>,
}

fn named(slot: &str, weight: &WeightRange) -> String {
    format!("{slot}/{}", weight.name)
}

impl OptimizerState {
    /// Returns the tensor of the slot `slot` of a weight, which has the weight's shape; `None` if
    /// there is none.
    pub fn slot(&self, slot: &str, weight: &WeightRange) -> Option<&HostTensor> {
        let name = named(slot, weight);
        self.slots.iter().find(|(n, _)| *n == name).map(|(_, tensor)| tensor)
    }

    /// Adds the tensor of the slot `slot` of a weight, which must have the weight's shape.
    /// [`Self::slot`] still returns a tensor that was added for the same slot and weight before.
    pub fn push(&mut self, slot: &str, weight: &WeightRange, tensor: HostTensor) {
        self.slots.push((named(slot, weight), tensor));
    }

    /// All weights' slots of a name in one arena, as a step takes them.
    fn arena(
        &self,
        slot: &str,
        model: &Model,
        optimizer: &Optimizer,
    ) -> Result<HostTensor, ModelError> {
        let mut values = vec![optimizer.initial_slot_value(); model.trained()];
        for weight in model.weight_ranges().iter().filter(|weight| weight.trained) {
            let found = self.slot(slot, weight);
            let fits = found.filter(|tensor| tensor.shape().dims() == weight.shape);
            let tensor = fits.ok_or_else(|| ModelError::Weight {
                name: named(slot, weight),
                expected: weight.shape.clone(),
                found: found.map_or("nothing".into(), |tensor| tensor.shape().to_string()),
            })?;
            values[weight.offset..weight.offset + weight.len()].copy_from_slice(tensor.as_f32()?);
        }
        Ok(HostTensor::from_f32([values.len()], values)?)
    }
}

impl TrainerState {
    /// Returns the state of a training that begins with the weights of `model`. If `kept` is given,
    /// the training continues with these values and this number of steps of an optimizer of the
    /// class of `optimizer`; `None` is a new optimizer. `seed` is as in [`Trainer::new`].
    ///
    /// # Errors
    /// Fails with [`ModelError::Weight`] if `kept` lacks a slot of a weight or has it in another
    /// shape, and with [`ModelError::Tensor`] if it is not of floats.
    pub fn beginning(
        model: &Model,
        optimizer: &Optimizer,
        kept: Option<&OptimizerState>,
        seed: u64,
    ) -> Result<Self, ModelError> {
        let mut tensors = model.weights()?;
        let step = kept.map_or(0, |kept| kept.step);
        for (index, slot) in optimizer.slot_names().into_iter().enumerate() {
            if let Some(kept) = kept {
                tensors.push((
                    Resident::OptimizerSlot(index).to_string(),
                    kept.arena(slot, model, optimizer)?,
                ));
            }
        }
        Ok(Self { tensors, seed, step, rate_factor: 1.0, ..Self::default() })
    }
}

impl Trainer {
    /// Waits for all queued steps, and returns the values that the optimizer keeps; `None` before
    /// the first step, and if the state that was restored had none.
    ///
    /// # Errors
    /// Fails if the device fails.
    pub fn optimizer_state(&mut self) -> Result<Option<OptimizerState>, TrainError> {
        if self.step == 0 {
            return Ok(None);
        }
        let state = self.state()?;
        let mut slots = Vec::new();
        for (index, slot) in self.optimizer.slot_names().into_iter().enumerate() {
            let name = Resident::OptimizerSlot(index).to_string();
            let found = state.tensors.iter().find(|(n, _)| *n == name);
            let Some((_, arena)) = found else { return Ok(None) };
            let arena = arena.as_f32()?;
            for weight in self.model.weight_ranges().iter().filter(|weight| weight.trained) {
                let values = arena[weight.offset..weight.offset + weight.len()].to_vec();
                let tensor = HostTensor::from_f32(weight.shape.as_slice(), values)?;
                slots.push((named(slot, weight), tensor));
            }
        }
        let optimizer = self.optimizer.class().to_owned();
        Ok(Some(OptimizerState { optimizer, step: self.step, slots }))
    }
}
