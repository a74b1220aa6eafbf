//! The processes that train together, and what they send to one another.

#[cfg(feature = "mpi")]
mod mpi;

use crate::checkpoint::Checkpoint;
use anyhow::Result;
use rnn::nn::Communicator;
use std::rc::Rc;

/// All ranks that were started together.
pub trait World: Communicator {
    /// This process's number among those on the same machine.
    fn local_rank(&self) -> usize;

    /// The bytes that rank 0 gives.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Ends all ranks.
    fn abort(&self, code: u8) -> !;
}

/// Joins the processes that the MPI launcher has started with this one.
///
/// # Errors
/// If MPI is in use already.
#[cfg(feature = "mpi")]
pub fn join() -> Result<Rc<dyn World>> {
    Ok(Rc::new(mpi::Mpi::join()?))
}

/// Fails: this build has no MPI.
///
/// # Errors
/// Always.
#[cfg(not(feature = "mpi"))]
pub fn join() -> Result<Rc<dyn World>> {
    Err(crate::error::RunError::NoMpi.into())
}

/// Has the other ranks train from here on.
///
/// # Errors
/// If the checkpoint cannot be written as bytes.
pub(crate) fn send(world: &dyn World, checkpoint: Checkpoint) -> Result<()> {
    world.broadcast(checkpoint.to_bytes()?);
    Ok(())
}
