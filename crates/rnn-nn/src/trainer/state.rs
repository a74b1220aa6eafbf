use super::engine::InitialValues;
use crate::resident::Resident;
use crate::{CallbackState, History, TrainError, Trainer};
use rnn_core::HostTensor;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// All that a training is between two of its steps: a trainer of the same model and optimizer that
/// is given it goes on with the same bits, if it does so on the same device.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrainerState {
    /// Weights by name; `slot_0`, .. of the optimizer; `loss_scale` of mixed precision; the sums of
    /// the metrics; the states that layers keep, and the weights of their moving averages.
    #[serde(skip)]
    pub tensors: Vec<(String, HostTensor)>,
    /// Decides the order of the examples, and what dropout drops.
    pub seed: u64,
    /// Steps done.
    #[serde(deserialize_with = "steps")]
    pub step: u64,
    /// What the learning rate is multiplied by.
    pub rate_factor: f64,
    /// How far [`Trainer::fit`] is.
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

/// How far a training over several epochs is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FitProgress {
    /// The epochs that are over.
    pub history: History,
    /// Steps done in the next one.
    pub steps: usize,
    /// Seconds that they took.
    pub seconds: f64,
    /// What the callbacks remember, in their order.
    pub callbacks: Vec<CallbackState>,
}

impl TrainerState {
    /// The first tensor with an element that is NaN or infinite.
    pub fn not_finite(&self) -> Option<&str> {
        let broken = |tensor: &HostTensor| !tensor.is_finite();
        self.tensors.iter().find(|(_, tensor)| broken(tensor)).map(|(name, _)| name.as_str())
    }
}

fn weights_of(callback: usize) -> String {
    format!("callback_{callback}/weights")
}

impl Trainer {
    /// All that another trainer needs to go on from here. Waits for everything queued.
    ///
    /// # Errors
    /// If the device fails.
    pub fn state(&mut self) -> Result<TrainerState, TrainError> {
        let mut tensors = self.model()?.weights()?;
        let others = self.engine.state()?;
        tensors.extend(others.into_iter().map(|(name, values)| (name.to_string(), values)));
        let Self { seed, step, rate_factor, .. } = *self;
        Ok(TrainerState { tensors, seed, step, rate_factor, progress: FitProgress::default() })
    }

    /// The state with how far [`Trainer::fit`] is.
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

    /// Takes up a state; the next [`Trainer::fit`] goes on where it was taken.
    ///
    /// # Errors
    /// If it is of another model, or the device fails.
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
        let mut residents = BTreeMap::new();
        for (name, values) in others {
            let resident = Resident::of_name(&name).ok_or(TrainError::UnknownState(name))?;
            residents.insert(resident, values);
        }
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
