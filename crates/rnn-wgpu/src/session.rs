use crate::device::Gpu;
use crate::memory::Memory;
use crate::program::CompiledProgram;
use crate::readback::{BufferRange, Readback, tensor};
use crate::timing::Timing;
use rnn_core::HostTensor;
use rnn_graph::{
    Arriving, DeviceError, Dispatch, Graph, Limits, Planned, Profile, Program, Recording, Session,
    TensorType, Ticket,
};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Runs that may be queued before `run` waits: enough to keep the GPU busy while the host prepares
/// the next batch, few enough that an interrupt takes effect soon.
const MAX_IN_FLIGHT: usize = 3;

/// The residents and programs of one model on a GPU.
pub(crate) struct GpuSession {
    gpu: Arc<Gpu>,
    memory: Memory,
    programs: Vec<CompiledProgram>,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    reads: HashMap<Ticket, (TensorType, Readback)>,
    next_ticket: u64,
    timing: Option<Timing>,
    /// True in the session of a [`Proof`](crate::proof::Proof), which trusts matrix units.
    proving: bool,
}

impl GpuSession {
    /// Opens a session without programs. `proving` is true for a session that tests the matrix
    /// units and therefore uses them untested, and false for all others.
    pub fn new(gpu: Arc<Gpu>, proving: bool) -> Self {
        Self {
            gpu,
            memory: Memory::default(),
            programs: Vec::new(),
            in_flight: VecDeque::new(),
            reads: HashMap::new(),
            next_ticket: 0,
            timing: None,
            proving,
        }
    }

    fn read(&mut self, ticket: Ticket) -> Result<(TensorType, Readback), DeviceError> {
        self.reads.remove(&ticket).ok_or_else(|| DeviceError::no_read(ticket))
    }
}

impl Session for GpuSession {
    fn plan(&self, graph: Arc<Graph>) -> Result<Planned, DeviceError> {
        let recording = record(&self.gpu, &graph, self.proving)?;
        Ok(Planned { graph, recording })
    }

    fn build(&mut self, planned: Planned) -> Result<Program, DeviceError> {
        let Planned { graph, recording } = planned;
        // The session keeps nothing of a program that could not be built.
        let mut memory = self.memory.clone();
        let program = self.gpu.guarded(|| {
            recording.validate(&self.gpu.limits)?;
            CompiledProgram::new(&self.gpu, graph, recording, &mut memory)
        })?;
        self.memory = memory;
        self.programs.push(program);
        Ok(Program(self.programs.len() - 1))
    }

    fn write(&mut self, resident: &str, values: &HostTensor) -> Result<(), DeviceError> {
        self.gpu.check()?;
        let target = self.memory.resident(resident)?;
        target.ty.check(resident, values)?;
        self.gpu.queue.write_buffer(&target.buffer, 0, values.as_bytes());
        self.gpu.check()
    }

