use crate::{CallbackState, History, TrainError, Trainer};
use rnn_core::HostTensor;
use rnn_graph::TensorType;
use rnn_ops::FIRST_LOSS_SCALE;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

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
        // A step writes all gradients before it reads one.
        let kept = |name: &&String| !matches!(name.as_str(), "parameters" | "gradients" | "shared");
        let names: Vec<String> = self.residents.keys().filter(kept).cloned().collect();
        // What no program has named yet, and what one has: in an order of their own.
        let mut others = self.restored.clone();
        for name in names {
            let values = self.session.read(&name)?;
            others.insert(name, values);
        }
        tensors.extend(others);
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

    /// Puts back what [`Trainer::take_sums`] took.
    pub(crate) fn put_sums(&mut self, sums: Option<HostTensor>) -> Result<(), TrainError> {
        match sums {
            Some(sums) if self.residents.contains_key("metrics") => {
                self.session.write("metrics", &sums)?;
            }
            Some(sums) => drop(self.restored.insert("metrics".into(), sums)),
            None => {}
        }
        Ok(())
    }

    /// Whether layers keep their states from batch to batch.
    pub(crate) fn keeps_states(&self) -> bool {
        self.residents.keys().chain(self.restored.keys()).any(|name| name.ends_with("/state"))
    }

    /// Takes up a state; the next [`Trainer::fit`] goes on where it was taken.
    ///
    /// # Errors
    /// If it is of another model, or the device fails.
    pub fn restore(&mut self, state: TrainerState) -> Result<(), TrainError> {
        let TrainerState { tensors, seed, step, rate_factor, mut progress } = state;
        self.model.set_weights(&tensors)?;
        let slots = self.model.weight_ranges();
        let others = tensors.into_iter().filter(|(name, _)| slots.iter().all(|s| s.name != *name));
        self.restored = others.collect();
        let sums = self.step_builder().sums()?;
        if let Some(other) =
            self.restored.get("metrics").filter(|found| found.shape().len() != sums)
        {
            if other.as_f32()?.iter().any(|sum| *sum != 0.0) {
                return Err(TrainError::Sums { step });
            }
            self.restored.remove("metrics");
        }
        for (i, callback) in progress.callbacks.iter_mut().enumerate() {
            let weights = self.restored.remove(&weights_of(i));
            callback.weights = weights.map(|w| w.as_f32().map(<[f32]>::to_vec)).transpose()?;
        }
        (self.seed, self.step, self.rate_factor) = (seed, step, rate_factor);
        self.progress = Some(progress);
        if let Some(ticket) = self.pending.take() {
            self.session.wait_read(ticket)?;
        }
        self.latest = Default::default();
        for (name, ty) in self.residents.clone() {
            let zeros = || HostTensor::zeros(ty.shape.clone(), ty.dtype);
            let values = self.first_values(&name, &ty)?.unwrap_or_else(zeros);
            self.session.write(&name, &values)?;
        }
        Ok(())
    }

    /// What a resident holds before the next step, if not zeros.
    pub(crate) fn first_values(
        &mut self,
        name: &str,
        ty: &TensorType,
    ) -> Result<Option<HostTensor>, TrainError> {
        if let Some(values) = self.restored.remove(name) {
            return Ok(Some(values));
        }
        let first = self.optimizer.initial_slot_value();
        let values = match name {
            "parameters" => self.model.parameters().to_vec(),
            "loss_scale" => FIRST_LOSS_SCALE.to_vec(),
            slot if slot.starts_with("slot_") && first != 0.0 => vec![first; ty.len()],
            _ => return Ok(None),
        };
        Ok(Some(HostTensor::from_f32(ty.shape.clone(), values)?))
    }
}
