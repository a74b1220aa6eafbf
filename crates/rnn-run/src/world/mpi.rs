use super::World;
use super::patience::Patience;
use crate::host::Host;
use anyhow::{Context as _, Result};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};
use mpi::{Threading, initialize_with_threading};
use rnn::nn::Communicator as Ranks;
use std::fmt;
use std::sync::Arc;

/// Bytes of one broadcast: MPI counts with 32 bits.
const AT_ONCE: usize = 1 << 30;

/// A connection to all processes that the MPI launcher has started. An error of MPI ends all of
/// them.
pub struct Mpi {
    world: SimpleCommunicator,
    local_rank: usize,
    patience: Patience,
    /// Leaves MPI when it is dropped.
    _universe: Universe,
}

impl Mpi {
    /// Initializes MPI and joins the processes that the launcher has started. Only this thread may
    /// then call MPI.
    ///
    /// # Errors
    /// Fails if MPI is in use already.
    pub fn join(host: &Arc<dyn Host>) -> Result<Self> {
        // Other threads compute, but do not call MPI.
        let joined = initialize_with_threading(Threading::Funneled);
        let (universe, _) = joined.context("MPI is in use already")?;
        let world = universe.world();
        let local_rank = world.split_shared(world.rank()).rank() as usize;
        let patience = Patience::begin(world.rank() as usize, host)?;
        Ok(Self { world, local_rank, patience, _universe: universe })
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn all_gather(&self, number: u64) -> Vec<u64> {
        let _waits = self.patience.wait();
        let mut all = vec![0; self.size()];
        self.world.all_gather_into(&number, &mut all[..]);
        all
    }

    /// Each rank is sent one part of the values by all, adds them and sends the sums to all. So
    /// each sends 2 (n - 1) / n of its values, the least that there is (Patarasuk and Yuan, 2009,
    /// doi:10.1016/j.jpdc.2008.09.002); and the order is ours, which MPI_Allreduce's is not.
    fn all_reduce(&self, values: &mut [f32]) {
        let part = values.len().div_ceil(self.size()).max(1);
        let mut all = values.to_vec();
        all.resize(part * self.size(), 0.0);
        let mut parts = vec![0.0f32; all.len()];
        let _waits = self.patience.wait();
        self.world.all_to_all_into(&all[..], &mut parts[..]);
        let mut sums = vec![0.0f32; part];
        for part in parts.chunks(part) {
            sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        self.world.all_gather_into(&sums[..], &mut all[..]);
        values.copy_from_slice(&all[..values.len()]);
    }
}

impl World for Mpi {
    fn local_rank(&self) -> usize {
        self.local_rank
    }

    fn broadcast(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let first = self.world.process_at_rank(0);
        let mut count = bytes.len() as u64;
        first.broadcast_into(&mut count);
        bytes.resize(count as usize, 0);
        bytes.chunks_mut(AT_ONCE).for_each(|part| first.broadcast_into(part));
        bytes
    }

    fn abort(&self, code: u8) -> ! {
        self.world.abort(code.into())
    }
}
