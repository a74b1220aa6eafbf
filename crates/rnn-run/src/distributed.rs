//! Training by several processes that an MPI launcher has started. Each holds the whole model and
//! computes a part of every batch.
//!
//! Rank 0 does what a single process does: it reads arguments, prints and writes. It sends each
//! training to the other ranks as a checkpoint, and they train along.

use crate::checkpoint::Checkpoint;
use crate::host::{Host, warnings};
use crate::world::{World, join};
use crate::{splits, train};
use anyhow::{Context as _, Result};
use rnn::device;
use rnn::nn::Event;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The time that other ranks wait before they report an error that rank 0 may have met as well.
const HEAD_START: Duration = Duration::from_secs(1);

/// Joins the processes (ranks) that MPI has started and calls `work` on each of them. If `work`
/// fails on a rank, [`Host::rank_failed`] is called there, and all ranks end with the exit code
/// that it returns.
///
/// # Errors
/// Fails if this program was built without MPI, or MPI is in use already.
pub fn together(
    host: &Arc<dyn Host>,
    work: impl FnOnce(&Rc<dyn World>) -> Result<()>,
) -> Result<()> {
    let world = join(host)?;
    let rank = world.rank();
    if let Err(error) = work(&world) {
        if rank > 0 {
            thread::sleep(HEAD_START);
        }
        world.abort(host.rank_failed(rank, &error));
    }
    Ok(())
}

/// Joins the processes (ranks) that MPI has started. Rank 0 calls `lead`. The other ranks open the
/// device that `choice` names, as [`device::of_rank`] divides it, and train whatever rank 0 trains
/// until `lead` returns. An error on one rank ends all, as in [`together`].
///
/// # Errors
/// Fails as [`together`].
pub fn run(
    choice: &str,
    host: &Arc<dyn Host>,
    lead: impl FnOnce(Rc<dyn World>) -> Result<()>,
) -> Result<()> {
    together(host, |world| match world.rank() {
        0 => {
            lead(world.clone())?;
            world.broadcast(vec![]);
            Ok(())
        }
        _ => follow(world, choice, host),
    })
}

/// Trains what rank 0 sends, until it sends nothing more.
fn follow(world: &Rc<dyn World>, choice: &str, host: &Arc<dyn Host>) -> Result<()> {
    let choice = device::of_rank(choice, world.local_rank());
    let (device, _) = device::open_with(&choice, &warnings(host))?;
    // Launchers interrupt all ranks; rank 0 decides after which step that counts.
    let _held = host.hold();
    loop {
        let bytes = world.broadcast(vec![]);
        if bytes.is_empty() {
            return Ok(());
        }
        let Checkpoint { config, state, .. } = Checkpoint::from_bytes(&bytes)?;
        let model = config.model()?;
        let splits = splits::load(&config, &model, None).context("here the data cannot be read")?;
        let mut trainer = config.trainer(model, &*device)?.distributed(world.clone());
        trainer.restore(state)?;
        let mut watch = |_: &Event| ControlFlow::Continue(());
        train::fit(&config, &mut trainer, &splits, &mut (), &mut watch)?;
    }
}
