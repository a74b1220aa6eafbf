use crate::device::Gpu;
use rnn_graph::{Block, DeviceError, Graph, Plan, Space, Storage, TensorType};
use std::cmp::Reverse;
use std::collections::HashMap;
use wgpu::BufferUsages as Usage;

/// The buffer of each space of one program.
pub(crate) type Spaces = HashMap<Space, wgpu::Buffer>;

/// Buffers that the programs of one session share. A clone refers to the same buffers.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    residents: HashMap<String, Resident>,
    /// Arena blocks without contents between two runs: any program may use them.
    arena: Vec<wgpu::Buffer>,
}

/// A tensor that keeps its values from run to run.
#[derive(Clone)]
pub(crate) struct Resident {
    /// Its buffer.
    pub buffer: wgpu::Buffer,
    /// Its type.
    pub ty: TensorType,
}

impl Memory {
    /// Returns the buffers of a program, creating those that are missing.
    ///
    /// Arena blocks for which `kept` returns true are read by the host after a run. They belong to
    /// this program alone, because another program may run before they are read. All other blocks
    /// are shared with the session's other programs.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Resident`] if a resident has another type in an earlier program,
    /// and with [`DeviceError::OutOfMemory`] if a buffer exceeds the device's largest.
    pub fn spaces(
        &mut self,
        gpu: &Gpu,
        graph: &Graph,
        plan: &Plan,
        kept: impl Fn(Space) -> bool,
    ) -> Result<Spaces, DeviceError> {
        let mut spaces = self.arena(gpu, plan, kept)?;
        for (id, tensor) in graph.tensors() {
            match tensor.storage {
                Storage::Resident => {
                    let buffer = self.add_resident(gpu, &tensor.name, &tensor.ty)?;
                    spaces.insert(Space::Resident(id), buffer);
                }
                Storage::Input => {
                    let buffer = tensor_buffer(gpu, &tensor.name, tensor.ty.len())?;
                    spaces.insert(Space::Input(id), buffer);
                }
                Storage::Transient | Storage::View { .. } => {}
            }
        }
        Ok(spaces)
    }

    /// Returns the resident tensor of that name.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Resident`] if no program names it.
    pub fn resident(&self, name: &str) -> Result<&Resident, DeviceError> {
        self.residents.get(name).ok_or_else(|| DeviceError::no_resident(name))
    }

    /// Returns the size of all residents in bytes, at four bytes per element.
    pub fn resident_bytes(&self) -> u64 {
        self.residents.values().map(|r| 4 * r.ty.len() as u64).sum()
    }

    fn add_resident(
        &mut self,
        gpu: &Gpu,
        name: &str,
        ty: &TensorType,
    ) -> Result<wgpu::Buffer, DeviceError> {
        if let Some(known) = self.residents.get(name) {
            if known.ty != *ty {
                return Err(DeviceError::two_types(name, &known.ty, ty));
            }
            return Ok(known.buffer.clone());
        }
        let buffer = tensor_buffer(gpu, name, ty.len())?;
        let resident = Resident { buffer: buffer.clone(), ty: ty.clone() };
        self.residents.insert(name.into(), resident);
        Ok(buffer)
    }

    /// Assigns buffers to arena blocks. Programs of a session run one after another, so they can
    /// use the same buffers: blocks in order of decreasing size take the smallest free buffer that
    /// fits.
    fn arena(
        &mut self,
        gpu: &Gpu,
        plan: &Plan,
        kept: impl Fn(Space) -> bool,
    ) -> Result<Spaces, DeviceError> {
        let mut blocks: Vec<_> =
            plan.blocks.iter().enumerate().map(|(i, &len)| (Space::Arena(Block(i)), len)).collect();
        blocks.sort_by_key(|&(_, len)| Reverse(len));
        let mut free = self.arena.clone();
        let mut spaces = Spaces::new();
        for (space, len) in blocks {
            let what = "a block of the arena";
            let buffer = if kept(space) {
                tensor_buffer(gpu, what, len)?
            } else {
                let fits = free.iter().enumerate().filter(|(_, b)| b.size() >= 4 * len as u64);
                match fits.min_by_key(|(_, b)| b.size()).map(|(i, _)| i) {
                    Some(i) => free.swap_remove(i),
                    None => {
                        let buffer = tensor_buffer(gpu, what, len)?;
                        self.arena.push(buffer.clone());
                        buffer
                    }
                }
            };
            spaces.insert(space, buffer);
        }
        Ok(spaces)
    }
}

fn tensor_buffer(gpu: &Gpu, what: &str, len: usize) -> Result<wgpu::Buffer, DeviceError> {
    gpu.buffer(what, 4 * len as u64, Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::open;

    #[test]
    fn programs_share_blocks_except_those_that_the_host_reads() {
        let Some(gpu) = open() else { return };
        let graph = Graph::new();
        let mut memory = Memory::default();
        let mut spaces = |lengths: &[usize], kept: &[usize]| {
            let mut plan = Plan::new(&graph, |_| vec![]);
            plan.blocks = lengths.to_vec();
            let kept = |space| kept.iter().any(|&b| space == Space::Arena(Block(b)));
            let spaces = memory.spaces(&gpu, &graph, &plan, kept).unwrap();
            for (i, &len) in lengths.iter().enumerate() {
                assert!(spaces[&Space::Arena(Block(i))].size() >= 4 * len as u64);
            }
            let mut buffers: Vec<_> = spaces.into_values().collect();
            buffers.sort();
            buffers.dedup();
            assert_eq!(buffers.len(), lengths.len());
            buffers
        };
        let train = spaces(&[1000, 10, 500], &[1]);
        let smaller = spaces(&[400, 900], &[]);
        assert!(smaller.iter().all(|b| train.contains(b)));
        let larger = spaces(&[2000, 400, 900], &[1]);
        assert_eq!(larger.iter().filter(|b| train.contains(b)).count(), 1);
    }
}
