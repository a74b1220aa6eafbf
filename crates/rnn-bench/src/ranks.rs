//! Training steps of several ranks, each with a batch of its own (weak scaling).

use super::measure::median;
use super::steps::{self, BenchStep};
use anyhow::Result;
use rnn::device;
use rnn::nn::{Batch, Communicator, Trainer};
use rnn_run::host::{Host, warnings};
use rnn_run::world::World;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Steps before the first that is timed, and those that are.
const WARM_UP: usize = 2;
const RUNS: usize = 9;

/// A connection that knows how long this rank was busy with it, or waited, and the bytes summed.
#[derive(Debug)]
struct Timed {
    world: Rc<dyn World>,
    spent: Cell<Duration>,
    bytes: Cell<usize>,
}

impl Timed {
    fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.spent.set(self.spent.get() + started.elapsed());
        result
    }
}

impl Communicator for Timed {
    fn rank(&self) -> usize {
        self.world.rank()
    }

    fn size(&self) -> usize {
        self.world.size()
    }

    fn all_gather(&self, number: u64) -> Vec<u64> {
        self.time(|| self.world.all_gather(number))
    }

    fn all_reduce(&self, values: &mut [f32]) {
        self.bytes.set(size_of_val(values));
        self.time(|| self.world.all_reduce(values));
    }
}

/// Times the training steps of the experiments: first on each rank alone, all at the same time,
/// then on all ranks together. Measured are the steps whose name contains `wanted`; they are
/// smaller if `quick` is true. Every rank opens the device that `choice` names, as
/// [`device::of_rank`] divides it. Rank 0 prints a table through `host`.
pub fn measure(
    world: &Rc<dyn World>,
    host: &Arc<dyn Host>,
    choice: &str,
    (quick, wanted): (bool, &str),
) -> Result<()> {
    let choice = device::of_rank(choice, world.local_rank());
    let (device, _) = device::open_with(&choice, &warnings(host))?;
    let first = world.rank() == 0;
    if first {
        host.tell(format_args!("{} ranks, rank 0 on {}\n", world.size(), device.info()));
        host.tell(format_args!(
            "{:<36} {:>9} {:>12} {:>12} {:>11} {:>9}",
            "", "alone ms", "together ms", "efficiency", "exchange ms", "MB"
        ));
    }
    let all = steps::all(quick, steps::gain_by_half(&*device)).into_iter();
    for step in all.filter(|step| step.training && step.name.contains(wanted)) {
        let batch = step.examples()?;
        let ranks = Timed { world: world.clone(), spent: Cell::default(), bytes: Cell::default() };
        let ranks = Rc::new(ranks);
        world.all_gather(0);
        let alone = time(&mut step.trainer(&*device, step.precision)?, &batch, &ranks)?;
        world.all_gather(0);
        let mut trainer = step.trainer(&*device, step.precision)?.distributed(ranks.clone());
        let together = time(&mut trainer, &batch, &ranks)?;
        if first {
            host.tell(format_args!(
                "{:<36} {:>9.2} {:>12.2} {:>12.3} {:>11.2} {:>9.2}",
                step.name,
                1e3 * alone.0,
                1e3 * together.0,
                alone.0 / together.0,
                1e3 * together.1,
                ranks.bytes.get() as f64 / 1e6
            ));
        }
    }
    Ok(())
}

/// The seconds of a step and of its exchange, medians.
fn time(trainer: &mut Trainer, batch: &Batch, ranks: &Timed) -> Result<(f64, f64)> {
    let mut times = [vec![], vec![]];
    for run in 0..WARM_UP + RUNS {
        ranks.spent.take();
        let started = Instant::now();
        BenchStep::run(trainer, batch, true)?;
        if run >= WARM_UP {
            times[0].push(started.elapsed().as_secs_f64());
            times[1].push(ranks.spent.get().as_secs_f64());
        }
    }
    let [step, exchange] = times.map(median);
    Ok((step, exchange))
}
