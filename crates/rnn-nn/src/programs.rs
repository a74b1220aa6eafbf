//! The programs of a trainer: planned, prepared when they are first run, and kept.

use crate::batch::examples;
use crate::step::{Mode, one_each};
use crate::{TrainError, Trainer};
use rnn_core::HostTensor;
use rnn_graph::{Graph, Planned, Program, Storage};
use std::sync::Arc;

/// The batch size, the mode, and whether examples are weighed.
pub(crate) type Key = (usize, Mode, bool);

impl Trainer {
    /// Plans a training step on a batch of this size, of which examples are `weighted` or not, and
    /// takes no memory for it. The first such step follows the plan.
    pub fn plan_training(
        &mut self,
        batch_size: usize,
        weighted: bool,
    ) -> Result<&Planned, TrainError> {
        let key = (batch_size, Mode::Train, weighted);
        let planned = self.plan(key)?;
        Ok(&self.planned.insert((key, planned)).1)
    }

    pub(crate) fn program(
        &mut self,
        inputs: &[HostTensor],
        mode: Mode,
        weighted: bool,
    ) -> Result<Program, TrainError> {
        one_each("inputs", self.model.inputs().count(), "arrays", inputs.len())?;
        self.check_tokens(inputs)?;
        for (_, spec, _) in self.model.inputs() {
            if spec.shape().contains(&0) {
                return Err(TrainError::Length(spec.shape().into()));
            }
        }
        let size = examples(inputs);
        if size == 0 {
            return Err(TrainError::Empty);
        }
        let key = (size, mode, weighted);
        if let Some(&program) = self.programs.get(&key) {
            return Ok(program);
        }
        let planned = match self.planned.take_if(|(of, _)| *of == key) {
            Some((_, planned)) => planned,
            None => self.plan(key)?,
        };
        self.check_states(&planned.graph)?;
        let program = self.build(planned)?;
        self.programs.insert(key, program);
        Ok(program)
    }

    fn plan(&self, (size, mode, weighted): Key) -> Result<Planned, TrainError> {
        let graph = self.step_builder().graph(size, mode, weighted)?;
        Ok(self.session.plan(Arc::new(graph))?)
    }

    /// Prepares a graph, and gives the residents that it is the first to name their values.
    pub(crate) fn compile(&mut self, graph: Graph) -> Result<Program, TrainError> {
        let planned = self.session.plan(Arc::new(graph))?;
        self.build(planned)
    }

    fn build(&mut self, planned: Planned) -> Result<Program, TrainError> {
        let named =
            planned.graph.tensors().filter(|(_, tensor)| tensor.storage == Storage::Resident);
        let named: Vec<_> = named.map(|(_, t)| (t.name.clone(), t.ty.clone())).collect();
        let program = self.session.build(planned)?;
        for (name, ty) in named {
            if !self.residents.contains_key(&name)
                && let Some(values) = self.first_values(&name, &ty)?
            {
                self.session.write(&name, &values)?;
            }
            self.residents.insert(name, ty);
        }
        Ok(program)
    }
}
