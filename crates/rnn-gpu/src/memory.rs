//! What a training step keeps on a device, and whether that fits, before it is begun.

use crate::nn::Trainer;
use anyhow::{Result, bail, ensure};
use indicatif::{HumanBytes, HumanCount};
use rnn_graph::{Device, DeviceKind, Limits, Plan, Recording, Storage};
use serde::{Deserialize, Serialize};
use std::fmt;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The memory of a training step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Footprint {
    /// Examples in the step.
    pub batch: usize,
    /// Nodes of the graph, which run one after another.
    pub nodes: usize,
    /// What lasts from step to step: names and bytes.
    pub residents: Vec<(String, u64)>,
    /// What is uploaded for each step: names and bytes.
    pub inputs: Vec<(String, u64)>,
    /// Bytes of each block of the arena, the largest first.
    pub blocks: Vec<u64>,
    /// What the blocks hold, and when.
    pub spans: Vec<Span>,
    /// Bytes that were free for it, where that is known.
    pub free: Option<u64>,
}

/// What a block of the arena holds for a part of the step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The op that writes it.
    pub op: String,
    /// The number of its block.
    pub block: usize,
    /// Its size.
    pub bytes: u64,
    /// The nodes from the one that writes it to the last that reads it.
    pub nodes: (usize, usize),
}

impl Footprint {
    /// Of a step on a device; the second value says why it cannot be launched, if it cannot.
    fn of(trainer: &Trainer, batch: usize, device: &dyn Device) -> Result<(Self, Option<String>)> {
        let graph = trainer.training_graph(batch)?;
        let gpu = device.info().kind != DeviceKind::Cpu;
        // How much a binding may span is compared here, with a message for users.
        let limits = Limits { max_binding_bytes: u64::MAX, ..*device.limits() };
        let recorded = gpu.then(|| Recording::new(&graph, &limits)).transpose();
        let (plan, refused) = match recorded {
            Ok(Some(recording)) => (recording.plan, None),
            Ok(None) => (Plan::unpacked(&graph), None),
            Err(error) => (Plan::new(&graph, |_| vec![]), Some(error.to_string())),
        };
        let stored = |storage: Storage| {
            let tensors = graph.tensors().filter(move |(_, tensor)| tensor.storage == storage);
            tensors.map(|(_, tensor)| (tensor.name.clone(), bytes(tensor.ty.len()))).collect()
        };
        let last = plan.order.len().saturating_sub(1);
        let spans = plan.live_ranges.iter().map(|life| Span {
            op: graph.nodes()[plan.order[life.first]].op.name().to_owned(),
            block: life.block.0,
            bytes: bytes(life.len),
            nodes: (life.first, life.last.min(last)),
        });
        let footprint = Self {
            batch,
            nodes: plan.order.len(),
            residents: stored(Storage::Resident),
            inputs: stored(Storage::Input),
            blocks: plan.blocks.iter().copied().map(bytes).collect(),
            spans: spans.collect(),
            free: None,
        };
        Ok((footprint, refused))
    }

    /// Bytes of the arena.
    pub fn arena(&self) -> u64 {
        self.blocks.iter().sum()
    }

    /// All bytes.
    pub fn total(&self) -> u64 {
        self.arena() + self.lasting().sum::<u64>()
    }

    /// Bytes of the largest buffer.
    fn largest(&self) -> u64 {
        self.blocks.iter().copied().chain(self.lasting()).max().unwrap_or(0)
    }

    fn lasting(&self) -> impl Iterator<Item = u64> {
        self.residents.iter().chain(&self.inputs).map(|(_, bytes)| *bytes)
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs = HumanBytes(self.total());
        let examples = if self.batch == 1 { "example" } else { "examples" };
        write!(f, "a step of {} {examples} needs {needs}", self.batch)?;
        match self.free {
            Some(free) => write!(f, ", of {} free", HumanBytes(free)),
            None => Ok(()),
        }
    }
}

/// Of so many four-byte elements.
fn bytes(elements: usize) -> u64 {
    4 * elements as u64
}

/// Bytes that the device can give, where that is known: of a GPU's own memory drivers tell
/// nothing through WebGPU.
fn available(device: &dyn Device) -> Option<u64> {
    (device.info().kind != DeviceKind::Gpu).then(host)
}

/// Bytes that this machine can give.
pub fn host() -> u64 {
    let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(kind);
    // A container may be given less than the machine has.
    let limit = system.cgroup_limits().map_or(u64::MAX, |group| group.free_memory);
    system.available_memory().min(limit)
}

/// Whether this machine can hold the weights of a model, before they are drawn.
///
/// # Errors
/// If it cannot.
pub fn check_weights(parameters: usize) -> Result<()> {
    let (need, free) = (bytes(parameters), host());
    let count = HumanCount(parameters as u64);
    ensure!(
        need <= free,
        "the model's {count} parameters need {} of memory, {} are free",
        HumanBytes(need),
        HumanBytes(free)
    );
    Ok(())
}

/// What a training step needs.
///
/// # Errors
/// If that is more than the device has; the message says which batch size fits.
pub fn check(trainer: &Trainer, batch: usize, device: &dyn Device) -> Result<Footprint> {
    let free = available(device);
    let limit = match device.info().kind {
        DeviceKind::Cpu => u64::MAX,
        _ => device.limits().max_binding_bytes,
    };
    let fits = |(need, refused): &(Footprint, Option<String>)| {
        need.total() <= free.unwrap_or(u64::MAX) && need.largest() <= limit && refused.is_none()
    };
    let need = Footprint::of(trainer, batch, device)?;
    if fits(&need) {
        return Ok(Footprint { free, ..need.0 });
    }
    let (mut most, mut too_many) = (0, batch);
    while most + 1 < too_many {
        let middle = most.midpoint(too_many);
        match fits(&Footprint::of(trainer, middle, device)?) {
            true => most = middle,
            false => too_many = middle,
        }
    }
    let advice = match most {
        0 => "not even one example fits: make the examples smaller".to_owned(),
        most => format!("--batch-size {most} fits"),
    };
    let (need, refused) = need;
    match free.filter(|&free| need.total() > free) {
        Some(free) => bail!(
            "a step of {batch} examples needs {} of memory, {} are free; {advice}",
            HumanBytes(need.total()),
            HumanBytes(free)
        ),
        None if need.largest() <= limit => {
            let reason = refused.unwrap_or_default();
            bail!("a step of {batch} examples cannot be launched: {reason}; {advice}")
        }
        None => bail!(
            "a step of {batch} examples needs a buffer of {}, the device allows {}; {advice}",
            HumanBytes(need.largest()),
            HumanBytes(limit)
        ),
    }
}
