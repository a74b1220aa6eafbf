use crate::{HostTensor, Shape};
use std::error::Error;
use std::fmt::Debug;

/// An array of examples along the leading axis, stored in memory or in a file, or computed on the
/// fly: only the requested examples need to be in memory. Several threads may read at once.
pub trait Examples: Debug + Send + Sync {
    /// Returns the extents, with the number of examples first.
    fn shape(&self) -> &Shape;

    /// Reads the examples of the given indices, in that order: `[which.len(), ..]`.
    ///
    /// # Errors
    /// Fails if an example does not exist or cannot be read.
    fn read(&self, which: &[u32]) -> Result<HostTensor, Box<dyn Error + Send + Sync>>;
}

impl Examples for HostTensor {
    fn shape(&self) -> &Shape {
        self.shape()
    }

    fn read(&self, which: &[u32]) -> Result<HostTensor, Box<dyn Error + Send + Sync>> {
        let missing = || format!("not all of examples {which:?} are among {}", self.shape()).into();
        self.rows(which).ok_or_else(missing)
    }
}
