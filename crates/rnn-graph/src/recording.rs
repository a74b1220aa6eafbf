use crate::align::{align, begins_unaligned, copy};
use crate::resolve::resolve;
use crate::{
    Access, Cost, Graph, GraphError, InPlace, Launch, LaunchVariant, Limits, Node, OpError,
    Operand, Plan, Region, Shader, Space, TensorId,
};
use std::fmt;

/// One storage buffer binding of a dispatch: a range of words, bound to a WGSL variable.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Number of the `@binding` in group 0.
    pub index: u32,
    /// Name of the WGSL variable.
    pub name: String,
    /// The bound words; the offset is a multiple of [`Binding::ALIGNMENT`].
    pub region: Region,
    /// Access mode that the shader declares.
    pub access: Access,
}

impl Binding {
    /// Alignment of a binding's offset, in words: 256 bytes, the strictest that WebGPU lets an
    /// adapter require.
    pub const ALIGNMENT: usize = 64;
}

/// A [`Launch`] whose operands are memory regions and whose parameters are bytes.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// Index of the node in [`Graph::nodes`].
    pub node: usize,
    /// Name of the op that recorded the launch.
    pub op: &'static str,
    /// The WGSL module.
    pub shader: &'static Shader,
    /// Name of the entry point.
    pub entry: &'static str,
    /// Values of `override` constants by name.
    pub constants: Vec<(&'static str, f64)>,
    /// Storage buffer bindings.
    pub bindings: Vec<Binding>,
    /// Binding number and bytes of the uniform parameters; `None` if the kernel has none.
    pub params: Option<(u32, Vec<u8>)>,
    /// Number of workgroups along x, y and z.
    pub grid: [u32; 3],
    /// Axes along which [`Recording::divide`] may divide the grid, and for each the byte of the
    /// parameters that tells how many workgroups run before.
    pub divisible: Vec<(usize, usize)>,
    /// Upper bound on the loop iterations of one thread; `None` if the kernel has no loop. See
    /// [`Launch::iterations`].
    pub iterations: Option<u64>,
    /// Variants of the launch, which compute the same bits.
    pub variants: Vec<LaunchVariant>,
    /// Cost of the whole node on its first dispatch; zero on its others.
    pub cost: Cost,
}

/// One command of a [`Recording`]: an upload, a kernel launch or a download.
#[derive(Clone, Debug)]
pub enum Command {
    /// The host writes an input into the region.
    Upload(TensorId, Region),
    /// The device runs a kernel.
    Dispatch(Box<Dispatch>),
    /// The host reads an output from the region.
    Download(TensorId, Region),
}

/// The commands of one run of a graph as plain data. A GPU device makes it once from the graph and
/// executes it at every run.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Layout of the memory that the commands refer to.
    pub plan: Plan,
    /// Uploads, then dispatches, then downloads.
    pub commands: Vec<Command>,
}

/// The reason for which a graph could not be recorded, or a recording is not valid.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A node could not be recorded.
    #[error(transparent)]
    Node(#[from] GraphError),
    /// A command breaks a rule of the device, which indicates a bug in an op or the planner.
    #[error("{dispatch}: {message}")]
    Invalid {
        /// The dispatch as `op#node entry`, or another name of the command.
        dispatch: String,
        /// The broken rule.
        message: String,
    },
    /// A binding has more bytes than the device can bind.
    #[error("{dispatch}: {message}")]
    Limit {
        /// The dispatch.
        dispatch: String,
        /// The binding, its bytes and the limit.
        message: String,
    },
}

impl Recording {
    /// Plans and records a graph for a device with the given limits.
    ///
    /// # Errors
    /// Fails with [`RecordingError::Node`] if an op cannot be recorded, a launch does not fit its
    /// shader or exceeds the loop limit, or a tensor has half precision and the device does not
    /// store it. Fails as [`Recording::validate`] if the result breaks a rule.
    ///
    /// # Panics
    /// Panics if a launch binds an operand that its node does not have.
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

    /// Iterates over the kernel launches in the order of execution, without uploads and downloads.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.commands.iter().filter_map(|c| match c {
            Command::Dispatch(d) => Some(&**d),
            _ => None,
        })
    }

    /// Iterates over the kernel launches in the order of execution; the caller may change them.
    pub fn dispatches_mut(&mut self) -> impl Iterator<Item = &mut Dispatch> {
        self.commands.iter_mut().filter_map(|c| match c {
            Command::Dispatch(d) => Some(&mut **d),
            _ => None,
        })
    }

    /// Checks the rules that devices rely on:
    ///
    /// - Uploads precede all dispatches, and downloads follow them.
    /// - A dispatch binds no buffer both for reading and for writing, and no writable binding of it
    ///   overlaps another.
    /// - The number and sizes of bindings, and the grids, are within the limits.
    ///
    /// # Errors
    /// Fails with [`RecordingError::Limit`] if a binding is too large, and with
    /// [`RecordingError::Invalid`] if another rule is broken.
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
    /// Replaces the launch by its `n`th variant, counted from 1. Does nothing if `n` is 0 or there
    /// is no such variant.
    pub fn select_variant(&mut self, n: usize) {
        let other = n.checked_sub(1).and_then(|n| self.variants.get(n)).cloned();
        if let Some(LaunchVariant { shader, constants, grid }) = other {
            (self.shader, self.constants, self.grid) = (shader, constants, grid.0);
        }
    }

    /// Returns a message if a tensor has more bytes than the device can bind.
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

/// Returns a copy of the input that the op overwrites in place ([`InPlace`]), if input and output
/// do not share memory. An output at an unaligned offset is copied by [`align`] instead.
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

/// One line per command, as snapshot tests compare it.
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
