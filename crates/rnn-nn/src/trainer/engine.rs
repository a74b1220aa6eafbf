//! The device side of a training: its programs, planned, built when they are first run, and kept,
//! and the tensors that they share.

use super::step::Mode;
use super::step_inputs::{StepGraph, StepInput, StepInputs};
use crate::resident::Resident;
use crate::{Model, Optimizer, TrainError};
use rnn_core::HostTensor;
use rnn_graph::{Planned, Program, Session, Storage, TensorType, Ticket};
use rnn_ops::FIRST_LOSS_SCALE;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The key of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The number of examples in the batch.
    pub batch: usize,
    /// The kind of the step.
    pub mode: Mode,
    /// True if examples or steps have weights, false if all count alike.
    pub weighted: bool,
}

/// A step that is planned, without memory on the device yet.
pub(crate) struct PlannedStep {
    /// The graph of the step with its plan on the device.
    pub planned: Planned,
    inputs: Arc<[StepInput]>,
}

/// A step that can be run, with the roles of its inputs.
#[derive(Clone, Debug)]
pub(crate) struct StepProgram {
    program: Program,
    inputs: Arc<[StepInput]>,
}

/// The values that residents begin with.
pub(crate) struct InitialValues<'a> {
    /// The model, whose weights are the first values of the parameters.
    pub model: &'a Model,
    /// The optimizer, which decides the first value of its slots.
    pub optimizer: &'a Optimizer,
}

impl InitialValues<'_> {
    /// The first value of a resident; none, where it is zeros.
    fn of(&self, name: &Resident, ty: &TensorType) -> Result<Option<HostTensor>, TrainError> {
        let slot = self.optimizer.initial_slot_value();
        let values = match name {
            Resident::Parameters => self.model.parameters().to_vec(),
            Resident::LossScale => FIRST_LOSS_SCALE.to_vec(),
            Resident::Constants(layer) => self.model.constants_of(layer),
            Resident::OptimizerSlot(_) if slot != 0.0 => vec![slot; ty.len()],
            _ => return Ok(None),
        };
        Ok(Some(HostTensor::from_f32(ty.shape.clone(), values)?))
    }
}

/// A session with the programs of a training and the tensors that they share.
pub(crate) struct Engine {
    session: Box<dyn Session>,
    programs: HashMap<Key, StepProgram>,
    planned: Option<(Key, PlannedStep)>,
    /// The residents that programs have named.
    residents: BTreeMap<Resident, TensorType>,
    /// Values of a restored state for residents that no program has named yet.
    restored: BTreeMap<Resident, HostTensor>,
}

impl Engine {
    /// Creates an engine without programs over a session.
    pub fn new(session: Box<dyn Session>) -> Self {
        Self {
            session,
            programs: HashMap::new(),
            planned: None,
            residents: BTreeMap::new(),
            restored: BTreeMap::new(),
        }
    }

    /// Returns the session on the device.
    pub fn session(&mut self) -> &mut dyn Session {
        &mut *self.session
    }

    /// Plans the graph of a step, without taking memory on the device.
    ///
    /// # Errors
    /// Fails if the device cannot run the graph.
    pub fn plan(&self, StepGraph { graph, inputs }: StepGraph) -> Result<PlannedStep, TrainError> {
        Ok(PlannedStep { planned: self.session.plan(Arc::new(graph))?, inputs: inputs.into() })
    }

    /// Keeps a plan for the first run of the program of this key, in place of a plan kept before,
    /// and returns it.
    pub fn keep_plan(&mut self, key: Key, planned: PlannedStep) -> &PlannedStep {
        &self.planned.insert((key, planned)).1
    }

    /// Takes back the plan that [`Self::keep_plan`] kept for the program of this key; `None` if
    /// there is none.
    pub fn take_plan(&mut self, key: Key) -> Option<PlannedStep> {
        self.planned.take_if(|(of, _)| *of == key).map(|(_, planned)| planned)
    }

    /// Takes the memory that a planned step needs. Residents that no program named before get their
    /// first values: those of a restored state, or those of `initial`.
    ///
    /// # Errors
    /// Fails if the device has too little memory, or fails otherwise.
    pub fn build(
        &mut self,
        PlannedStep { planned, inputs }: PlannedStep,
        initial: &InitialValues<'_>,
    ) -> Result<StepProgram, TrainError> {
        let tensors = planned.graph.tensors().map(|(_, tensor)| tensor);
        let residents = tensors.filter(|tensor| tensor.storage == Storage::Resident);
        let residents = residents.map(|t| (Resident::of_name(&t.name), t.ty.clone()));
        let residents: Vec<_> = residents.collect();
        let program = self.session.build(planned)?;
        for (name, ty) in residents {
            if !self.residents.contains_key(&name)
                && let Some(values) = self.first_values(&name, &ty, initial)?
            {
                self.session.write(&name.to_string(), &values)?;
            }
            self.residents.insert(name, ty);
        }
        Ok(StepProgram { program, inputs })
    }

    fn first_values(
        &mut self,
        name: &Resident,
        ty: &TensorType,
        initial: &InitialValues<'_>,
    ) -> Result<Option<HostTensor>, TrainError> {
        match self.restored.remove(name) {
            Some(values) => Ok(Some(values)),
            None => initial.of(name, ty),
        }
    }

    /// Returns the program that was kept under this key by [`Self::keep_program`]; `None` before
    /// that.
    pub fn program(&self, key: Key) -> Option<StepProgram> {
        self.programs.get(&key).cloned()
    }

