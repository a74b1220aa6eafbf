use crate::attribution::push_attribution;
use crate::loss::rows;
use crate::optimizer_state::resident;
use crate::{Loss, LossOutputs, Model, Optimizer, Precision, TrainError, WeightRange};
use rnn_graph::{Graph, TensorId, TensorType};
use rnn_ops::{
    Binary, Constrain, Fill, LOSS_SCALE, MaskedWeights, MetricSums, Pad, Scale, StepParams,
    Unscale, UpdateMetricSums,
};
use std::sync::Arc;

/// What is done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    Train,
    /// Training as far as other ranks have no part in it: what they share of it is put out.
    Share,
    Evaluate,
    /// Evaluation of a part of a batch, of which other ranks have the rest.
    EvaluateShare,
    Predict,
    Attribute,
    /// What masks arrive at the outputs.
    Masks,
    /// The same during training, where what is dropped may matter.
    TrainMasks,
}

impl Mode {
    /// Dropout acts.
    fn trains(self) -> bool {
        matches!(self, Self::Train | Self::Share | Self::TrainMasks)
    }

    /// Other ranks have parts of the batch.
    fn shares(self) -> bool {
        matches!(self, Self::Share | Self::EvaluateShare)
    }
}

/// What is done with a model.
pub(crate) struct StepBuilder<'a> {
    pub model: &'a Model,
    /// Of each output, and what it counts.
    pub losses: &'a [(Loss, f32)],
    pub tally: MetricSums,
    pub optimizer: &'a Optimizer,
    pub precision: Precision,
}

