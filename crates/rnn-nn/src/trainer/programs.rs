//! The programs of a trainer, found by what they are for.

use super::Trainer;
use super::engine::{InitialValues, Key, PlannedStep, StepProgram};
use super::step::{Mode, one_each};
use super::step_inputs::StepGraph;
use crate::batch::examples;
use crate::{InputSpec, TrainError};
use rnn_core::HostTensor;
use rnn_graph::{Graph, Planned};

impl Trainer {
    /// Plans a training step on a batch of `batch_size` examples, with weights of examples if
    /// `weighted`, without taking memory on the device. The first such step uses the plan, unless
    /// this method has planned another step in between.
    ///
    /// # Errors
    /// Fails if the graph cannot be built, as in [`Trainer::training_graph`], or the device cannot
    /// run it.
    pub fn plan_training(
        &mut self,
        batch_size: usize,
        weighted: bool,
    ) -> Result<&Planned, TrainError> {
        let key = Key { batch: batch_size, mode: Mode::Train, weighted };
        let planned = self.plan(key)?;
        Ok(&self.engine.keep_plan(key, planned).planned)
    }

    /// Returns the graph of a training step on a batch of `batch_size` examples without weights,
    /// for inspection. It is not run.
    ///
    /// # Errors
    /// Fails if the model has no output, there is not one loss for each output, a layer, loss or
    /// mask does not fit, or a trained weight has no gradient.
    pub fn training_graph(&self, batch_size: usize) -> Result<Graph, TrainError> {
        Ok(self.step_builder().graph(batch_size, Mode::Train, false)?.graph)
    }

    /// Returns the graph of a prediction for a batch of `batch_size` examples, for inspection. It
    /// is not run.
    ///
    /// # Errors
    /// Fails if the model has no output, there is not one loss for each output, or the layers do
    /// not fit together.
    pub fn prediction_graph(&self, batch_size: usize) -> Result<Graph, TrainError> {
        Ok(self.step_builder().graph(batch_size, Mode::Predict, false)?.graph)
    }

    /// The program for arrays of examples, which is built when it is first asked for.
    pub(super) fn program(
        &mut self,
        inputs: &[HostTensor],
        mode: Mode,
        weighted: bool,
    ) -> Result<StepProgram, TrainError> {
        self.check_inputs(inputs)?;
        let key = Key { batch: examples(inputs), mode, weighted };
        if let Some(program) = self.engine.program(key) {
            return Ok(program);
        }
        let planned = match self.engine.take_plan(key) {
            Some(planned) => planned,
            None => self.plan(key)?,
        };
        self.check_states(&planned.planned.graph)?;
        let program = self.build(planned)?;
        self.engine.keep_program(key, program.clone());
        Ok(program)
    }

    fn plan(&self, Key { batch, mode, weighted }: Key) -> Result<PlannedStep, TrainError> {
        self.engine.plan(self.step_builder().graph(batch, mode, weighted)?)
    }

    /// Builds a program that is not kept.
    pub(super) fn compile(&mut self, step: StepGraph) -> Result<StepProgram, TrainError> {
        let planned = self.engine.plan(step)?;
        self.build(planned)
    }

    fn build(&mut self, planned: PlannedStep) -> Result<StepProgram, TrainError> {
        let initial = InitialValues { model: &self.model, optimizer: &self.optimizer };
        self.engine.build(planned, &initial)
    }

    /// Makes sure that there is an array of examples for each input, and that its tokens are in the
    /// vocabulary.
    fn check_inputs(&self, inputs: &[HostTensor]) -> Result<(), TrainError> {
        one_each("inputs", self.model.inputs().count(), "arrays", inputs.len())?;
        self.check_tokens(inputs)?;
        for (_, spec, _) in self.model.inputs() {
            if spec.shape().contains(&0) {
                return Err(TrainError::Length(spec.shape().into()));
            }
        }
        if examples(inputs) == 0 { Err(TrainError::Empty) } else { Ok(()) }
    }

    fn check_tokens(&self, inputs: &[HostTensor]) -> Result<(), TrainError> {
        for (input, (_, spec, tensor)) in inputs.iter().zip(self.model.inputs()) {
            let (InputSpec::Tokens(_), Some(vocabulary)) = (spec, self.model.vocabulary(tensor))
            else {
                continue;
            };
            let (tokens, width) = (input.as_u32()?, input.shape().last().max(1));
            if let Some(at) = tokens.iter().position(|&t| t as usize >= vocabulary) {
                let (token, row) = (tokens[at], at / width);
                return Err(TrainError::Token { token, row, vocabulary });
            }
        }
        Ok(())
    }
}
