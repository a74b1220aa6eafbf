use crate::{Judged, Loss, Optimizer, Sequential, TrainError};
use rnn_graph::{Graph, TensorId, TensorType};
use rnn_ops::{Binary, Constrain, Fill, Pad, STEP_NUMBERS, Tally};
use std::sync::Arc;

/// What is done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    Train,
    Evaluate,
    Predict,
}

/// What is done with a model.
pub(crate) struct Step<'a> {
    pub model: &'a Sequential,
    pub loss: Loss,
    pub tally: Tally,
    pub optimizer: &'a Optimizer,
}

impl Step<'_> {
    /// The type of the labels of a batch.
    pub fn labels(&self, batch: usize) -> TensorType {
        self.loss.labels(&TensorType::f32(self.model.output_shape(batch)))
    }

    /// The graph for a batch. Its inputs are, of those that the mode needs: inputs, labels,
    /// weights, random, step.
    pub fn graph(&self, batch: usize, mode: Mode, weighted: bool) -> Result<Graph, TrainError> {
        let mut graph = Graph::new();
        let g = &mut graph;
        let inputs = g.input("inputs", self.model.input.ty(batch));
        // Whichever program comes first declares them all, so that they can be written and read.
        let sums = self.tally.len(self.model.output_shape(1).iter().product());
        let metrics = g.resident("metrics", TensorType::f32([sums]));
        if mode == Mode::Predict {
            let built = self.model.build(g, inputs, None)?;
            g.output(built.output);
            return Ok(graph);
        }
        let labels = g.input("labels", self.labels(batch));
        let weights = weighted.then(|| g.input("weights", TensorType::f32([batch])));
        let random = (mode == Mode::Train).then(|| g.input("random", TensorType::u32([4])));
        let built = self.model.build(g, inputs, random)?;
        let judged = self.loss.push(g, built.output, labels, weights)?;
        let Judged { predictions, labels, mut loss } =
            judged.ok_or(TrainError::Output { loss: self.loss })?;
        for penalty in built.penalties {
            loss = g.apply(Binary::Add, &[loss, penalty])?;
        }
        g.push_node(Arc::new(self.tally), &[predictions, labels, loss], &[metrics])?;
        if mode == Mode::Train {
            let numbers = g.input("step", TensorType::f32([STEP_NUMBERS]));
            self.push_update(g, loss, &built.weights, numbers)?;
        }
        Ok(graph)
    }

    /// Gradients of the loss, written straight into their arena, and the optimizer over it.
    fn push_update(
        &self,
        g: &mut Graph,
        loss: TensorId,
        weights: &[TensorId],
        numbers: TensorId,
    ) -> Result<(), TrainError> {
        let slots = self.model.slots().iter().zip(weights);
        let (slots, weights): (Vec<_>, Vec<_>) = slots.filter(|(slot, _)| slot.trained).unzip();
        let one = g.apply(Fill { shape: [1].into(), value: 1.0 }, &[])?;
        let gradients = rnn_ops::gradients(g, &[(loss, one)], &weights)?;
        let arena = self.model.trained_arena(g, "gradients");
        for (slot, gradient) in slots.iter().zip(gradients) {
            let gradient = gradient.ok_or_else(|| TrainError::Detached(slot.name.clone()))?;
            if !g.place(gradient, arena, slot.offset) {
                let copy = Pad { offset: 0, full: slot.shape.as_slice().into() };
                let copy = g.apply(copy, &[gradient])?;
                g.place(copy, arena, slot.offset);
            }
        }
        let views = slots.iter().map(|slot| g.view(arena, slot.offset, slot.shape.as_slice()));
        let each = views.collect::<Result<Vec<_>, _>>()?;
        let parameters = self.model.arena(g);
        let mut arenas = vec![g.view(parameters, 0, [self.model.trained()])?];
        for slot in 0..self.optimizer.slots() {
            arenas.push(self.model.trained_arena(g, &format!("slot_{slot}")));
        }
        self.optimizer.push(g, arena, &each, numbers, &arenas)?;
        for (slot, weight) in slots.iter().zip(weights) {
            if let Some(constraint) = slot.constraint {
                g.push_node(Arc::new(Constrain(constraint)), &[], &[weight])?;
            }
        }
        Ok(())
    }
}
