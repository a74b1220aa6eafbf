use crate::kernels;
use crate::memory::{Memory, MemoryRange};
use crate::scan::fusion::fuse;
use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rayon::prelude::*;
use rnn_core::{DType, Data, HostTensor, TensorError};
use rnn_graph::{
    Arriving, Block, DeviceError, Graph, InPlace, Io, Node, Plan, Planned, Profile, Program,
    Recording, RecordingError, Region, Session, Signature, SliceMut, Space, Storage, TensorId,
    TensorType, Ticket,
};
use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Elements per task of rounding.
const PART: usize = 1 << 12;

/// A graph ready to run.
struct CompiledProgram {
    graph: Arc<Graph>,
    steps: Vec<NodeCall>,
    inputs: Vec<(TensorId, MemoryRange)>,
    outputs: Vec<(TensorId, MemoryRange)>,
    arena_bytes: u64,
}

/// One node with the memory of its operands.
struct NodeCall {
    node: usize,
    signature: Signature,
    reads: Vec<MemoryRange>,
    /// Memory of the updates, then of the outputs.
    writes: Vec<MemoryRange>,
    /// Source and destination of the copy of an input that the op overwrites in place.
    copy: Option<[MemoryRange; 2]>,
}

/// A session on the CPU device: residents by name, programs, and one arena that the programs share,
/// since they run one after another.
#[derive(Default)]
pub struct CpuSession {
    memory: Memory,
    residents: HashMap<String, (usize, TensorType)>,
    /// The areas of the arena that hold nothing between two runs: any program may use them.
    blocks: Vec<usize>,
    programs: Vec<CompiledProgram>,
    reads: HashMap<Ticket, HostTensor>,
    tickets: u64,
    profile: Option<Profile>,
}

fn no_memory(error: io::Error) -> DeviceError {
    DeviceError::OutOfMemory { device: "the CPU".into(), message: error.to_string() }
}

/// Rounds outputs of half precision. Kernels know single precision only: each element has a word.
fn narrow(io: &mut Io<'_, f32>) {
    for (values, ty) in io.outputs.iter_mut().zip(&io.signature.outputs) {
        if let (SliceMut::Float(values), DType::F16) = (values, ty.dtype) {
            values.par_chunks_mut(PART).for_each(|part| {
                let mut halves = [f16::ZERO; PART];
                let halves = &mut halves[..part.len()];
                halves.convert_from_f32_slice(part);
                halves.convert_to_f32_slice(part);
            });
        }
    }
}

impl CpuSession {
    /// Declares a resident, allocating it at its first name.
    fn declare(&mut self, name: &str, ty: &TensorType) -> Result<(), DeviceError> {
        match self.residents.get(name) {
            Some((_, known)) if known == ty => Ok(()),
            Some((_, known)) => Err(DeviceError::two_types(name, known, ty)),
            None => {
                let area = self.memory.add(ty.len()).map_err(no_memory)?;
                self.residents.insert(name.into(), (area, ty.clone()));
                Ok(())
            }
        }
    }

    fn resident(&self, name: &str) -> Result<(MemoryRange, TensorType), DeviceError> {
        let found = self.residents.get(name);
        let (area, ty) = found.ok_or_else(|| DeviceError::no_resident(name))?;
        Ok((MemoryRange { area: *area, offset: 0, len: ty.len() }, ty.clone()))
    }

    fn tensor(&self, place: MemoryRange, ty: &TensorType) -> Result<HostTensor, TensorError> {
        let bits = self.memory.bits(place);
        let data = match ty.dtype {
            DType::F32 | DType::F16 => Data::F32(bytemuck::cast_slice(bits).to_vec()),
            DType::U32 => Data::U32(bits.to_vec()),
        };
        HostTensor::new(ty.shape.clone(), data)
    }

    fn program(&self, program: Program) -> Result<&CompiledProgram, DeviceError> {
        self.programs.get(program.0).ok_or_else(|| DeviceError::no_program(program))
    }

