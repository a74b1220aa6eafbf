use crate::budget::ENOUGH;
use crate::device::Gpu;
use crate::guards::Guarded;
use crate::memory::{Memory, Spaces};
use crate::pipeline::Pipeline;
use crate::readback::BufferRange;
use rnn_core::HostTensor;
use rnn_graph::{Command, Cost, DeviceError, Dispatch, Graph, Recording, Region, TensorType};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// A graph that is ready to run. A run creates only a command buffer.
pub(crate) struct CompiledProgram {
    graph: Arc<Graph>,
    inputs: Vec<wgpu::Buffer>,
    /// Type and buffer range of each output, in order.
    pub outputs: Vec<(TensorType, BufferRange)>,
    /// The dispatches, in order of execution.
    pub dispatches: Vec<BoundDispatch>,
    /// The work of each.
    work: Vec<u64>,
    /// Where submissions end, in dispatches; `None` until a run was measured.
    ends: Option<Vec<usize>>,
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
    /// Names of the shader and the entry point.
    kernel: (&'static str, &'static str),
    pipeline: Arc<Pipeline>,
    bindings: wgpu::BindGroup,
    /// The copies that are bound instead of tensors, in a test of bounds; otherwise none.
    guarded: Vec<Guarded>,
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
        recording.divide(gpu.limits.launch_work);
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
            work: recording.work(),
            ends: None,
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

    /// Returns true if no run was measured yet. The next one should find the device's queue empty.
    pub fn is_new(&self) -> bool {
        self.ends.is_none()
    }

    /// Submits all dispatches, in order, in as many submissions as the device's budget asks for. The first
    /// run waits for each and measures it. Returns the index of the last submission.
    ///
    /// # Errors
    /// Fails with the device's fault if there is one, and in the first run if the device hangs.
    pub fn submit(&mut self, gpu: &Gpu) -> Result<wgpu::SubmissionIndex, DeviceError> {
        let Some(ends) = &self.ends else { return self.measure(gpu) };
        let mut begin = 0;
        for &end in ends.iter().take(ends.len().saturating_sub(1)) {
            self.submit_range(gpu, begin..end)?;
            begin = end;
        }
        self.submit_range(gpu, begin..self.dispatches.len())
    }

    /// Returns the ranges of dispatches that are submitted together: those that were measured, or those
    /// that the device's pace lets expect.
    pub fn submissions(&self, gpu: &Gpu) -> Vec<Range<usize>> {
        let expected = || {
            let pace = gpu.budget.pace();
            gpu.budget.ends(&self.work.iter().map(|&work| pace * work as f64).collect::<Vec<_>>())
        };
        let ends = self.ends.clone().unwrap_or_else(expected);
        let begins = std::iter::once(0).chain(ends.iter().copied());
        begins.zip(&ends).map(|(begin, &end)| begin..end).collect()
    }

    fn submit_range(
        &self,
        gpu: &Gpu,
        range: Range<usize>,
    ) -> Result<wgpu::SubmissionIndex, DeviceError> {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        if gpu.guards.is_some() {
            self.dispatches[range]
                .iter()
                .for_each(|dispatch| dispatch.encode_guarded(&mut encoder));
            return gpu.submit(encoder);
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        self.dispatches[range].iter().for_each(|dispatch| dispatch.encode(&mut pass));
        drop(pass);
        gpu.submit(encoder)
    }

    /// Checks that no dispatch has changed a guard region; see [`Options::guards`](crate::Options::guards).
    ///
    /// # Errors
    /// Fails with [`DeviceError::Refused`], which names the kernel and its binding, if one has.
    pub fn check_guards(&self, gpu: &Gpu) -> Result<(), DeviceError> {
        let guarded = self.dispatches.iter().filter(|dispatch| !dispatch.guarded.is_empty());
        guarded.map(|dispatch| (&dispatch.guarded, dispatch.kernel)).try_for_each(
            |(guarded, (shader, entry))| Guarded::check(guarded, gpu, &format!("{shader}.{entry}")),
        )
    }

    /// Submits a run in small submissions, and measures each, so that later runs need few.
    fn measure(&mut self, gpu: &Gpu) -> Result<wgpu::SubmissionIndex, DeviceError> {
        let mut pace = gpu.budget.pace();
        let mut times: Vec<f64> = self.work.iter().map(|&work| work as f64).collect();
        let (mut measured, mut measured_work) = (0.0, 0.0);
        let mut begin = 0;
        loop {
            let end = self.work.len().min(begin + gpu.budget.next(&self.work[begin..], pace));
            let start = Instant::now();
            let submission = self.submit_range(gpu, begin..end)?;
            gpu.wait(submission.clone())?;
            let (time, work) = (start.elapsed(), times[begin..end].iter().sum::<f64>().max(1.0));
            let found = time.as_nanos() as f64 / work;
            times[begin..end].iter_mut().for_each(|time| *time *= found);
            if time >= ENOUGH {
                pace = found;
                measured += found * work;
                measured_work += work;
            }
            begin = end;
            if begin == self.work.len() {
                if measured_work > 0.0 {
                    gpu.budget.learn(measured / measured_work);
                }
                self.ends = Some(gpu.budget.ends(&times));
                return Ok(submission);
            }
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
        let guarded = gpu.guards.iter().flat_map(|&poison| {
            dispatch.bindings.iter().map(move |binding| Guarded::new(gpu, binding, spaces, poison))
        });
        let guarded: Vec<Guarded> = guarded.collect::<Result<_, _>>()?;
        let tensors = dispatch.bindings.iter().enumerate().map(|(i, b)| wgpu::BindGroupEntry {
            binding: b.index,
            resource: wgpu::BindingResource::Buffer(match guarded.get(i) {
                Some(guarded) => guarded.bind(),
                None => bind(&spaces[&b.region.space], &b.region),
            }),
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
            guarded,
            kernel: (dispatch.shader.name(), dispatch.entry),
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

impl BoundDispatch {
    /// Encodes the dispatch between copies to and from its guarded buffers.
    fn encode_guarded(&self, encoder: &mut wgpu::CommandEncoder) {
        self.guarded.iter().for_each(|guarded| guarded.fill(encoder));
        self.encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
        self.guarded.iter().for_each(|guarded| guarded.empty(encoder));
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
