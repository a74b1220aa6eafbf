use rnn_graph::DeviceError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A failure outside the control of the caller.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The device ran out of memory; with the driver's message.
    OutOfMemory(String),
    /// The device is gone; with the driver's message.
    Lost(String),
    /// The driver refused a command; with its message.
    Refused(String),
    /// The device did not answer within this time.
    Timeout(Duration),
}

/// The first fault of a device, or a later one that explains it. It is never cleared: after a lost
/// device or a refused command no later result can be trusted.
#[derive(Debug)]
pub(crate) struct Faults {
    device: String,
    first: Mutex<Option<Fault>>,
}

impl Faults {
    /// Creates a record without a fault. `device` is the device's name, which errors state.
    pub fn new(device: String) -> Self {
        Self { device, first: Mutex::new(None) }
    }

    /// Records a fault. A fault that is already recorded stays, unless the new one explains it:
    /// lack of memory explains a lost device, and a lost device explains a refused command.
    pub fn record(&self, fault: Fault) {
        let mut first = self.first();
        // wgpu loses a device when a submission lacks memory, and names the reason afterwards; a
        // lost device refuses commands before it reports the loss.
        let explains = |known: &Fault| {
            matches!(
                (known, &fault),
                (Fault::Lost(_), Fault::OutOfMemory(_)) | (Fault::Refused(_), Fault::Lost(_))
            )
        };
        if first.as_ref().is_none_or(explains) {
            *first = Some(fault);
        }
    }

    /// Checks that no fault is recorded.
    ///
    /// # Errors
    /// Fails with the error of the recorded fault.
    pub fn check(&self) -> Result<(), DeviceError> {
        match &*self.first() {
            Some(fault) => Err(self.error(fault.clone())),
            None => Ok(()),
        }
    }

    /// Returns the [`DeviceError`] of a fault, with the device's name.
    pub fn error(&self, fault: Fault) -> DeviceError {
        let device = self.device.clone();
        match fault {
            Fault::OutOfMemory(message) => DeviceError::OutOfMemory { device, message },
            Fault::Lost(message) => DeviceError::Lost { device, message },
            Fault::Refused(message) => DeviceError::Refused { device, message },
            Fault::Timeout(patience) => DeviceError::Timeout { device, patience },
        }
    }

    fn first(&self) -> MutexGuard<'_, Option<Fault>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<wgpu::Error> for Fault {
    fn from(error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { source } => Self::OutOfMemory(source.to_string()),
            wgpu::Error::Validation { description, .. }
            | wgpu::Error::Internal { description, .. } => {
                Self::Refused(description.trim_end().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_stays_unless_a_later_one_explains_it() {
        let faults = Faults::new("gpu".into());
        assert!(faults.check().is_ok());
        faults.record(Fault::Lost("hung".into()));
        faults.record(Fault::Refused("invalid".into()));
        assert!(
            matches!(faults.check(), Err(DeviceError::Lost { message, .. }) if message == "hung")
        );
        faults.record(Fault::OutOfMemory("full".into()));
        faults.record(Fault::Lost("again".into()));
        assert!(matches!(faults.check(), Err(DeviceError::OutOfMemory { .. })));
        let faults = Faults::new("gpu".into());
        faults.record(Fault::Refused("invalid".into()));
        faults.record(Fault::Lost("hung".into()));
        assert!(matches!(faults.check(), Err(DeviceError::Lost { .. })));
    }
}
