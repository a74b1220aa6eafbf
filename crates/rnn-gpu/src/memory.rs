//! Whether a training step fits into a device's memory, before it is begun.

use crate::nn::Trainer;
use anyhow::{Result, bail};
use indicatif::HumanBytes;
use rnn_graph::{Device, DeviceKind, Limits, Recording, Storage};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Bytes that a training step keeps on the device, and those of its largest buffer.
fn needed(trainer: &Trainer, batch: usize, device: &dyn Device) -> Result<(u64, u64)> {
    let graph = trainer.training_graph(batch)?;
    // The plan does not depend on how large a binding may be.
    let limits = Limits { max_binding_bytes: u64::MAX, ..*device.limits() };
    let plan = Recording::new(&graph, &limits)?.plan;
    let lasting = graph
        .tensors()
        .filter(|(_, tensor)| matches!(tensor.storage, Storage::Input | Storage::Resident));
    let lasting: Vec<u64> = lasting.map(|(_, tensor)| 4 * tensor.ty.len() as u64).collect();
    let blocks = plan.blocks.iter().map(|&elements| 4 * elements as u64);
    let largest = blocks.chain(lasting.iter().copied()).max().unwrap_or(0);
    Ok((plan.arena_bytes() + lasting.iter().sum::<u64>(), largest))
}

/// Bytes that the device can give, where that is known: of a GPU's own memory drivers tell
/// nothing through WebGPU.
fn available(device: &dyn Device) -> Option<u64> {
    if device.info().kind == DeviceKind::Gpu {
        return None;
    }
    let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(kind);
    // A container may be given less than the machine has.
    let limit = system.cgroup_limits().map_or(u64::MAX, |group| group.free_memory);
    Some(system.available_memory().min(limit))
}

/// What a training step needs, in words.
///
/// # Errors
/// If that is more than the device has; the message says which batch size fits.
pub fn check(trainer: &Trainer, batch: usize, device: &dyn Device) -> Result<String> {
    let room = available(device);
    let limit = match device.info().kind {
        DeviceKind::Cpu => u64::MAX,
        _ => device.limits().max_binding_bytes,
    };
    let fits = |(total, largest): (u64, u64)| total <= room.unwrap_or(u64::MAX) && largest <= limit;
    let need = needed(trainer, batch, device)?;
    if fits(need) {
        let room = room.map_or(String::new(), |room| format!(", of {} free", HumanBytes(room)));
        let bytes = HumanBytes(need.0);
        return Ok(format!("memory: a step of {batch} examples needs {bytes}{room}"));
    }
    let (mut most, mut too_many) = (0, batch);
    while most + 1 < too_many {
        let middle = most.midpoint(too_many);
        match fits(needed(trainer, middle, device)?) {
            true => most = middle,
            false => too_many = middle,
        }
    }
    let advice = match most {
        0 => "not even one example fits: make the examples smaller".to_owned(),
        most => format!("--batch-size {most} fits"),
    };
    match room.filter(|&room| need.0 > room) {
        Some(room) => bail!(
            "a step of {batch} examples needs {} of memory, {} are free; {advice}",
            HumanBytes(need.0),
            HumanBytes(room)
        ),
        None => bail!(
            "a step of {batch} examples needs a buffer of {}, the device allows {}; {advice}",
            HumanBytes(need.1),
            HumanBytes(limit)
        ),
    }
}
