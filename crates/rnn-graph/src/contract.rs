//! What every session checks of what its caller gives it, and the errors that it answers with.

use crate::{DeviceError, Graph, Program, TensorType, Ticket};
use rnn_core::HostTensor;

impl TensorType {
    /// Checks that a tensor from the host is of this type.
    ///
    /// # Errors
    /// [`DeviceError::Mismatch`] for the tensor of that name.
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
    /// Checks that tensors from the host are the inputs of a run.
    ///
    /// # Errors
    /// [`DeviceError::Mismatch`] for the first that is not.
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
    /// A resident that no program of a session names.
    pub fn no_resident(name: &str) -> Self {
        Self::Resident(format!("{name}: no program of this session has it"))
    }

    /// A resident on whose type two programs of a session disagree.
    pub fn two_types(name: &str, known: &TensorType, other: &TensorType) -> Self {
        Self::Resident(format!("{name}: {known} in one program, {other} in another"))
    }

    /// A program that a session has not built.
    pub fn no_program(program: Program) -> Self {
        Self::missing(format!("program {}", program.0))
    }

    /// A read that was not started, or has yielded its tensor.
    pub fn no_read(ticket: Ticket) -> Self {
        Self::missing(format!("read {} under way; each yields its tensor once", ticket.0))
    }

    fn missing(what: String) -> Self {
        Self::Missing { owner: "the session".into(), what }
    }
}
