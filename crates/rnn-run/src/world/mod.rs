//! The processes that train together, and what they send to one another.

#[cfg(feature = "mpi")]
mod mpi;

use crate::checkpoint::Checkpoint;
use anyhow::Result;
use rnn::nn::Communicator;
use std::rc::Rc;

/// All ranks (processes) that were started together, seen from one of them.
pub trait World: Communicator {
    /// Returns this process's number among those on the same machine, from 0 on.
    fn local_rank(&self) -> usize;

    /// Sends bytes from rank 0 to all; every rank returns those of rank 0.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Ends the processes of all ranks with this exit code.
    fn abort(&self, code: u8) -> !;
}

/// Joins the processes that the MPI launcher has started with this one.
///
/// # Errors
/// Fails if MPI is in use already; [`crate::error::RunError::NoMpi`] if this program was built
/// without it.
#[cfg(feature = "mpi")]
pub fn join() -> Result<Rc<dyn World>> {
    Ok(Rc::new(mpi::Mpi::join()?))
}

/// Joins the processes that the MPI launcher has started with this one.
///
/// # Errors
/// Fails if MPI is in use already; [`crate::error::RunError::NoMpi`] if this program was built
/// without it.
#[cfg(not(feature = "mpi"))]
pub fn join() -> Result<Rc<dyn World>> {
    Err(crate::error::RunError::NoMpi.into())
}

/// Has the other ranks train from here on.
///
/// # Errors
/// Fails if the checkpoint cannot be written as bytes.
pub(crate) fn send(world: &dyn World, checkpoint: Checkpoint) -> Result<()> {
    world.broadcast(checkpoint.to_bytes()?);
    Ok(())
}