    /// The areas of the blocks of a plan. Those that the host reads after a run are the program's own,
    /// because another program may run before that.
    fn blocks(&mut self, graph: &Graph, plan: &Plan) -> io::Result<Vec<usize>> {
        let kept: HashSet<Space> =
            graph.outputs().iter().map(|&output| plan.region(graph, output).space).collect();
        let mut shared = 0;
        let blocks = plan.blocks.iter().enumerate().map(|(i, &len)| {
            if kept.contains(&Space::Arena(Block(i))) {
                return self.memory.add(len);
            }
            if shared == self.blocks.len() {
                self.blocks.push(self.memory.add(len)?);
            }
            let area = self.blocks[shared];
            shared += 1;
            self.memory.grow(area, len)?;
            Ok(area)
        });
        blocks.collect()
    }

    /// Takes the memory of a planned graph and places its tensors there.
    fn assemble(&mut self, planned: Planned) -> Result<CompiledProgram, DeviceError> {
        let Planned { graph, recording: Recording { plan, .. } } = planned;
        for (_, tensor) in graph.tensors() {
            if tensor.storage == Storage::Resident {
                self.declare(&tensor.name, &tensor.ty)?;
            }
        }
        let blocks = self.blocks(&graph, &plan).map_err(no_memory)?;
        let input_areas: HashMap<TensorId, usize> = graph
            .inputs()
            .iter()
            .map(|&t| Ok((t, self.memory.add(graph[t].ty.len())?)))
            .collect::<io::Result<_>>()
            .map_err(no_memory)?;
        let place = |t: TensorId| {
            let Region { space, offset, len } = plan.region(&graph, t);
            let area = match space {
                Space::Resident(id) => self.residents[&graph[id].name].0,
                Space::Input(id) => input_areas[&id],
                Space::Arena(block) => blocks[block.0],
            };
            MemoryRange { area, offset, len }
        };
        let places = |ids: &[TensorId]| ids.iter().map(|&t| place(t)).collect::<Vec<_>>();
        let pairs = |ids: &[TensorId]| ids.iter().map(|&t| (t, place(t))).collect();
        let read =
            |node: &usize| graph.nodes()[*node].operands.inputs.iter().chain(graph.outputs());
        let read: HashSet<TensorId> =
            plan.order.iter().flat_map(read).map(|&tensor| graph.root(tensor).0).collect();
        let steps = plan
            .order
            .iter()
            .map(|&node| {
                let Node { op, operands: o } = &graph.nodes()[node];
                let signature = graph.signature(&graph.nodes()[node]);
                let mut outputs = places(&o.outputs);
                for (i, (place, tensor)) in outputs.iter_mut().zip(&o.outputs).enumerate() {
                    let transient = graph[*tensor].storage == Storage::Transient;
                    if transient && !read.contains(tensor) && kernels::may_omit(&**op, i) {
                        place.len = 0;
                    }
                }
                let mut reads = places(&o.inputs);
                let copy = op.in_place().and_then(|InPlace { input, output }| {
                    // The kernel reads its values from the output.
                    let from = MemoryRange { len: 0, ..reads[input] };
                    let from = std::mem::replace(&mut reads[input], from);
                    let to = outputs[output];
                    (from != to).then_some([from, to])
                });
                NodeCall {
                    node,
                    signature,
                    reads,
                    writes: [places(&o.updates), outputs].concat(),
                    copy,
                }
            })
            .collect();
        let (inputs, outputs) = (pairs(graph.inputs()), pairs(graph.outputs()));
        let arena_bytes = plan.arena_bytes();
        Ok(CompiledProgram { graph, steps, inputs, outputs, arena_bytes })
    }
}

impl Session for CpuSession {
    fn plan(&self, graph: Arc<Graph>) -> Result<Planned, DeviceError> {
        let graph = Arc::new(graph.fused(fuse).map_err(RecordingError::from)?);
        let recording = Recording { plan: Plan::unpacked(&graph), commands: vec![] };
        Ok(Planned { graph, recording })
    }

