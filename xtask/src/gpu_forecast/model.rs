//! The time of a launch and of a step on a card. `docs/gpu-performance.md` states the equations.

use super::inputs::{Card, Kernel, Launches, Step};
use super::work::{Loops, Work};
use crate::gpu_compilers::table::Table;

/// Bytes that a processor loads from caches in a cycle.
const CACHE_BYTES: f64 = 64.0;
/// Bytes that a processor loads from shared memory in a cycle.
const SHARED_BYTES: f64 = 128.0;
/// Instructions of a cell, in a chain in which each waits for the one before.
const CELL_CHAIN: f64 = 80.0;
/// Share of the bandwidth of memory that kernels reach.
const REACHED: f64 = 0.8;

/// What bounds a launch, in the order of [`Time::parts`].
pub const BOUNDS: [&str; 5] = ["issue", "loads", "memory", "latency", "launches"];

/// The time of something, in seconds, by what takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Time {
    /// Instructions, loads through caches and shared memory, bytes of memory, waiting, and the
    /// distance between launches: the time that each would take alone.
    pub parts: [f64; 5],
}

impl Time {
    /// Returns the time if all but launches overlap.
    pub fn least(&self) -> f64 {
        self.parts[..4].iter().copied().fold(0.0, f64::max) + self.parts[4]
    }

    /// Returns the time if nothing overlaps.
    pub fn most(&self) -> f64 {
        self.parts.iter().sum()
    }

    /// Returns the index of the largest part but launches.
    fn bound(&self) -> usize {
        (0..4).fold(0, |most, n| if self.parts[n] > self.parts[most] { n } else { most })
    }
}

/// A launch on a card: the variant that takes the least time, and its time.
#[derive(Clone, Copy, Debug)]
pub struct Forecast<'a> {
    /// The launches.
    pub launch: &'a Launches,
    /// The variant.
    pub kernel: &'a Kernel,
    /// Time of one launch.
    pub time: Time,
}

/// Returns the time of one launch of `kernel`.
pub fn time(launch: &Launches, kernel: &Kernel, work: &Work, card: &Card) -> Time {
    let hz = 1e9 * card.ghz;
    let padded = kernel.threads.next_multiple_of(card.subgroup) as f64;
    let busiest = kernel.workgroups.div_ceil(card.processors) as f64;
    let resident = resident(work, padded, card);
    // Few threads leave lanes idle.
    let lanes = (card.lanes as f64).min(padded * busiest.min(resident));
    let issue = busiest * padded * work.instructions / lanes / hz;

    let from_caches = 4.0 * work.loads / CACHE_BYTES;
    let from_shared = 4.0 * work.shared_loads / SHARED_BYTES;
    let loads = busiest * padded * from_caches.max(from_shared) / hz;

    // A launch of one time step touches that step's part of a sequence.
    let steps = launch.params.get("steps").filter(|_| kernel.entry().contains("_step."));
    let bytes = (launch.read + launch.written) as f64 / steps.map_or(1.0, |&steps| steps as f64);
    let memory = bytes / (REACHED * 1e9 * card.gbytes);

    let rounds = (kernel.workgroups as f64 / (card.processors as f64 * resident)).ceil();
    let latency = rounds * chain(work, card);
    Time { parts: [issue, loads, memory, latency, 1e-6 * card.launch] }
}

/// Workgroups that a processor holds at a time.
fn resident(work: &Work, padded: f64, card: &Card) -> f64 {
    let by_waves = work.waves * card.subgroups * card.subgroup as f64 / padded;
    let by_shared = card.shared as f64 / work.shared.max(1.0);
    by_waves.min(by_shared).floor().max(1.0)
}

/// Seconds for which a thread that never waits for others waits for itself.
fn chain(work: &Work, card: &Card) -> f64 {
    let cycle = 1e-9 / card.ghz;
    let [shared, alu] = [card.shared_wait, card.alu].map(|cycles| cycles * cycle);
    let [cache, memory] = [card.cache_wait, card.memory_wait].map(|ns| 1e-9 * ns);
    let around = 2.0 * memory;
    match work.loops {
        Loops::None => around,
        Loops::Words(words) => around + (words - 1.0).max(0.0) * cache,
        Loops::Slices(slices) => around + slices * (memory + 2.0 * shared),
        Loops::Steps(steps, waits) => {
            let product = waits * (cache + shared) + Loops::chained(waits) * alu;
            // Sums are exchanged, h is stored, and all wait.
            around + steps * (product + CELL_CHAIN * alu + 3.0 * shared)
        }
    }
}

/// Returns the forecast of a launch: its fastest variant, as a device would find by measuring.
/// `None` if no compiler's figures are known.
pub fn fastest<'a>(launch: &'a Launches, card: &Card, table: &Table) -> Option<Forecast<'a>> {
    let all = launch.kernels.iter().filter_map(|kernel| {
        let work = Work::of(launch, kernel, &card.compiled, table)?;
        Some(Forecast { launch, kernel, time: time(launch, kernel, &work, card) })
    });
    let middle = |of: &Forecast<'_>| of.time.least() + of.time.most();
    all.min_by(|a, b| middle(a).total_cmp(&middle(b)))
}

/// The forecast of a step.
pub struct StepForecast<'a> {
    /// Its launches.
    pub launches: Vec<Forecast<'a>>,
    /// Seconds, if work overlaps within a launch, and if nothing does.
    pub seconds: [f64; 2],
    /// The share of each bound in the first of them, in percent, in the order of [`BOUNDS`].
    pub shares: [f64; 5],
}

impl<'a> StepForecast<'a> {
    /// Returns the forecast of a step on a card.
    ///
    /// # Errors
    /// Returns the name of a kernel of which no compiler's figures are known.
    pub fn new(step: &'a Step, card: &Card, table: &Table) -> Result<Self, String> {
        let unknown = |launch: &Launches| {
            launch.kernels.first().map_or_else(String::new, |kernel| kernel.name.clone())
        };
        let launches = step.launches.iter();
        let launches = launches
            .map(|launch| fastest(launch, card, table).ok_or_else(|| unknown(launch)))
            .collect::<Result<Vec<_>, _>>()?;
        let beside = 1e-6 * card.step;
        let (mut seconds, mut by_bound) = ([beside; 2], [0.0, 0.0, 0.0, 0.0, beside]);
        for of in &launches {
            let times = of.launch.times as f64;
            seconds[0] += times * of.time.least();
            seconds[1] += times * of.time.most();
            by_bound[of.time.bound()] += times * (of.time.least() - of.time.parts[4]);
            by_bound[4] += times * of.time.parts[4];
        }
        let shares = by_bound.map(|part| 100.0 * part / seconds[0]);
        Ok(Self { launches, seconds, shares })
    }
}
