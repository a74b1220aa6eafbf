use rnn_graph::DeviceError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What can go wrong outside the control of a caller.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    OutOfMemory(String),
    Lost(String),
    Refused(String),
    Timeout(Duration),
}

/// The first fault, or the one that explains it. It stays: after a lost device or a refused command
/// no later result could be trusted.
#[derive(Debug)]
pub(crate) struct Faults {
    device: String,
    first: Mutex<Option<Fault>>,
}

impl Faults {
    pub fn new(device: String) -> Self {
        Self { device, first: Mutex::new(None) }
    }

    pub fn record(&self, fault: Fault) {
        let mut first = self.first();
        // wgpu gives a device up when a submission lacks memory, and names the reason afterwards;
        // a device that is lost refuses commands before it says so.
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

    /// An error if anything has gone wrong so far.
    pub fn check(&self) -> Result<(), DeviceError> {
        match &*self.first() {
            Some(fault) => Err(self.error(fault.clone())),
            None => Ok(()),
        }
    }

    /// The fault as users see it.
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
