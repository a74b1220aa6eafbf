//! The graphs of steps: of training, evaluation and prediction.

use super::attribution::push_attribution;
use super::step_inputs::{StepGraph, StepInput};
use crate::model::ForwardPass;
use crate::resident::Resident;
use crate::{Loss, LossOutputs, Model, Optimizer, Precision, TrainError, WeightRange};
use rnn_graph::{Graph, TensorId, TensorType};
use rnn_ops::{
    Binary, Constrain, Fill, LOSS_SCALE, MaskedWeights, MetricSums, Pad, Scale, StepParams,
    Unscale, UpdateMetricSums,
};
use std::sync::Arc;

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// A training step on a whole batch.
    Train,
    /// The part of a training step before ranks exchange their gradients.
    Share,
    /// The metrics of a whole batch.
    Evaluate,
    /// Evaluation of a part of a batch, of which other ranks have the rest.
    EvaluateShare,
    /// The outputs of a batch.
    Predict,
    /// The first output, and how much each token contributed to it.
    Attribute,
    /// The masks that arrive at the outputs.
    Masks,
    /// The masks of a training step, which may depend on the elements that are dropped.
    TrainMasks,
}

impl Mode {
    /// True if dropout acts.
    fn trains(self) -> bool {
        matches!(self, Self::Train | Self::Share | Self::TrainMasks)
    }

    /// True if other ranks have parts of the batch.
    fn shares(self) -> bool {
        matches!(self, Self::Share | Self::EvaluateShare)
    }
}

/// Builds the graphs of the steps of a model.
pub(crate) struct StepBuilder<'a> {
    /// The model.
    pub model: &'a Model,
    /// The loss of each output and its weight in their sum.
    pub losses: &'a [(Loss, f32)],
    /// The sums from which the metrics of the first output are computed.
    pub metric_sums: MetricSums,
    /// The optimizer that updates the weights in a training step.
    pub optimizer: &'a Optimizer,
    /// The precision in which sequences are stored.
    pub precision: Precision,
}

