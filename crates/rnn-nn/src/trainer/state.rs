use super::engine::InitialValues;
use crate::json_float;
use crate::resident::Resident;
use crate::{CallbackState, History, TrainError, Trainer};
use rnn_core::HostTensor;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The complete state of a training between two steps. A trainer of the same model and optimizer,
/// on the same device, that restores it continues with the same bits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrainerState {
    /// The tensors by name: the weights; the slots of the optimizer, `slot_0` and so on; the
    /// `loss_scale` of mixed precision; the sums of the metrics, `metrics`; the states of layers,
    /// such as `lstm/state`; and the weights of moving averages and of callbacks. They are not part
    /// of the JSON.
    #[serde(skip)]
    pub tensors: Vec<(String, HostTensor)>,
    /// The seed of the order of the examples and of dropout.
    pub seed: u64,
    /// The number of steps done.
    #[serde(deserialize_with = "steps")]
    pub step: u64,
    /// The factor of the learning rate, [`Trainer::rate_factor`]; 1 unless a callback changed it.
    #[serde(with = "json_float")]
    pub rate_factor: f64,
    /// The progress of [`Trainer::fit`].
    #[serde(alias = "course")]
    pub progress: FitProgress,
}

/// A number of steps that can still be counted on from.
fn steps<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let steps = u64::deserialize(from)?;
    let most = 1 << 53;
    if steps < most {
        Ok(steps)
    } else {
        Err(Error::custom(format!("{steps} steps are no training")))
    }
}

/// The progress of [`Trainer::fit`] over its epochs and steps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FitProgress {
    /// The results of the epochs that are over.
    pub history: History,
    /// The number of steps done in the current epoch.
    pub steps: usize,
    /// The wall time of these steps in seconds.
    #[serde(with = "json_float")]
    pub seconds: f64,
    /// The states of the callbacks, in their order; empty if none were stored.
    pub callbacks: Vec<CallbackState>,
}

impl TrainerState {
    /// Returns the name of the first tensor with an element that is NaN or infinite; `None` if all
    /// elements are finite.
    pub fn not_finite(&self) -> Option<&str> {
        let broken = |tensor: &HostTensor| !tensor.is_finite();
        self.tensors.iter().find(|(_, tensor)| broken(tensor)).map(|(name, _)| name.as_str())
    }
}

fn weights_of(callback: usize) -> String {
    format!("callback_{callback}/weights")
}

impl Trainer {
    /// Waits for all queued steps, and returns the state from which another trainer can continue.
    /// Its progress is that of a training that has not begun; [`Trainer::fit_with_checkpoints`]
    /// stores states with the progress.
    ///
    /// # Errors
    /// Fails if the device fails.
    pub fn state(&mut self) -> Result<TrainerState, TrainError> {
        let mut tensors = self.model()?.weights()?;
        let others = self.engine.state()?;
        tensors.extend(others.into_iter().map(|(name, values)| (name.to_string(), values)));
        let Self { seed, step, rate_factor, .. } = *self;
        Ok(TrainerState { tensors, seed, step, rate_factor, progress: FitProgress::default() })
    }

    /// The state with the progress of [`Trainer::fit`].
    pub(crate) fn state_in(&mut self, progress: FitProgress) -> Result<TrainerState, TrainError> {
        let mut state = self.state()?;
        for (i, callback) in progress.callbacks.iter().enumerate() {
            if let Some(weights) = &callback.weights {
                let weights = HostTensor::from_f32([weights.len()], weights.clone())?;
                state.tensors.push((weights_of(i), weights));
            }
        }
        Ok(TrainerState { progress, ..state })
    }

    /// Puts back the sums that [`Trainer::take_sums`] took.
    pub(crate) fn put_sums(&mut self, sums: Option<HostTensor>) -> Result<(), TrainError> {
        sums.map_or(Ok(()), |sums| self.engine.write(Resident::Metrics, sums))
    }

    /// Replaces the state of the trainer by `state`. The next [`Trainer::fit`] continues from
    /// there.
    ///
    /// # Errors
    /// Fails with [`TrainError::Model`] if a weight is missing or has another shape, with
    /// [`TrainError::Sums`] as described there, and if another tensor has another type or the
    /// device fails. After an error the trainer may hold a part of the state.
    pub fn restore(&mut self, state: TrainerState) -> Result<(), TrainError> {
        let TrainerState { tensors, seed, step, rate_factor, mut progress } = state;
        self.model.set_weights(&tensors)?;
        let mut others: BTreeMap<String, HostTensor> = tensors.into_iter().collect();
        for weight in self.model.weight_ranges() {
            others.remove(&weight.name);
        }
        for (i, callback) in progress.callbacks.iter_mut().enumerate() {
            let weights = others.remove(&weights_of(i));
            callback.weights = weights.map(|w| w.as_f32().map(<[f32]>::to_vec)).transpose()?;
        }
        let mut residents: BTreeMap<Resident, HostTensor> =
            others.into_iter().map(|(name, values)| (Resident::of_name(&name), values)).collect();
        let sums = self.step_builder().sums()?;
        if let Some(other) =
            residents.get(&Resident::Metrics).filter(|found| found.shape().len() != sums)
        {
            if other.as_f32()?.iter().any(|sum| *sum != 0.0) {
                return Err(TrainError::Sums { step });
            }
            residents.remove(&Resident::Metrics);
        }
        (self.seed, self.step, self.rate_factor) = (seed, step, rate_factor);
        self.progress = Some(progress);
        self.forget_pending()?;
        let initial = InitialValues { model: &self.model, optimizer: &self.optimizer };
        self.engine.restore(residents, &initial)
    }
}