    /// Keeps a program for the steps of this key. A program kept under the key before is replaced.
    pub fn keep_program(&mut self, key: Key, program: StepProgram) {
        self.programs.insert(key, program);
    }

    /// Queues a run of a step on the device, without waiting for it. `given` must have a value for
    /// each input of the step.
    ///
    /// # Errors
    /// Fails if a value is missing or has another type, or the device fails.
    pub fn run(&mut self, step: &StepProgram, given: &StepInputs<'_>) -> Result<(), TrainError> {
        let value = |&role| given.get(role).ok_or_else(|| TrainError::StepInput(role.to_string()));
        let inputs = step.inputs.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        Ok(self.session.run(step.program, &inputs)?)
    }

    /// Queues a run of a step, waits for it and returns its outputs, in the order of the graph.
    ///
    /// # Errors
    /// Fails if a value of `given` is missing or has another type, or the device fails.
    pub fn outputs(
        &mut self,
        step: &StepProgram,
        given: &StepInputs<'_>,
    ) -> Result<Vec<HostTensor>, TrainError> {
        self.run(step, given)?;
        Ok(self.session.fetch(step.program)?)
    }

    /// Returns true if a program that was built names the resident.
    pub fn has(&self, name: &Resident) -> bool {
        self.residents.contains_key(name)
    }

    /// Reads a resident; waits for all queued runs.
    ///
    /// # Errors
    /// Fails if no program names it, or the device fails.
    pub fn read(&mut self, name: &Resident) -> Result<HostTensor, TrainError> {
        Ok(self.session.read(&name.to_string())?)
    }

    /// Starts to read a resident, without waiting. The session returns the values for the ticket.
    ///
    /// # Errors
    /// Fails if no program names it, or the device fails.
    pub fn start_read(&mut self, name: &Resident) -> Result<Ticket, TrainError> {
        Ok(self.session.start_read(&name.to_string())?)
    }

    /// Sets a resident to `values`. If no program names it yet, it is set once one does.
    ///
    /// # Errors
    /// Fails if the values have another type, or the device fails.
    pub fn write(&mut self, name: Resident, values: HostTensor) -> Result<(), TrainError> {
        if self.has(&name) {
            return Ok(self.session.write(&name.to_string(), &values)?);
        }
        self.restored.insert(name, values);
        Ok(())
    }

    /// Reads a resident and sets it to zeros. If no program names it, returns the values that it
    /// was set to; `None` if there are none.
    ///
    /// # Errors
    /// Fails if the device fails.
    pub fn take(&mut self, name: &Resident) -> Result<Option<HostTensor>, TrainError> {
        let Some(ty) = self.residents.get(name).cloned() else {
            return Ok(self.restored.remove(name));
        };
        let values = self.read(name)?;
        self.zero(name, &ty)?;
        Ok(Some(values))
    }

    fn zero(&mut self, name: &Resident, ty: &TensorType) -> Result<(), TrainError> {
        let zeros = HostTensor::zeros(ty.shape.clone(), ty.dtype);
        Ok(self.session.write(&name.to_string(), &zeros)?)
    }

    /// Sets the states that layers keep between batches to zeros.
    ///
    /// # Errors
    /// Fails if the device fails.
    pub fn reset_states(&mut self) -> Result<(), TrainError> {
        let is_state = |name: &Resident| matches!(name, Resident::LayerState(_));
        self.restored.retain(|name, _| !is_state(name));
        for (name, ty) in self.residents.clone() {
            if is_state(&name) {
                self.zero(&name, &ty)?;
            }
        }
        Ok(())
    }

    /// Returns the shape of a resident; `None` if no program names it and nothing has set it.
    pub fn shape(&self, name: &Resident) -> Option<&rnn_core::Shape> {
        let restored = self.restored.get(name).map(HostTensor::shape);
        restored.or_else(|| self.residents.get(name).map(|ty| &ty.shape))
    }

    /// Returns true if layers keep states from batch to batch: a program, or a restored state,
    /// names one.
    pub fn keeps_states(&self) -> bool {
        let mut names = self.residents.keys().chain(self.restored.keys());
        names.any(|name| matches!(name, Resident::LayerState(_)))
    }

    /// Returns the residents that are part of a training's state, without the weights.
    ///
    /// # Errors
    /// Fails if the device fails.
    pub fn state(&mut self) -> Result<BTreeMap<Resident, HostTensor>, TrainError> {
        let mut state = self.restored.clone();
        for name in self.residents.keys().cloned().collect::<Vec<_>>() {
            if name != Resident::Parameters && !name.is_scratch() {
                let values = self.read(&name)?;
                state.insert(name, values);
            }
        }
        Ok(state)
    }

    /// Sets all residents to the values of a state; those that it lacks get the values of
    /// `initial`, or zeros.
    ///
    /// # Errors
    /// Fails if a value has another type than its resident, or the device fails.
    pub fn restore(
        &mut self,
        state: BTreeMap<Resident, HostTensor>,
        initial: &InitialValues<'_>,
    ) -> Result<(), TrainError> {
        self.restored = state;
        for (name, ty) in self.residents.clone() {
            match self.first_values(&name, &ty, initial)? {
                Some(values) => self.session.write(&name.to_string(), &values)?,
                None => self.zero(&name, &ty)?,
            }
        }
        Ok(())
    }
}
