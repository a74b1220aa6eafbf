use crate::align::{align, begins_unaligned, copy};
use crate::launch::ParamValue;
use crate::{
    Access, Cost, Graph, GraphError, InPlace, Launch, LaunchVariant, Limits, Node, OpError,
    Operand, Plan, Region, Shader, Slot, Space, TensorId,
};
use std::fmt;

/// A tensor as one dispatch sees it.
#[derive(Clone, Debug)]
pub struct Binding {
    /// `@binding` number in group 0.
    pub index: u32,
    /// The name of the WGSL variable.
    pub name: String,
    /// The words bound; aligned to [`Binding::ALIGNMENT`].
    pub region: Region,
    /// As the shader declares.
    pub access: Access,
}

impl Binding {
    /// Words to which a binding's offset is aligned: 256 bytes, the strictest that WebGPU
    /// lets an adapter ask for.
    pub const ALIGNMENT: usize = 64;
}

/// One kernel launch over memory regions.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The index of the node in the graph.
    pub node: usize,
    /// The op that recorded it.
    pub op: &'static str,
    /// The module.
    pub shader: &'static Shader,
    /// The entry point.
    pub entry: &'static str,
    /// Values of `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Tensors.
    pub bindings: Vec<Binding>,
    /// The uniform's binding number and bytes; empty where the kernel takes none.
    pub params: Option<(u32, Vec<u8>)>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// See [`Launch::iterations`].
    pub iterations: Option<u64>,
    /// What computes the same bits.
    pub variants: Vec<LaunchVariant>,
    /// Cost of the op, on the first of its dispatches.
    pub cost: Cost,
}

/// One step of a recording.
#[derive(Clone, Debug)]
pub enum Command {
    /// The host fills an input.
    Upload(TensorId, Region),
    /// The device runs a kernel.
    Dispatch(Box<Dispatch>),
    /// The host reads an output.
    Download(TensorId, Region),
}

/// What a device does in one run, as plain data: built once, replayed every step.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The memory that the commands name.
    pub plan: Plan,
    /// Uploads, then dispatches, then downloads.
    pub commands: Vec<Command>,
}

/// Why a graph could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A node could not be recorded.
    #[error(transparent)]
    Node(#[from] GraphError),
    /// A command breaks a rule of the device; always a mistake in an op or the planner.
    #[error("{dispatch}: {message}")]
    Invalid {
        /// Which dispatch.
        dispatch: String,
        /// Which rule.
        message: String,
    },
    /// A tensor spans more bytes than the device binds.
    #[error("{dispatch}: {message}")]
    Limit {
        /// Which dispatch.
        dispatch: String,
        /// The tensor, its bytes and the limit.
        message: String,
    },
}

impl Recording {
    /// Records the graph for a device of these limits.
    pub fn new(graph: &Graph, limits: &Limits) -> Result<Self, RecordingError> {
        graph.check_storage(limits.half)?;
        let mut works = Vec::new();
        for node in graph.nodes() {
            let signature = graph.signature(node);
            let work = node.op.record(&signature, limits);
            let work = work.and_then(|work| align(graph, node, work));
            works.push(work.map_err(|source| explain(graph, node, source))?);
        }
        let plan = Plan::new(graph, |node| works[node].scratch.clone());
        let upload = |&t: &TensorId| Command::Upload(t, plan.region(graph, t));
        let download = |&t: &TensorId| Command::Download(t, plan.region(graph, t));
        let mut commands: Vec<_> = graph.inputs().iter().map(upload).collect();
        for (&index, scratch) in plan.order.iter().zip(&plan.scratch) {
            let node = &graph.nodes()[index];
            let mut cost = node.op.cost(&graph.signature(node));
            let place = |operand| match operand {
                Operand::Input(i) => plan.region(graph, node.operands.inputs[i]),
                Operand::Update(i) => plan.region(graph, node.operands.updates[i]),
                Operand::Output(i) => plan.region(graph, node.operands.outputs[i]),
                Operand::Scratch(i) => scratch[i],
            };
            let copy = copy_first(graph, node, place);
            let copy = copy.map_err(|source| explain(graph, node, source))?;
            for launch in copy.iter().chain(&works[index].launches) {
                let dispatch = resolve(launch, place, limits);
                let mut dispatch = dispatch.map_err(|source| explain(graph, node, source))?;
                dispatch.node = index;
                dispatch.op = node.op.name();
                dispatch.cost = std::mem::take(&mut cost);
                commands.push(Command::Dispatch(Box::new(dispatch)));
            }
        }
        commands.extend(graph.outputs().iter().map(download));
        let recording = Self { plan, commands };
        recording.validate(limits)?;
        Ok(recording)
    }

