use crate::device::Gpu;
use crate::memory::{Memory, Spaces};
use crate::pipeline::Pipeline;
use crate::readback::BufferRange;
use rnn_core::HostTensor;
use rnn_graph::{Command, Cost, DeviceError, Dispatch, Graph, Recording, Region, TensorType};
use std::num::NonZeroU64;
use std::sync::Arc;

/// A graph that is ready to run. A run creates only a command buffer.
pub(crate) struct CompiledProgram {
    graph: Arc<Graph>,
    inputs: Vec<wgpu::Buffer>,
    /// Type and buffer range of each output, in order.
    pub outputs: Vec<(TensorType, BufferRange)>,
    /// The dispatches, in order of execution.
    pub dispatches: Vec<BoundDispatch>,
    /// Size of the arena, in bytes.
    pub arena_bytes: u64,
}

/// One dispatch with its compiled kernel and its bind group.
pub(crate) struct BoundDispatch {
    /// Index of the node in [`Graph::nodes`].
    pub node: usize,
    /// Name of the op.
    pub op: &'static str,
    /// Cost of the whole node on its first dispatch; zero on its others.
    pub cost: Cost,
    pipeline: Arc<Pipeline>,
    bindings: wgpu::BindGroup,
    grid: [u32; 3],
}

impl CompiledProgram {
    /// Compiles the kernels of a recorded graph and creates its buffers. New residents and arena
    /// blocks are added to `memory`.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Resident`] if a resident has another type in an earlier program,
    /// with [`DeviceError::OutOfMemory`] if a buffer exceeds the device's largest, and as
    /// [`Pipelines::get`](crate::pipeline::Pipelines::get) does.
    pub fn new(
        gpu: &Gpu,
        graph: Arc<Graph>,
        mut recording: Recording,
        memory: &mut Memory,
    ) -> Result<Self, DeviceError> {
        gpu.select_variants(&mut recording)?;
        let kept = |space| {
            let reads = |c: &Command| matches!(c, Command::Download(_, r) if r.space == space);
            recording.commands.iter().any(reads)
        };
        let spaces = memory.spaces(gpu, &graph, &recording.plan, kept)?;
        let params = Params::new(gpu, &recording)?;
        let mut program = Self {
            graph,
            inputs: vec![],
            outputs: vec![],
            dispatches: vec![],
            arena_bytes: recording.plan.arena_bytes(),
        };
        for command in &recording.commands {
            match command {
                Command::Upload(_, region) => {
                    program.inputs.push(spaces[&region.space].clone());
                }
                Command::Dispatch(dispatch) => {
                    let offset = params.offsets[program.dispatches.len()];
                    let bound = BoundDispatch::new(gpu, dispatch, &spaces, &params.buffer, offset)?;
                    program.dispatches.push(bound);
                }
                Command::Download(id, region) => {
                    let source = spaces[&region.space].clone();
                    let ty = program.graph[*id].ty.clone();
                    program.outputs.push((ty, BufferRange::new(source, region.offset, region.len)));
                }
            }
        }
        Ok(program)
    }

    /// Queues the upload of the values of all inputs, given in the order of [`Graph::inputs`].
    ///
    /// # Errors
    /// Fails with [`DeviceError::Mismatch`] if their number, shapes or element types differ from
    /// the program's, and with the device's fault if there is one.
    pub fn upload(&self, gpu: &Gpu, values: &[&HostTensor]) -> Result<(), DeviceError> {
        self.graph.check_inputs(values)?;
        for (buffer, values) in self.inputs.iter().zip(values) {
            gpu.queue.write_buffer(buffer, 0, values.as_bytes());
        }
        gpu.check()
    }

    /// Encodes all dispatches, in order, into one compute pass of `encoder`.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for dispatch in &self.dispatches {
            dispatch.encode(&mut pass);
        }
    }
}

impl BoundDispatch {
    /// Compiles the kernel of a dispatch and binds its buffers, which are those of `spaces`. The
    /// dispatch's uniform parameters are bound from byte `params_offset` of `params` on.
    ///
    /// # Errors
    /// Fails as [`Pipelines::get`](crate::pipeline::Pipelines::get) does.
    pub fn new(
        gpu: &Gpu,
        dispatch: &Dispatch,
        spaces: &Spaces,
        params: &wgpu::Buffer,
        params_offset: u64,
    ) -> Result<Self, DeviceError> {
        let pipeline = gpu.pipelines.get(gpu, dispatch)?;
        let tensors = dispatch.bindings.iter().map(|b| wgpu::BindGroupEntry {
            binding: b.index,
            resource: wgpu::BindingResource::Buffer(bind(&spaces[&b.region.space], &b.region)),
        });
        let params = dispatch.params.iter().map(|(index, bytes)| wgpu::BindGroupEntry {
            binding: *index,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: params,
                offset: params_offset,
                size: NonZeroU64::new(bytes.len() as u64),
            }),
        });
        let entries: Vec<_> = tensors.chain(params).collect();
        let bindings = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.op),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Ok(Self {
            node: dispatch.node,
            op: dispatch.op,
            cost: dispatch.cost,
            pipeline,
            bindings,
            grid: dispatch.grid,
        })
    }

    /// Adds the dispatch to a compute pass.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline.compute);
        pass.set_bind_group(0, &self.bindings, &[]);
        let [x, y, z] = self.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Returns the binding of a region. WebGPU has no empty bindings: an empty region binds the first
/// word, which no kernel reads.
fn bind<'a>(buffer: &'a wgpu::Buffer, region: &Region) -> wgpu::BufferBinding<'a> {
    let (offset, len) = if region.len == 0 { (0, 1) } else { (region.offset, region.len) };
    wgpu::BufferBinding { buffer, offset: 4 * offset as u64, size: NonZeroU64::new(4 * len as u64) }
}

/// The uniform parameters of all dispatches in one buffer; they are the same in every run.
struct Params {
    buffer: wgpu::Buffer,
    offsets: Vec<u64>,
}

impl Params {
    fn new(gpu: &Gpu, recording: &Recording) -> Result<Self, DeviceError> {
        let alignment = gpu.device.limits().min_uniform_buffer_offset_alignment as usize;
        let mut bytes = Vec::new();
        let mut offsets = Vec::new();
        for dispatch in recording.dispatches() {
            offsets.push(bytes.len() as u64);
            if let Some((_, params)) = &dispatch.params {
                bytes.extend_from_slice(params);
                bytes.resize(bytes.len().next_multiple_of(alignment), 0);
            }
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu.buffer("parameters", bytes.len() as u64, usage)?;
        gpu.queue.write_buffer(&buffer, 0, &bytes);
        Ok(Self { buffer, offsets })
    }
}
