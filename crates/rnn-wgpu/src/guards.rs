//! Guard regions: a test of whether kernels stay within their bindings. Each binding of a dispatch is a
//! buffer of its own, in which poison surrounds a copy of the tensor:
//!
//! ```text
//!   own buffer   | poison | tensor | poison |
//!   bound                 |-----------------|
//! ```
//!
//! A kernel that writes outside its tensor changes poison. One that reads there computes with it, so that
//! two different poisons give different results. The poison behind the tensor is bound with it, because
//! drivers that check bounds would hide both mistakes otherwise.

use crate::device::Gpu;
use crate::faults::Fault;
use crate::memory::Spaces;
use crate::readback::{BufferRange, Readback};
use rnn_graph::{Access, Binding, DeviceError};
use std::num::NonZeroU64;
use wgpu::BufferUsages as Usage;

/// Words of poison on each side of a tensor.
const WIDTH: usize = 1024;
const _: () = assert!(WIDTH.is_multiple_of(Binding::ALIGNMENT));

/// The guarded copy of a tensor that a dispatch binds.
pub(crate) struct Guarded {
    name: String,
    written: bool,
    tensor: BufferRange,
    copy: BufferRange,
    poison: u32,
}

impl Guarded {
    /// Creates the buffer of a binding and fills its guard regions with `poison`.
    ///
    /// # Errors
    /// Fails with [`DeviceError::OutOfMemory`] if the buffer exceeds the device's largest.
    pub fn new(
        gpu: &Gpu,
        binding: &Binding,
        spaces: &Spaces,
        poison: u32,
    ) -> Result<Self, DeviceError> {
        let region = &binding.region;
        let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let bytes = 4 * (region.len + 2 * WIDTH) as u64;
        let buffer = gpu.buffer("a guarded tensor", bytes, usage)?;
        let copy = BufferRange::new(buffer, WIDTH, region.len);
        let words = vec![poison; WIDTH];
        for guard in guards(&copy) {
            gpu.queue.write_buffer(&guard.buffer, guard.offset, bytemuck::cast_slice(&words));
        }
        let tensor = BufferRange::new(spaces[&region.space].clone(), region.offset, region.len);
        let written = binding.access == Access::ReadWrite;
        Ok(Self { name: binding.name.clone(), written, tensor, copy, poison })
    }

    /// Returns what the dispatch binds: the copy and the poison behind it.
    pub fn bind(&self) -> wgpu::BufferBinding<'_> {
        let [_, behind] = guards(&self.copy);
        let size = NonZeroU64::new(self.copy.bytes + behind.bytes);
        wgpu::BufferBinding { buffer: &self.copy.buffer, offset: self.copy.offset, size }
    }

    /// Encodes the copy of the tensor, before the dispatch.
    pub fn fill(&self, encoder: &mut wgpu::CommandEncoder) {
        copy(encoder, &self.tensor, &self.copy);
    }

    /// Encodes the copy back, after the dispatch, if it writes the tensor.
    pub fn empty(&self, encoder: &mut wgpu::CommandEncoder) {
        if self.written {
            copy(encoder, &self.copy, &self.tensor);
        }
    }

    /// Checks that the poison of all is what it was.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Refused`], which names the binding, if it is not.
    pub fn check(all: &[Self], gpu: &Gpu, kernel: &str) -> Result<(), DeviceError> {
        let regions: Vec<BufferRange> = all.iter().flat_map(|of| guards(&of.copy)).collect();
        let regions: Vec<&BufferRange> = regions.iter().collect();
        let whole = |bytes: &[u8]| {
            let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
            let changed = |(of, words): (&Self, &[u32])| {
                words.iter().any(|&word| word != of.poison).then(|| of.name.clone())
            };
            all.iter().zip(words.chunks_exact(2 * WIDTH)).find_map(changed)
        };
        match Readback::start(gpu, &regions)?.finish(gpu, whole)? {
            None => Ok(()),
            Some(name) => {
                let message = format!("{kernel} writes outside of its binding {name}");
                Err(gpu.faults.error(Fault::Refused(message)))
            }
        }
    }
}

/// The guard regions before and behind a range.
fn guards(range: &BufferRange) -> [BufferRange; 2] {
    let bytes = 4 * WIDTH as u64;
    let end = range.offset + range.bytes;
    [range.offset - bytes, end].map(|offset| BufferRange {
        buffer: range.buffer.clone(),
        offset,
        bytes,
    })
}

fn copy(encoder: &mut wgpu::CommandEncoder, from: &BufferRange, to: &BufferRange) {
    if from.bytes > 0 {
        let (source, target) = (&from.buffer, &to.buffer);
        encoder.copy_buffer_to_buffer(source, from.offset, target, to.offset, from.bytes);
    }
}