    /// The kernel launches in order.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.commands.iter().filter_map(|c| match c {
            Command::Dispatch(d) => Some(&**d),
            _ => None,
        })
    }

    /// The same, to be changed.
    pub fn dispatches_mut(&mut self) -> impl Iterator<Item = &mut Dispatch> {
        self.commands.iter_mut().filter_map(|c| match c {
            Command::Dispatch(d) => Some(&mut **d),
            _ => None,
        })
    }

    /// Checks every rule that a device relies on: uploads only before and downloads only after
    /// all dispatches, no writable binding whose buffer is bound a second time for reading, no
    /// overlap with another writable one, bindings and grids within the limits.
    pub fn validate(&self, limits: &Limits) -> Result<(), RecordingError> {
        let phase = |c: &Command| match c {
            Command::Upload(..) => 0,
            Command::Dispatch(_) => 1,
            Command::Download(..) => 2,
        };
        if !self.commands.is_sorted_by_key(phase) {
            return Err(RecordingError::Invalid {
                dispatch: "recording".into(),
                message: "an upload or download stands between dispatches".into(),
            });
        }
        for dispatch in self.dispatches() {
            let name = || format!("{}#{} {}", dispatch.op, dispatch.node, dispatch.entry);
            if let Some(message) = dispatch.oversized(limits) {
                return Err(RecordingError::Limit { dispatch: name(), message });
            }
            let invalid = |message| RecordingError::Invalid { dispatch: name(), message };
            dispatch.validate(limits).map_err(invalid)?;
        }
        Ok(())
    }
}

impl Dispatch {
    /// Takes its nth alternative; 0, or one that there is not, changes nothing.
    pub fn divide(&mut self, n: usize) {
        let other = n.checked_sub(1).and_then(|n| self.variants.get(n)).cloned();
        if let Some(LaunchVariant { shader, constants, grid }) = other {
            (self.shader, self.constants, self.grid) = (shader, constants, grid.0);
        }
    }

    /// A tensor that spans more bytes than the device binds.
    fn oversized(&self, limits: &Limits) -> Option<String> {
        let max = limits.max_binding_bytes;
        let sizes = self.bindings.iter().map(|of| (&of.name, 4 * of.region.len as u64));
        let (name, bytes) = sizes.into_iter().find(|&(_, bytes)| bytes > max)?;
        Some(format!("{name} has {bytes} bytes, the device binds at most {max}"))
    }

    fn validate(&self, limits: &Limits) -> Result<(), String> {
        if self.bindings.len() > limits.max_storage_buffers as usize {
            let (n, max) = (self.bindings.len(), limits.max_storage_buffers);
            return Err(format!("{n} storage bindings, the device takes {max}"));
        }
        for (i, a) in self.bindings.iter().enumerate() {
            for b in &self.bindings[i + 1..] {
                let same_buffer = a.region.space == b.region.space;
                if same_buffer && a.access != b.access {
                    return Err(format!("{} and {} read and write one buffer", a.name, b.name));
                }
                if a.access == Access::ReadWrite && a.region.overlaps(&b.region) {
                    return Err(format!("{} overlaps {}, which is written", a.name, b.name));
                }
            }
        }
        let grids = self.variants.iter().map(|other| other.grid.0).chain([self.grid]);
        for grid in grids {
            if grid.iter().any(|&n| n > crate::Grid::MAX_PER_AXIS) {
                return Err(format!("{grid:?} workgroups"));
            }
        }
        Ok(())
    }
}

/// The copy of an input that turns into an output, where the two do not share memory. An output at
/// an unaligned offset has been given one by [`align`].
fn copy_first(
    graph: &Graph,
    node: &Node,
    place: impl Fn(Operand) -> Region,
) -> Result<Option<Launch>, OpError> {
    let Some(InPlace { input, output }) = node.op.in_place() else { return Ok(None) };
    let (from, to) = (Operand::Input(input), Operand::Output(output));
    let copied = place(from) == place(to) || begins_unaligned(graph, node.operands.outputs[output]);
    (!copied).then(|| copy(from, to, place(to).len)).transpose()
}

fn explain(graph: &Graph, node: &Node, reason: OpError) -> GraphError {
    GraphError { op: node.op.name(), operands: graph.describe(node), reason }
}

