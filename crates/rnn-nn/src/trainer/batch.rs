//! Labels and weights of a batch in the shapes that the losses take.

use super::step::one_each;
use crate::batch::{examples, loss_axes, spread};
use crate::loss::rows;
use crate::{Batch, Loss, TrainError, Trainer};
use rnn_core::HostTensor;
use rnn_graph::TensorType;
use std::borrow::Cow;

impl Trainer {
    /// The labels in the shapes that the losses take: `[B]` may be given for `[B, 1]`.
    pub(crate) fn labels<'a>(
        &self,
        batch: &'a Batch,
    ) -> Result<Vec<Cow<'a, HostTensor>>, TrainError> {
        let wanted = self.step_builder().labels(examples(&batch.inputs));
        one_each("outputs", wanted.len(), "arrays of labels", batch.labels.len())?;
        let reshape = |(labels, wanted): (&'a HostTensor, TensorType)| {
            if *labels.shape() == wanted.shape {
                return Ok(Cow::Borrowed(labels));
            }
            if labels.shape().len() != wanted.len() {
                let found = labels.shape().clone();
                return Err(TrainError::Labels { expected: wanted.shape, found });
            }
            Ok(Cow::Owned(labels.clone().reshape(wanted.shape)?))
        };
        self.check_classes(batch)?;
        batch.labels.iter().zip(wanted).map(reshape).collect()
    }

    fn check_classes(&self, batch: &Batch) -> Result<(), TrainError> {
        let outputs = self.model.output_shapes(1);
        for ((labels, output), (loss, _)) in
            batch.labels.iter().zip(outputs).zip(self.step_builder().losses)
        {
            let classes = output.last().copied().unwrap_or(1);
            if matches!(loss, Loss::SparseCategoricalCrossentropy { .. })
                && let Ok(all) = labels.as_u32()
                && let Some(place) = all.iter().position(|&class| class as usize >= classes)
            {
                let at = labels.shape().indices(place);
                return Err(TrainError::Class { class: all[place], at, classes });
            }
        }
        Ok(())
    }

    /// A weight for each row of each output, if there are weights; the weight of an example is that
    /// of all its steps (`reduce_weighted_values` in keras/src/losses/loss.py).
    pub(crate) fn weights(&self, batch: &Batch) -> Result<Vec<HostTensor>, TrainError> {
        let outputs = self.model.output_shapes(examples(&batch.inputs));
        let given = batch.weights.as_slice();
        let of = |output: usize| match given {
            [] => None,
            [one] => Some(one),
            _ => given.get(output),
        };
        if given.len() > 1 {
            one_each("outputs", outputs.len(), "arrays of weights", given.len())?;
        }
        let for_all = given.len() == 1 && outputs.len() > 1;
        let mut all = Vec::new();
        for (index, output) in outputs.iter().enumerate() {
            let Some(weights) = of(index) else { continue };
            let axes = loss_axes(output);
            let found = weights.shape().dims();
            let samplewise = matches!(found, [_] | [_, 1]);
            let values = if for_all && !samplewise { None } else { spread(weights, axes) };
            let values = values.ok_or_else(|| TrainError::Weights {
                output: self.model.output_name(index),
                for_all,
                expected: axes.into(),
                found: weights.shape().clone(),
            })?;
            all.push(HostTensor::from_f32([rows(output)[0]], values)?);
        }
        Ok(all)
    }
}