impl StepBuilder<'_> {
    /// Returns the types of the labels of a batch of `batch` examples, one for each output.
    pub fn labels(&self, batch: usize) -> Vec<TensorType> {
        let outputs = self.model.output_shapes(batch).into_iter();
        outputs.zip(self.losses).map(|(o, (loss, _))| loss.labels(&TensorType::f32(o))).collect()
    }

    /// Returns the graph of a step of the kind `mode` on a batch of `batch` examples, which have
    /// weights if `weighted`.
    ///
    /// # Errors
    /// Fails if there is not one loss for each output, a layer, a loss or a mask does not fit, or a
    /// weight has no gradient.
    pub fn graph(&self, batch: usize, mode: Mode, weighted: bool) -> Result<StepGraph, TrainError> {
        let outputs = self.model.output_shapes(1).len();
        one_each("outputs", outputs, "losses", self.losses.len())?;
        let mut step = StepGraph::default();
        let types = self.model.input_types(batch).into_iter().enumerate();
        let inputs: Vec<TensorId> =
            types.map(|(i, ty)| step.input(StepInput::Model(i), ty)).collect();
        // Whichever program comes first declares them, so that they can be written and read.
        let metrics = self.metrics(&mut step.graph)?;
        match mode {
            Mode::Predict => {
                let forward = self.forward(&mut step.graph, &inputs, None)?;
                forward.outputs.iter().for_each(|&output| step.graph.output(output));
            }
            Mode::Attribute => push_attribution(self.model, &mut step, &inputs)?,
            Mode::Masks | Mode::TrainMasks => {
                let random = self.random(&mut step, mode);
                let forward = self.forward(&mut step.graph, &inputs, random)?;
                forward.masks.into_iter().flatten().for_each(|mask| step.graph.output(mask));
                step.graph = step.graph.for_outputs_alone();
            }
            Mode::Train | Mode::Share | Mode::Evaluate | Mode::EvaluateShare => {
                self.push_losses(&mut step, (batch, mode, weighted), &inputs, metrics)?;
            }
        }
        Ok(step)
    }

    fn forward(
        &self,
        g: &mut Graph,
        inputs: &[TensorId],
        random: Option<TensorId>,
    ) -> Result<ForwardPass, TrainError> {
        Ok(self.model.forward(g, inputs, random, self.precision)?)
    }

    /// The key of random numbers, in modes that drop out.
    fn random(&self, step: &mut StepGraph, mode: Mode) -> Option<TensorId> {
        mode.trains().then(|| step.input(StepInput::Random, TensorType::u32([4])))
    }

    /// Adds the forward pass, the losses and the metrics, and in training the backward pass and the
    /// update.
    fn push_losses(
        &self,
        step: &mut StepGraph,
        (batch, mode, weighted): (usize, Mode, bool),
        inputs: &[TensorId],
        metrics: TensorId,
    ) -> Result<(), TrainError> {
        let types = self.labels(batch).into_iter().enumerate();
        let labels: Vec<TensorId> =
            types.map(|(i, ty)| step.input(StepInput::Labels(i), ty)).collect();
        let shapes = self.model.output_shapes(batch);
        let judged = shapes.iter().zip(self.losses);
        let rows = judged.map(|(shape, (loss, _))| loss.rows(shape)[0]).enumerate();
        let rows = rows.filter(|_| weighted);
        let weights: Vec<TensorId> = rows
            .map(|(i, rows)| step.input(StepInput::Weights(i), TensorType::f32([rows])))
            .collect();
        let random = self.random(step, mode);
        let forward = self.forward(&mut step.graph, inputs, random)?;
        let mut counted = None;
        let mut terms = Vec::new();
        let mut masked = 0;
        let outputs = forward.outputs.iter().zip(&forward.masks).zip(labels).zip(self.losses);
        for (i, (((&output, &mask), labels), &(loss, factor))) in outputs.enumerate() {
            let mut weights = weights.get(i).copied();
            if let Some(mask) = mask {
                self.check_mask(&step.graph, i, mask)?;
                let role = mode.shares().then_some(StepInput::ValidSteps(masked));
                let valid = role.map(|role| step.input(role, TensorType::f32([1])));
                masked += 1;
                let op = MaskedWeights { weighted, given: valid.is_some() };
                let operands: Vec<TensorId> =
                    [Some(mask), weights, valid].into_iter().flatten().collect();
                weights = Some(step.graph.apply(op, &operands)?);
            }
            let g = &mut step.graph;
            let LossOutputs { predictions, labels, loss } =
                loss.forward(g, output, labels, weights)?;
            terms.push(match factor {
                1.0 => loss,
                factor => g.apply(Scale(factor), &[loss])?,
            });
            counted = counted.or(Some((predictions, labels, mask)));
        }
        terms.extend(forward.penalties);
        let mut terms = terms.into_iter();
        let mut loss = terms.next().ok_or(TrainError::NoOutput)?;
        for term in terms {
            loss = step.graph.apply(Binary::Add, &[loss, term])?;
        }
        let (predictions, labels, mask) = counted.ok_or(TrainError::NoOutput)?;
        let compared: Vec<TensorId> =
            [Some(predictions), Some(labels), Some(loss), mask].into_iter().flatten().collect();
        let update = UpdateMetricSums { of: self.metric_sums, examples: batch };
        if mode == Mode::Share {
            return self.push_exchange(
                &mut step.graph,
                (update, loss, &compared),
                &forward.weights,
            );
        }
        step.graph.push_node(Arc::new(update), &compared, &[metrics])?;
        if mode == Mode::Train {
            let params = step.input(StepInput::Params, TensorType::f32([StepParams::LEN]));
            let g = &mut step.graph;
            let gradients = self.model.trained_arena(g, Resident::Gradients);
            self.push_gradients(g, loss, &forward.weights, gradients)?;
            self.push_update(g, gradients, &forward.weights, params)?;
        }
        Ok(())
    }

    /// A mask is of use to a loss that has a value for each of its steps (keras/src/losses/loss.py,
    /// where another one cannot be multiplied with the values).
    fn check_mask(&self, g: &Graph, output: usize, mask: TensorId) -> Result<(), TrainError> {
        let shapes = self.model.output_shapes(1);
        let shape = shapes.get(output).map_or(&[][..], Vec::as_slice);
        let steps = g.shape(mask).dims()[0];
        let axes = self.losses.get(output).map_or(&[][..], |(loss, _)| loss.axes(shape));
        if axes.iter().product::<usize>() == steps {
            return Ok(());
        }
        let values = axes.iter().skip(1).copied().collect();
        Err(TrainError::Mask { output: self.model.output_name(output), steps, values })
    }

    /// Returns the resident of the sums from which metrics are computed, f32 `[sums]`, in a graph.
    ///
    /// # Errors
    /// Fails if the model has no output.
    pub fn metrics(&self, g: &mut Graph) -> Result<TensorId, TrainError> {
        Ok(g.resident(&Resident::Metrics.to_string(), TensorType::f32([self.sums()?])))
    }

    /// Returns the length of the resident of [`Self::metrics`]: the number of sums from which the
    /// metrics of the first output are computed.
    ///
    /// # Errors
    /// Fails if the model has no output.
    pub fn sums(&self) -> Result<usize, TrainError> {
        let outputs = self.model.output_shapes(1);
        let first = outputs.first().ok_or(TrainError::NoOutput)?;
        // The steps of a sequence are classified each by itself.
        Ok(self.metric_sums.len(match self.metric_sums {
            MetricSums::Categorical => first.last().copied().unwrap_or(1),
            _ => first.iter().product(),
        }))
    }

    /// The factor of the loss in mixed precision.
    fn loss_scale(&self, g: &mut Graph) -> Option<TensorId> {
        let mixed = self.precision == Precision::Mixed;
        mixed.then(|| g.resident(&Resident::LossScale.to_string(), TensorType::f32([LOSS_SCALE])))
    }

    /// Adds the gradients of the loss, f32 `[1]`, with respect to the trained ones of `weights`,
    /// and writes them to their places in `arena`. In mixed precision they are multiplied by the
    /// loss scale.
    ///
    /// # Errors
    /// Fails if the loss does not depend on a weight, or an op has no gradient.
    pub fn push_gradients(
        &self,
        g: &mut Graph,
        loss: TensorId,
        weights: &[TensorId],
        arena: TensorId,
    ) -> Result<(), TrainError> {
        let (slots, weights) = self.trained(weights);
        let seed = match self.loss_scale(g) {
            Some(scale) => g.view(scale, 0, [1])?,
            None => g.apply(Fill { shape: [1].into(), value: 1.0 }, &[])?,
        };
        let gradients = rnn_ops::gradients(g, &[(loss, seed)], &weights)?;
        for (slot, gradient) in slots.iter().zip(gradients) {
            let gradient = gradient.ok_or_else(|| TrainError::Detached(slot.name.clone()))?;
            if !g.place(gradient, arena, slot.offset) {
                let copy = Pad { offset: 0, full: slot.shape.as_slice().into() };
                let copy = g.apply(copy, &[gradient])?;
                g.place(copy, arena, slot.offset);
            }
        }
        Ok(())
    }

    /// Adds the update by the optimizer and the constraints of weights. `gradients` is the arena of
    /// all gradients, `weights` the views of all weights, `params` the numbers of the step,
    /// [`StepParams`].
    ///
    /// # Errors
    /// Fails if the lengths of the arenas do not agree.
    pub fn push_update(
        &self,
        g: &mut Graph,
        gradients: TensorId,
        weights: &[TensorId],
        params: TensorId,
    ) -> Result<(), TrainError> {
        let (slots, weights) = self.trained(weights);
        let views = slots.iter().map(|slot| g.view(gradients, slot.offset, slot.shape.as_slice()));
        let each = views.collect::<Result<Vec<_>, _>>()?;
        let parameters = self.model.arena(g);
        let mut arenas = vec![g.view(parameters, 0, [self.model.trained()])?];
        for slot in 0..self.optimizer.slots() {
            arenas.push(self.model.trained_arena(g, Resident::OptimizerSlot(slot)));
        }
        let params = match self.loss_scale(g) {
            Some(scale) => g.push_node(Arc::new(Unscale), &[params], &[gradients, scale])?[0],
            None => params,
        };
        self.optimizer.update(g, gradients, &each, params, &arenas)?;
        for (slot, weight) in slots.iter().zip(weights) {
            if let Some(constraint) = slot.constraint {
                g.push_node(Arc::new(Constrain(constraint)), &[], &[weight])?;
            }
        }
        Ok(())
    }

    /// The weights that gradients move.
    fn trained(&self, weights: &[TensorId]) -> (Vec<&WeightRange>, Vec<TensorId>) {
        self.model.weight_ranges().iter().zip(weights).filter(|(slot, _)| slot.trained).unzip()
    }
}

/// Checks that there is one of something for each input or output of a model.
pub(crate) fn one_each(
    ends: &'static str,
    expected: usize,
    given: &'static str,
    found: usize,
) -> Result<(), TrainError> {
    match expected == found {
        true => Ok(()),
        false => Err(TrainError::Count { ends, expected, given, found }),
    }
}
