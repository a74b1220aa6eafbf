//! What a training step keeps on a device, and whether that fits, before it is begun.

use crate::error::RunError;
use anyhow::{Result, bail};
use rnn::memory::Bytes;
use rnn::nn::{TrainError, Trainer};
use rnn_graph::{Device, DeviceError, DeviceKind, Planned, RecordingError, Storage};
use serde::{Deserialize, Serialize};
use std::fmt;

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
    /// Of a planned step.
    fn of(batch: usize, Planned { graph, recording }: &Planned) -> Self {
        let plan = &recording.plan;
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
        Self {
            batch,
            nodes: plan.order.len(),
            residents: stored(Storage::Resident),
            inputs: stored(Storage::Input),
            blocks: plan.blocks.iter().copied().map(bytes).collect(),
            spans: spans.collect(),
            free: None,
        }
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
        let needs = Bytes(self.total());
        let examples = if self.batch == 1 { "example" } else { "examples" };
        write!(f, "a step of {} {examples} needs {needs}", self.batch)?;
        match self.free {
            Some(free) => write!(f, ", of {} free", Bytes(free)),
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
    (device.info().kind != DeviceKind::Gpu).then(rnn::memory::available)
}

/// Why a step does not fit.
enum Misfit {
    /// The device cannot launch it.
    Refused(RecordingError),
    /// It needs more bytes than are free.
    Memory { need: u64, free: u64 },
    /// It needs a larger buffer than the device allows.
    Buffer { need: u64, limit: u64 },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "cannot be launched: {reason}"),
            Self::Memory { need, free } => {
                write!(f, "needs {} of memory, {} are free", Bytes(*need), Bytes(*free))
            }
            Self::Buffer { need, limit } => {
                write!(f, "needs a buffer of {}, the device allows {}", Bytes(*need), Bytes(*limit))
            }
        }
    }
}

/// What a training step needs, of which examples are `weighted` or not; the trainer's first such
/// step follows what is planned here.
///
/// # Errors
/// If that is more than the device has: [`RunError::StepTooLarge`] with the batch size that fits.
pub fn check(
    trainer: &mut Trainer,
    (batch, weighted): (usize, bool),
    device: &dyn Device,
) -> Result<Footprint> {
    let free = available(device);
    let limit = device.limits().max_binding_bytes;
    let mut fit = |batch| -> Result<Result<Footprint, Misfit>> {
        let planned = match trainer.plan_training(batch, weighted) {
            Err(TrainError::Device(DeviceError::Recording(error))) => {
                return Ok(Err(Misfit::Refused(error)));
            }
            planned => planned?,
        };
        let need = Footprint { free, ..Footprint::of(batch, planned) };
        let (total, largest) = (need.total(), need.largest());
        Ok(match free.filter(|&free| total > free) {
            Some(free) => Err(Misfit::Memory { need: total, free }),
            None if largest > limit => Err(Misfit::Buffer { need: largest, limit }),
            None => Ok(need),
        })
    };
    let misfit = match fit(batch)? {
        Ok(need) => return Ok(need),
        Err(misfit) => misfit,
    };
    let (mut most, mut too_many) = (0, batch);
    while most + 1 < too_many {
        let middle = most.midpoint(too_many);
        match fit(middle)? {
            Ok(_) => most = middle,
            Err(_) => too_many = middle,
        }
    }
    bail!(RunError::StepTooLarge { batch, reason: misfit.to_string(), fits: most })
}