    fn run(&mut self, program: Program, inputs: &[&HostTensor]) -> Result<(), DeviceError> {
        self.gpu.check()?;
        while self.in_flight.len() >= MAX_IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            self.gpu.wait(oldest)?;
        }
        let known = self.programs.get_mut(program.0);
        let compiled = known.ok_or_else(|| DeviceError::no_program(program))?;
        compiled.upload(&self.gpu, inputs)?;
        if let Some(timing) = &mut self.timing {
            timing.run(&self.gpu, program.0, compiled)?;
            timing.drain(&self.gpu, &self.programs, MAX_IN_FLIGHT)?;
            return Ok(());
        }
        if compiled.is_new() {
            self.in_flight.drain(..).try_for_each(|earlier| self.gpu.wait(earlier))?;
        }
        let submission = compiled.submit(&self.gpu)?;
        compiled.check_guards(&self.gpu)?;
        self.in_flight.push_back(submission);
        Ok(())
    }

    fn fetch(&mut self, program: Program) -> Result<Vec<HostTensor>, DeviceError> {
        let outputs = &find(&self.programs, program)?.outputs;
        start_fetch(&self.gpu, outputs)?.finish(&self.gpu, |bytes| tensors(outputs, bytes))?
    }

    fn fetch_async(&mut self, program: Program) -> Arriving<'_, Vec<HostTensor>> {
        let started = find(&self.programs, program)
            .and_then(|found| Ok((start_fetch(&self.gpu, &found.outputs)?, &found.outputs)));
        Box::pin(async {
            let (readback, outputs) = started?;
            readback.read(&self.gpu, |bytes| tensors(outputs, bytes)).await?
        })
    }

    fn start_read(&mut self, resident: &str) -> Result<Ticket, DeviceError> {
        let source = self.memory.resident(resident)?;
        let part = BufferRange::new(source.buffer.clone(), 0, source.ty.len());
        let readback = Readback::start(&self.gpu, &[&part])?;
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.reads.insert(ticket, (source.ty.clone(), readback));
        Ok(ticket)
    }

    fn poll_read(&mut self, ticket: Ticket) -> Result<Option<HostTensor>, DeviceError> {
        let (_, readback) =
            self.reads.get_mut(&ticket).ok_or_else(|| DeviceError::no_read(ticket))?;
        if !readback.arrived(&self.gpu)? {
            return Ok(None);
        }
        self.wait_read(ticket).map(Some)
    }

    fn wait_read(&mut self, ticket: Ticket) -> Result<HostTensor, DeviceError> {
        let (ty, readback) = self.read(ticket)?;
        readback.finish(&self.gpu, |bytes| tensor(&ty, bytes))?
    }

    fn read_async(&mut self, ticket: Ticket) -> Arriving<'_, HostTensor> {
        let started = self.read(ticket);
        Box::pin(async {
            let (ty, readback) = started?;
            readback.read(&self.gpu, |bytes| tensor(&ty, bytes)).await?
        })
    }

    fn memory(&self, program: Program) -> (u64, u64) {
        let arena = self.programs.get(program.0).map_or(0, |p| p.arena_bytes);
        (arena, self.memory.resident_bytes())
    }

    fn enable_profile(&mut self) {
        self.timing = self.gpu.timestamp_period.map(Timing::new);
    }

    fn profile(&mut self) -> Result<Profile, DeviceError> {
        if self.gpu.timestamp_period.is_none() {
            let owner = self.gpu.info.to_string();
            return Err(DeviceError::Missing { owner, what: "timestamps to profile with".into() });
        }
        match &mut self.timing {
            Some(timing) => Ok(timing.drain(&self.gpu, &self.programs, 0)?.clone().sorted()),
            None => Ok(Profile::default()),
        }
    }
}

/// Records a graph without a limit on the size of bindings. Matrix units are left out if they fail
/// their test, which does not run if `proving` is true.
///
/// # Errors
/// Fails with [`DeviceError::Recording`] if the graph cannot be recorded, or with an error of the
/// test.
pub(crate) fn record(
    gpu: &Arc<Gpu>,
    graph: &Graph,
    proving: bool,
) -> Result<Recording, DeviceError> {
    let limits = Limits { max_binding_bytes: u64::MAX, ..gpu.limits.clone() };
    let recording = Recording::new(graph, &limits)?;
    let of_units = |d: &&Dispatch| d.shader.uses_matrix_units().unwrap_or(false);
    let kernel = recording.dispatches().find(of_units).map(|d| d.shader);
    let Some(kernel) = kernel.filter(|_| !proving) else { return Ok(recording) };
    let text = kernel.source().unwrap_or_default();
    if gpu.proof.holds(text, || Box::new(GpuSession::new(gpu.clone(), true)))? {
        return Ok(recording);
    }
    Ok(Recording::new(graph, &Limits { matrix_units: None, ..limits })?)
}

/// Queues a copy of a program's outputs, one after the other.
fn start_fetch(gpu: &Gpu, outputs: &[(TensorType, BufferRange)]) -> Result<Readback, DeviceError> {
    let parts: Vec<_> = outputs.iter().map(|(_, part)| part).collect();
    Readback::start(gpu, &parts)
}

/// Splits the bytes of a copy into the outputs of a program.
fn tensors(
    outputs: &[(TensorType, BufferRange)],
    mut bytes: &[u8],
) -> Result<Vec<HostTensor>, DeviceError> {
    let take = |(ty, part): &(TensorType, BufferRange)| {
        let (own, rest) = bytes.split_at(part.bytes as usize);
        bytes = rest;
        tensor(ty, own)
    };
    outputs.iter().map(take).collect()
}

fn find(programs: &[CompiledProgram], program: Program) -> Result<&CompiledProgram, DeviceError> {
    programs.get(program.0).ok_or_else(|| DeviceError::no_program(program))
}
