//! What every session checks of what its caller gives it, and the errors that it answers with.

use crate::{DeviceError, Graph, Program, TensorType, Ticket};
use rnn_core::HostTensor;

impl TensorType {
    /// Checks that a tensor from the host has this shape and element type. `name` is the tensor's
    /// name in the error.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Mismatch`] if shape or element type differ.
    pub fn check(&self, name: &str, values: &HostTensor) -> Result<(), DeviceError> {
        if *values.shape() == self.shape && values.dtype() == self.dtype {
            return Ok(());
        }
        Err(DeviceError::Mismatch {
            name: name.into(),
            expected: self.to_string(),
            found: format!("{}{}", values.dtype(), values.shape()),
        })
    }
}

impl Graph {
    /// Checks that tensors from the host fit the inputs of a run: as many as [`Graph::inputs`], in
    /// that order, each of its declared shape and element type.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Mismatch`] if the number of tensors differs, and for the first
    /// tensor whose shape or element type differs.
    pub fn check_inputs(&self, values: &[&HostTensor]) -> Result<(), DeviceError> {
        if values.len() != self.inputs().len() {
            return Err(DeviceError::Mismatch {
                name: "inputs".into(),
                expected: format!("{} tensors", self.inputs().len()),
                found: values.len().to_string(),
            });
        }
        for (&input, values) in self.inputs().iter().zip(values) {
            self[input].ty.check(&self[input].name, values)?;
        }
        Ok(())
    }
}

impl DeviceError {
    /// Returns the [`DeviceError::Resident`] for a resident `name` that no program of the session
    /// names.
    pub fn no_resident(name: &str) -> Self {
        Self::Resident(format!("{name}: no program of this session has it"))
    }

    /// Returns the [`DeviceError::Resident`] for a resident `name` that two programs of a session
    /// declare with different types, `known` and `other`.
    pub fn two_types(name: &str, known: &TensorType, other: &TensorType) -> Self {
        Self::Resident(format!("{name}: {known} in one program, {other} in another"))
    }

    /// Returns the [`DeviceError::Missing`] for a `program` that the session has not built.
    pub fn no_program(program: Program) -> Self {
        Self::missing(format!("program {}", program.0))
    }

    /// Returns the [`DeviceError::Missing`] for a read `ticket` that was never started, or has
    /// already returned its tensor.
    pub fn no_read(ticket: Ticket) -> Self {
        Self::missing(format!("read {} under way; each yields its tensor once", ticket.0))
    }

    fn missing(what: String) -> Self {
        Self::Missing { owner: "the session".into(), what }
    }
}
