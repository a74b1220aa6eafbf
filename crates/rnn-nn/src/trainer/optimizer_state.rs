use crate::resident::Resident;
use crate::{Model, ModelError, Optimizer, TrainError, Trainer, TrainerState, WeightRange};
use rnn_core::HostTensor;

/// The values that an optimizer keeps between steps, by the names of the weights. Unlike a
/// [`TrainerState`] it does not depend on the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState {
    /// The class of the optimizer, [`Optimizer::class`].
    pub optimizer: String,
    /// The number of steps done.
    pub step: u64,
    /// For each of [`Optimizer::slot_names`] and each weight that gradients change, such as
    /// `momentum/lstm/kernel`, a tensor of the weight's shape.
    pub slots: Vec<(String, HostTensor)>,
}

fn named(slot: &str, weight: &WeightRange) -> String {
    format!("{slot}/{}", weight.name)
}

impl OptimizerState {
    /// Returns the tensor of a slot of a weight, of the weight's shape; `None` if there is none.
    pub fn slot(&self, slot: &str, weight: &WeightRange) -> Option<&HostTensor> {
        let name = named(slot, weight);
        self.slots.iter().find(|(n, _)| *n == name).map(|(_, tensor)| tensor)
    }

    /// Adds the tensor of a slot of a weight, of the weight's shape. A tensor that is there already
    /// is not replaced.
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
    /// Returns the state of a training that begins with the weights of a model and with the values
    /// that an optimizer of the same class kept until now; `kept` is `None` for a new optimizer.
    /// `seed` is that of [`Trainer::new`].
    ///
    /// # Errors
    /// Fails if the tensor of a weight is missing or has another shape.
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
    /// Waits for everything queued, and returns the values that the optimizer keeps now; `None`
    /// before the first step.
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