impl StepBuilder<'_> {
    /// The types of the labels of a batch.
    pub fn labels(&self, batch: usize) -> Vec<TensorType> {
        let outputs = self.model.output_shapes(batch).into_iter();
        outputs.zip(self.losses).map(|(o, (loss, _))| loss.labels(&TensorType::f32(o))).collect()
    }

    /// The graph for a batch. Its inputs are, of those that the mode needs: the model's inputs,
    /// labels of each output, weights of each, random, valid steps of each that is masked, step,
    /// direction.
    pub fn graph(&self, batch: usize, mode: Mode, weighted: bool) -> Result<Graph, TrainError> {
        let outputs = self.model.output_shapes(1).len();
        one_each("outputs", outputs, "losses", self.losses.len())?;
        let mut graph = Graph::new();
        let g = &mut graph;
        let numbered = |name: &str, i: usize| format!("{name}_{i}");
        let inputs = self.model.graph_inputs(g, batch);
        // Whichever program comes first declares them, so that they can be written and read.
        let metrics = self.metrics(g)?;
        if mode == Mode::Predict {
            let forward = self.model.forward(g, &inputs, None, self.precision)?;
            forward.outputs.iter().for_each(|&output| g.output(output));
            return Ok(graph);
        }
        if mode == Mode::Attribute {
            push_attribution(self.model, g, &inputs)?;
            return Ok(graph);
        }
        let random_key = TensorType::u32([4]);
        if matches!(mode, Mode::Masks | Mode::TrainMasks) {
            let random = mode.trains().then(|| g.input("random", random_key));
            let forward = self.model.forward(g, &inputs, random, self.precision)?;
            forward.masks.into_iter().flatten().for_each(|mask| g.output(mask));
            return Ok(graph.for_outputs_alone());
        }
        let labels = self.labels(batch).into_iter().enumerate();
        let labels: Vec<TensorId> =
            labels.map(|(i, ty)| g.input(numbered("labels", i), ty)).collect();
        let shapes = self.model.output_shapes(batch);
        let shapes = shapes.iter().enumerate().filter(|_| weighted);
        let weights: Vec<TensorId> = shapes
            .map(|(i, shape)| g.input(numbered("weights", i), TensorType::f32([rows(shape)[0]])))
            .collect();
        let random = mode.trains().then(|| g.input("random", random_key));
        let forward = self.model.forward(g, &inputs, random, self.precision)?;
        let mut counted = None;
        let mut terms = Vec::new();
        let outputs = forward.outputs.iter().zip(&forward.masks).zip(labels).zip(self.losses);
        for (i, (((&output, &mask), labels), &(loss, factor))) in outputs.enumerate() {
            let mut weights = weights.get(i).copied();
            if let Some(mask) = mask {
                self.check_mask(g, i, mask)?;
                let valid = mode.shares().then(|| numbered("valid", i));
                let valid = valid.map(|name| g.input(name, TensorType::f32([1])));
                let op = MaskedWeights { weighted, given: valid.is_some() };
                let operands: Vec<TensorId> =
                    [Some(mask), weights, valid].into_iter().flatten().collect();
                weights = Some(g.apply(op, &operands)?);
            }
            let judged = loss.forward(g, output, labels, weights)?;
            let LossOutputs { predictions, labels, loss } =
                judged.ok_or(TrainError::Output { loss })?;
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
            loss = g.apply(Binary::Add, &[loss, term])?;
        }
        let (predictions, labels, mask) = counted.ok_or(TrainError::NoOutput)?;
        let judged: Vec<TensorId> =
            [Some(predictions), Some(labels), Some(loss), mask].into_iter().flatten().collect();
        let tally = UpdateMetricSums { of: self.tally, examples: batch };
        if mode == Mode::Share {
            self.push_shared(g, (tally, loss, &judged), &forward.weights)?;
            return Ok(graph);
        }
        g.push_node(Arc::new(tally), &judged, &[metrics])?;
        if mode == Mode::Train {
            let numbers = g.input("step", TensorType::f32([StepParams::LEN]));
            let gradients = self.model.trained_arena(g, "gradients");
            self.push_gradients(g, loss, &forward.weights, gradients)?;
            self.push_update(g, gradients, &forward.weights, numbers)?;
        }
        Ok(graph)
    }

    /// A mask is of use to a loss that has a value for each of its steps (keras/src/losses/loss.py,
    /// where another one cannot be multiplied with the values).
    fn check_mask(&self, g: &Graph, output: usize, mask: TensorId) -> Result<(), TrainError> {
        let shapes = self.model.output_shapes(1);
        let shape = shapes.get(output).map_or(&[][..], Vec::as_slice);
        let steps = g.shape(mask).dims()[0];
        if rows(shape)[0] == steps {
            return Ok(());
        }
        let values = shape[..shape.len().saturating_sub(1)].iter().skip(1).copied().collect();
        Err(TrainError::Mask { output: self.model.output_name(output), steps, values })
    }

    /// The sums from which metrics follow.
    pub fn metrics(&self, g: &mut Graph) -> Result<TensorId, TrainError> {
        Ok(g.resident("metrics", TensorType::f32([self.sums()?])))
    }

    /// How many they are.
    pub fn sums(&self) -> Result<usize, TrainError> {
        let outputs = self.model.output_shapes(1);
        let first = outputs.first().ok_or(TrainError::NoOutput)?;
        // The steps of a sequence are classified each by itself.
        Ok(self.tally.len(match self.tally {
            MetricSums::Categorical => first.last().copied().unwrap_or(1),
            _ => first.iter().product(),
        }))
    }

    /// What the loss is multiplied by before its gradients, in mixed precision.
    fn loss_scale(&self, g: &mut Graph) -> Option<TensorId> {
        let mixed = self.precision == Precision::Mixed;
        mixed.then(|| g.resident("loss_scale", TensorType::f32([LOSS_SCALE])))
    }

    /// Gradients of the loss, written straight into their places in `arena`.
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

    /// The optimizer over all gradients, and what holds the weights.
    pub fn push_update(
        &self,
        g: &mut Graph,
        gradients: TensorId,
        weights: &[TensorId],
        numbers: TensorId,
    ) -> Result<(), TrainError> {
        let (slots, weights) = self.trained(weights);
        let views = slots.iter().map(|slot| g.view(gradients, slot.offset, slot.shape.as_slice()));
        let each = views.collect::<Result<Vec<_>, _>>()?;
        let parameters = self.model.arena(g);
        let mut arenas = vec![g.view(parameters, 0, [self.model.trained()])?];
        for slot in 0..self.optimizer.slots() {
            arenas.push(self.model.trained_arena(g, &resident(slot)));
        }
        let numbers = match self.loss_scale(g) {
            Some(scale) => g.push_node(Arc::new(Unscale), &[numbers], &[gradients, scale])?[0],
            None => numbers,
        };
        self.optimizer.update(g, gradients, &each, numbers, &arenas)?;
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

/// Whether something is given for each input or each output of a model.
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
