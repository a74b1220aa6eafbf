//! Labels and weights of a batch in the shapes that the losses take.

use super::step::one_each;
use crate::batch::{examples, spread};
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
        let losses = self.step_builder().losses;
        let reshape =
            |((labels, wanted), (loss, _)): ((&'a HostTensor, TensorType), &(Loss, f32))| {
                if *labels.shape() == wanted.shape {
                    return Ok(Cow::Borrowed(labels));
                }
                if *loss == Loss::Ctc
                    && let Some(padded) = padded(labels, &wanted)?
                {
                    return Ok(Cow::Owned(padded));
                }
                if labels.shape().len() != wanted.len() {
                    let found = labels.shape().clone();
                    return Err(TrainError::Labels { expected: wanted.shape, found });
                }
                Ok(Cow::Owned(labels.clone().reshape(wanted.shape)?))
            };
        self.check_classes(batch)?;
        batch.labels.iter().zip(wanted).zip(losses).map(reshape).collect()
    }

    fn check_classes(&self, batch: &Batch) -> Result<(), TrainError> {
        let outputs = self.model.output_shapes(1);
        for ((labels, output), (loss, _)) in
            batch.labels.iter().zip(outputs).zip(self.step_builder().losses)
        {
            let classes = output.last().copied().unwrap_or(1);
            if loss.takes_classes()
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
            let Some((loss, _)) = self.step_builder().losses.get(index) else { continue };
            let axes = loss.axes(output);
            let found = weights.shape().dims();
            let samplewise = matches!(found, [_] | [_, 1]);
            let values = if for_all && !samplewise { None } else { spread(weights, axes) };
            let values = values.ok_or_else(|| TrainError::Weights {
                output: self.model.output_name(index),
                for_all,
                expected: axes.into(),
                found: weights.shape().clone(),
            })?;
            all.push(HostTensor::from_f32([loss.rows(output)[0]], values)?);
        }
        Ok(all)
    }
}

/// Labels `[B, L]` padded by zeros to the steps of `wanted`; `None` if they have more, or other axes.
fn padded(labels: &HostTensor, wanted: &TensorType) -> Result<Option<HostTensor>, TrainError> {
    let ([batch, length], &[rows, steps]) = (labels.shape().dims(), wanted.dims()) else {
        return Ok(None);
    };
    if *batch != rows || *length > steps || *length == 0 {
        return Ok(None);
    }
    let mut values = vec![0; rows * steps];
    for (row, labels) in values.chunks_exact_mut(steps).zip(labels.as_u32()?.chunks_exact(*length))
    {
        row[..*length].copy_from_slice(labels);
    }
    Ok(Some(HostTensor::from_u32(wanted.shape.clone(), values)?))
}
