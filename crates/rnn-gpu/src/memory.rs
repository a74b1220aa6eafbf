//! Whether a training step fits into a device's memory, before it is begun.

use crate::nn::Trainer;
use anyhow::{Result, bail};
use indicatif::HumanBytes;
use rnn_graph::{Device, DeviceKind, Limits, Plan, Recording, Storage, Tensor};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// What a training step asks of a device.
struct Need {
    /// Bytes that it keeps on the device.
    total: u64,
    /// Those of its largest buffer.
    largest: u64,
    /// Why it cannot be launched, if it cannot.
    refused: Option<String>,
}

impl Need {
    fn of(trainer: &Trainer, batch: usize, device: &dyn Device) -> Result<Self> {
        let graph = trainer.training_graph(batch)?;
        let gpu = device.info().kind != DeviceKind::Cpu;
        // How much a binding may span is compared here, with a message for users.
        let limits = Limits { max_binding_bytes: u64::MAX, ..*device.limits() };
        let recorded = gpu.then(|| Recording::new(&graph, &limits)).transpose();
        let (plan, refused) = match recorded {
            Ok(Some(recording)) => (recording.plan, None),
            Ok(None) => (Plan::new(&graph, |_| vec![]), None),
            Err(error) => (Plan::new(&graph, |_| vec![]), Some(error.to_string())),
        };
        let lasts = |tensor: &Tensor| matches!(tensor.storage, Storage::Input | Storage::Resident);
        let lasting = graph.tensors().filter(|(_, tensor)| lasts(tensor));
        let lasting: Vec<u64> = lasting.map(|(_, tensor)| 4 * tensor.ty.len() as u64).collect();
        let blocks = plan.blocks.iter().map(|&elements| 4 * elements as u64);
        let largest = blocks.chain(lasting.iter().copied()).max().unwrap_or(0);
        Ok(Self { total: plan.arena_bytes() + lasting.iter().sum::<u64>(), largest, refused })
    }
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
    let fits = |need: &Need| {
        need.total <= room.unwrap_or(u64::MAX) && need.largest <= limit && need.refused.is_none()
    };
    let need = Need::of(trainer, batch, device)?;
    if fits(&need) {
        let room = room.map_or(String::new(), |room| format!(", of {} free", HumanBytes(room)));
        let bytes = HumanBytes(need.total);
        return Ok(format!("memory: a step of {batch} examples needs {bytes}{room}"));
    }
    let (mut most, mut too_many) = (0, batch);
    while most + 1 < too_many {
        let middle = most.midpoint(too_many);
        match fits(&Need::of(trainer, middle, device)?) {
            true => most = middle,
            false => too_many = middle,
        }
    }
    let advice = match most {
        0 => "not even one example fits: make the examples smaller".to_owned(),
        most => format!("--batch-size {most} fits"),
    };
    match room.filter(|&room| need.total > room) {
        Some(room) => bail!(
            "a step of {batch} examples needs {} of memory, {} are free; {advice}",
            HumanBytes(need.total),
            HumanBytes(room)
        ),
        None if need.largest <= limit => {
            let reason = need.refused.unwrap_or_default();
            bail!("a step of {batch} examples cannot be launched: {reason}; {advice}")
        }
        None => bail!(
            "a step of {batch} examples needs a buffer of {}, the device allows {}; {advice}",
            HumanBytes(need.largest),
            HumanBytes(limit)
        ),
    }
}
