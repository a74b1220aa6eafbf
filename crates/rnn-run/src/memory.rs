//! The memory of a training step on a device, planned before the step runs.

use crate::error::RunError;
use anyhow::{Result, bail};
use rnn::memory::Bytes;
use rnn::nn::{TrainError, Trainer};
use rnn_graph::{Device, DeviceError, DeviceKind, Planned, RecordingError, Storage};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The memory that a training step needs on a device, in bytes, as planned before it runs.
/// Intermediate tensors share the blocks of an arena.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Footprint {
    /// Examples in the step.
    pub batch: usize,
    /// Number of nodes of the step's graph, which run one after another.
    pub nodes: usize,
    /// Tensors that stay on the device from step to step, such as weights: names and bytes.
    pub residents: Vec<(String, u64)>,
    /// Tensors that are uploaded for each step: names and bytes.
    pub inputs: Vec<(String, u64)>,
    /// Bytes of each block of the arena.
    pub blocks: Vec<u64>,
    /// The intermediate tensors, each with its block and the time for which it occupies it.
    pub spans: Vec<Span>,
    /// Bytes that were free on the device; `None` if that is not known, as with hardware GPUs.
    pub free: Option<u64>,
}

/// An intermediate tensor of a training step, which occupies a block of the arena for some of the
/// nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Name of the op that writes the tensor.
    pub op: String,
    /// The block, as an index into [`Footprint::blocks`].
    pub block: usize,
    /// Its size in bytes.
    pub bytes: u64,
    /// The node that writes the tensor and the last node that reads it, as positions in the order
    /// of execution, from 0 on.
    pub nodes: (usize, usize),
}

impl Footprint {
    /// Returns the footprint of a planned step.
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

    /// Returns the size of the arena in bytes: the sum over its blocks. Sums of a footprint of a
    /// damaged file end at [`u64::MAX`].
    pub fn arena(&self) -> u64 {
        sum(self.blocks.iter().copied())
    }

    /// Returns the number of bytes that are uploaded for a step.
    pub fn uploaded(&self) -> u64 {
        sum(self.inputs.iter().map(|(_, bytes)| *bytes))
    }

    /// Returns the number of bytes that a step needs in all: the arena, the residents and the
    /// inputs.
    pub fn total(&self) -> u64 {
        sum(self.blocks.iter().copied().chain(self.lasting()))
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

/// The sum, or the largest number if that is less.
fn sum(parts: impl Iterator<Item = u64>) -> u64 {
    parts.fold(0, u64::saturating_add)
}

/// Returns the bytes of a number of four-byte elements.
fn bytes(elements: usize) -> u64 {
    4 * elements as u64
}

/// Bytes that the device can give, where that is known: of a GPU's own memory drivers tell
/// nothing through WebGPU.
fn available(device: &dyn Device) -> Option<u64> {
    (device.info().kind != DeviceKind::Gpu).then(rnn::memory::available).flatten()
}

/// The reason why a step does not fit.
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

/// Plans a training step of `batch` examples and checks that it fits on `device`. `weighted` is
/// true if the examples have weights. The trainer's first step of this kind uses the plan. The free
/// memory of a hardware GPU is not known: there, only the sizes of buffers and launches are
/// checked.
///
/// # Errors
/// Fails with [`RunError::StepTooLarge`] if the step does not fit; the error holds the largest
/// batch that fits. Fails also if the graph cannot be built.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_a_damaged_file_end_at_the_largest_number() {
        let part = |bytes| ("part".to_owned(), bytes);
        let footprint = Footprint {
            blocks: vec![u64::MAX, 2],
            residents: vec![part(3)],
            inputs: vec![part(u64::MAX), part(1)],
            ..Footprint::default()
        };
        let sums = [footprint.arena(), footprint.uploaded(), footprint.total()];
        assert_eq!(sums, [u64::MAX; 3]);
        assert!(footprint.to_string().ends_with("needs 16.00 EiB"), "{footprint}");
    }
}