/// Finds what the shader calls things: every binding and parameter of the entry point must be
/// given, and nothing that it does not have.
fn resolve(
    launch: &Launch,
    place: impl Fn(Operand) -> Region,
    limits: &Limits,
) -> Result<Dispatch, OpError> {
    let shader = launch.shader;
    let entry = shader.entry_point(launch.entry)?;
    let complain = |message: String| shader.error(format!("{}: {message}", launch.entry));
    check_constants(shader, launch.entry, &launch.constants)?;
    match launch.iterations {
        None if entry.loops => {
            return Err(complain("it loops, the launch does not say how often".into()).into());
        }
        Some(most) if most > limits.loop_iterations => {
            return Err(OpError::Limit(format!(
                "a thread of {}.{} goes through {most} iterations of loops, and this device ends \
                 loops after {}; use the CPU device, or smaller tensors",
                shader.name(),
                launch.entry,
                limits.loop_iterations
            )));
        }
        _ => {}
    }
    for other in &launch.variants {
        other.shader.entry_point(launch.entry)?;
        check_constants(other.shader, launch.entry, &other.constants)?;
    }
    for (name, _) in &launch.bindings {
        if !entry.storage.iter().any(|slot| slot.name == *name) {
            return Err(complain(format!("it does not use a binding {name}")).into());
        }
    }
    let mut params = launch.params.clone();
    let mut bindings = Vec::new();
    for Slot { name, binding: index, access, stride } in &entry.storage {
        let &(key, operand) = launch
            .bindings
            .iter()
            .find(|(n, _)| n == name)
            .ok_or_else(|| complain(format!("nothing bound to {name}")))?;
        let mut region = place(operand);
        let skip = region.offset % Binding::ALIGNMENT;
        region.offset -= skip;
        region.len += skip;
        if *access == Access::ReadWrite && matches!(operand, Operand::Input(_)) {
            return Err(complain(format!("{name} is an input but declared writable")).into());
        }
        let takes_offset = entry.params.as_ref().and_then(|block| {
            block.members.iter().find(|(m, ..)| m.strip_suffix("_offset") == Some(key))
        });
        match takes_offset {
            Some((member, ..)) => params.push((member, ParamValue::U32(4 * skip as u32 / stride))),
            None if skip != 0 => {
                return Err(complain(format!("{name} is an unaligned view")).into());
            }
            None => {}
        }
        bindings.push(Binding { index: *index, name: name.clone(), region, access: *access });
    }
    let params = match &entry.params {
        Some(block) => Some((block.binding, pack(block, &params).map_err(complain)?)),
        None if params.is_empty() => None,
        None => return Err(complain("it takes no parameters".into()).into()),
    };
    Ok(Dispatch {
        node: 0,
        op: "",
        shader,
        entry: launch.entry,
        constants: launch.constants.clone(),
        bindings,
        params,
        grid: launch.grid.0,
        iterations: launch.iterations,
        variants: launch.variants().collect(),
        cost: Cost::default(),
    })
}

fn check_constants(
    shader: &Shader,
    entry: &str,
    constants: &[(&'static str, f64)],
) -> Result<(), OpError> {
    let known = shader.constants()?;
    match constants.iter().find(|(name, _)| !known.iter().any(|c| c == name)) {
        Some((name, _)) => Err(shader.error(format!("{entry}: no override {name}")).into()),
        None => Ok(()),
    }
}

fn pack(
    block: &crate::shader::ParamBlock,
    params: &[(impl AsRef<str>, ParamValue)],
) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; block.size as usize];
    for (name, offset, float) in &block.members {
        let given = params.iter().find(|(n, _)| n.as_ref() == name).map(|(_, value)| *value);
        // The offset of a binding that this entry point does not use.
        let unused = name.ends_with("_offset").then_some(ParamValue::U32(0));
        let value = given.or(unused).ok_or_else(|| format!("no value for parameter {name}"))?;
        let word = match (value, float) {
            (ParamValue::U32(v), false) => v.to_le_bytes(),
            (ParamValue::F32(v), true) => v.to_le_bytes(),
            _ => return Err(format!("parameter {name} has another type")),
        };
        let at = *offset as usize;
        bytes[at..at + 4].copy_from_slice(&word);
    }
    if let Some((name, _)) =
        params.iter().find(|(n, _)| !block.members.iter().any(|(m, ..)| m == n.as_ref()))
    {
        return Err(format!("no parameter {}", name.as_ref()));
    }
    Ok(bytes)
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.space {
            Space::Resident(t) => write!(f, "resident{}", t.index())?,
            Space::Input(t) => write!(f, "input{}", t.index())?,
            Space::Arena(block) => write!(f, "arena{}", block.0)?,
        }
        write!(f, "[{}..{}]", self.offset, self.offset + self.len)
    }
}

/// One line a command: what snapshot tests compare.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "arena {:?} elements", self.plan.blocks)?;
        for command in &self.commands {
            match command {
                Command::Upload(_, region) => writeln!(f, "upload {region}")?,
                Command::Download(_, region) => writeln!(f, "download {region}")?,
                Command::Dispatch(d) => {
                    write!(f, "{} {}.{} {:?}", d.op, d.shader.name(), d.entry, d.grid)?;
                    for (name, value) in &d.constants {
                        write!(f, " {name}={value}")?;
                    }
                    for b in &d.bindings {
                        let mark = if b.access == Access::ReadWrite { "!" } else { "" };
                        write!(f, " {}{mark}={}", b.name, b.region)?;
                    }
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}