    fn build(&mut self, planned: Planned) -> Result<Program, DeviceError> {
        // The session keeps nothing of a program that could not be made.
        let (areas, residents) = (self.memory.len(), self.residents.clone());
        let blocks = self.blocks.len();
        let built = self.assemble(planned);
        if built.is_err() {
            self.memory.truncate(areas);
            self.residents = residents;
            self.blocks.truncate(blocks);
        }
        self.programs.push(built?);
        Ok(Program(self.programs.len() - 1))
    }

    fn write(&mut self, resident: &str, values: &HostTensor) -> Result<(), DeviceError> {
        let (place, ty) = self.resident(resident)?;
        ty.check(resident, values)?;
        self.memory.bits_mut(place).copy_from_slice(bytemuck::cast_slice(values.as_bytes()));
        Ok(())
    }

    fn run(&mut self, program: Program, inputs: &[&HostTensor]) -> Result<(), DeviceError> {
        self.program(program)?;
        let Self { memory, programs, profile, .. } = self;
        let CompiledProgram { graph, steps, inputs: places, .. } = &programs[program.0];
        graph.check_inputs(inputs)?;
        for (values, &(_, place)) in inputs.iter().zip(places) {
            memory.bits_mut(place).copy_from_slice(bytemuck::cast_slice(values.as_bytes()));
        }
        for step in steps {
            let started = profile.is_some().then(Instant::now);
            let op = &*graph.nodes()[step.node].op;
            if let Some([from, to]) = step.copy {
                memory.copy(from, to);
            }
            let mut written = memory.detach(&step.writes);
            let signature = &step.signature;
            let types = signature.updates.iter().chain(&signature.outputs);
            let mut updates = written.slices(&step.writes, types);
            let outputs = updates.split_off(signature.updates.len());
            let reads = step.reads.iter().zip(&signature.inputs);
            let inputs = reads.map(|(&place, ty)| memory.slice(place, ty)).collect();
            let mut io = Io { signature, inputs, updates, outputs };
            kernels::run(op, &mut io);
            narrow(&mut io);
            memory.attach(written);
            if let (Some(profile), Some(started)) = (profile.as_mut(), started) {
                profile.add(op.name(), 1, started.elapsed(), op.cost(signature));
            }
        }
        Ok(())
    }

    fn fetch(&mut self, program: Program) -> Result<Vec<HostTensor>, DeviceError> {
        let compiled = self.program(program)?;
        let outputs = compiled.outputs.iter();
        Ok(outputs
            .map(|&(id, place)| self.tensor(place, &compiled.graph[id].ty))
            .collect::<Result<_, _>>()?)
    }

    fn fetch_async(&mut self, program: Program) -> Arriving<'_, Vec<HostTensor>> {
        Box::pin(ready(self.fetch(program)))
    }

    fn start_read(&mut self, resident: &str) -> Result<Ticket, DeviceError> {
        let (place, ty) = self.resident(resident)?;
        let tensor = self.tensor(place, &ty)?;
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.reads.insert(ticket, tensor);
        Ok(ticket)
    }

    fn poll_read(&mut self, ticket: Ticket) -> Result<Option<HostTensor>, DeviceError> {
        self.wait_read(ticket).map(Some)
    }

    fn wait_read(&mut self, ticket: Ticket) -> Result<HostTensor, DeviceError> {
        self.reads.remove(&ticket).ok_or_else(|| DeviceError::no_read(ticket))
    }

    fn read_async(&mut self, ticket: Ticket) -> Arriving<'_, HostTensor> {
        Box::pin(ready(self.wait_read(ticket)))
    }

    fn memory(&self, program: Program) -> (u64, u64) {
        let residents = self.residents.values().map(|(_, ty)| 4 * ty.len() as u64).sum();
        (self.programs.get(program.0).map_or(0, |p| p.arena_bytes), residents)
    }

    fn enable_profile(&mut self) {
        self.profile = Some(Profile::default());
    }

    fn profile(&mut self) -> Result<Profile, DeviceError> {
        Ok(self.profile.clone().unwrap_or_default().sorted())
    }
}
