//! Masks that arrive at the outputs of a model, brought to the host.

use super::step::{Mode, StepBuilder};
use super::step_inputs::StepInputs;
use crate::batch::examples;
use crate::{Batch, Dataset, TrainError, Trainer};
use rnn_core::HostTensor;

impl StepBuilder<'_> {
    /// Returns, for each output in order, true if a mask of steps arrives at it.
    ///
    /// # Errors
    /// Fails if the layers do not fit together.
    pub fn masked(&self) -> Result<Vec<bool>, TrainError> {
        let (_, forward) = self.model.example_graph(false, self.precision)?;
        Ok(forward.masks.iter().map(Option::is_some).collect())
    }
}

impl Trainer {
    pub(crate) fn masked(&mut self) -> Result<Vec<bool>, TrainError> {
        if let Some(masked) = &self.masked {
            return Ok(masked.clone());
        }
        let masked = self.step_builder().masked()?;
        Ok(self.masked.insert(masked).clone())
    }

    /// The masks of a batch, u32 `[T, B]`, of those outputs that have one. Nothing else that runs
    /// on the device sees that they were asked for.
    fn masks_of(
        &mut self,
        inputs: &[HostTensor],
        random: Option<&HostTensor>,
    ) -> Result<Vec<HostTensor>, TrainError> {
        let mode = if random.is_some() { Mode::TrainMasks } else { Mode::Masks };
        let program = self.program(inputs, mode, false)?;
        let given = StepInputs { model: inputs.iter().collect(), random, ..StepInputs::default() };
        self.engine.outputs(&program, &given)
    }

    /// Returns the masks that arrive at the outputs for the N examples of `set`: for each output,
    /// true for each step that is unmasked, `[N, T]` row-major; `None` for an output without a
    /// mask. Losses and metrics count unmasked steps alone. Examples are processed in batches of
    /// `batch_size`, where 0 acts as 1.
    ///
    /// # Errors
    /// Fails if the examples cannot be read or do not fit the model, or the device fails.
    pub fn output_masks(
        &mut self,
        set: &Dataset,
        batch_size: usize,
    ) -> Result<Vec<Option<Vec<bool>>>, TrainError> {
        let masked = self.masked()?;
        let mut all: Vec<Option<Vec<bool>>> =
            masked.iter().map(|&masked| masked.then(Vec::new)).collect();
        if !masked.contains(&true) {
            return Ok(all);
        }
        for batch in set.batches(batch_size) {
            let masks = self.masks_of(&batch?.inputs, None)?;
            for (all, mask) in all.iter_mut().flatten().zip(masks) {
                let (steps, mask) = (mask.shape().dims()[0], mask.as_u32()?);
                let examples = mask.len() / steps.max(1);
                let unmasked = |i: usize| mask[i % steps * examples + i / steps] != 0;
                all.extend((0..mask.len()).map(unmasked));
            }
        }
        Ok(all)
    }

    /// The divisors of the sums of the losses of masked outputs, `[1]` each, for a batch that is
    /// divided among ranks: the number of unmasked steps on all ranks times this rank's share of
    /// the examples, which is the weight of its output in the sums over ranks.
    pub(crate) fn valid_steps(
        &mut self,
        batch: &Batch,
        random: Option<&HostTensor>,
    ) -> Result<Vec<HostTensor>, TrainError> {
        let Some(communicator) = self.communicator() else { return Ok(vec![]) };
        let masked = self.masked()?.into_iter().filter(|masked| *masked).count();
        if masked == 0 {
            return Ok(vec![]);
        }
        let own = examples(&batch.inputs);
        let counts = communicator.all_gather(own as u64);
        let share = own as f64 / counts.iter().sum::<u64>().max(1) as f64;
        let masks = if own > 0 { self.masks_of(&batch.inputs, random)? } else { vec![] };
        let mut all = Vec::new();
        for index in 0..masked {
            let unmasked = match masks.get(index) {
                Some(mask) => mask.as_u32()?.iter().filter(|&&unmasked| unmasked != 0).count(),
                None => 0,
            };
            let valid: u64 = communicator.all_gather(unmasked as u64).iter().sum();
            all.push(HostTensor::from_f32([1], vec![(valid as f64 * share) as f32])?);
        }
        Ok(all)
    }
}
