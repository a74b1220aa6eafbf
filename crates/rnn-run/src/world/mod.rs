//! The processes that train together, and their communication.

#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "mpi")]
mod patience;

use crate::checkpoint::Checkpoint;
use crate::host::Host;
use anyhow::Result;
use rnn::nn::Communicator;
use std::rc::Rc;
use std::sync::Arc;

/// All ranks (processes) that were started together, seen from one of them. All ranks must make the
/// same calls in the same order.
pub trait World: Communicator {
    /// Returns the number of this process among those on the same machine, from 0 on.
    fn local_rank(&self) -> usize;

    /// Sends `bytes` from rank 0 to all ranks and returns the bytes of rank 0 on every rank. The
    /// `bytes` of other ranks are ignored.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Ends the processes of all ranks with the exit code `code`.
    fn abort(&self, code: u8) -> !;
}

/// Joins the processes that the MPI launcher has started with this one. If one of them hangs during a
/// training, those that wait for it have `host` report that, and end.
///
/// # Errors
/// Fails if MPI is in use already. In a program built without MPI, always fails with
/// [`RunError::NoMpi`](crate::error::RunError::NoMpi).
#[cfg(feature = "mpi")]
pub fn join(host: &Arc<dyn Host>) -> Result<Rc<dyn World>> {
    Ok(Rc::new(mpi::Mpi::join(host)?))
}

/// Joins the processes that the MPI launcher has started together with this one.
///
/// # Errors
/// Fails if MPI is in use already. In a program built without MPI, always fails with
/// [`RunError::NoMpi`](crate::error::RunError::NoMpi).
#[cfg(not(feature = "mpi"))]
pub fn join(_: &Arc<dyn Host>) -> Result<Rc<dyn World>> {
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
