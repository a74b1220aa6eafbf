use crate::{Cost, Graph, Recording, RecordingError};
use rnn_core::{HostTensor, TensorError};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What a device offers to kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Threads in one workgroup.
    pub max_invocations: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_bytes: u32,
    /// Storage buffers that one kernel may bind.
    pub max_storage_buffers: u32,
    /// Bytes that one binding may span.
    pub max_binding_bytes: u64,
    /// Whether kernels know numbers of half precision.
    pub half: bool,
    /// The side of square matrices of half precision that the device multiplies in one instruction,
    /// with sums of single precision.
    pub matrix_units: Option<u32>,
    /// Iterations that all loops of one thread may make together, counted as [`iterations`] does.
    /// Some drivers end loops beyond that without a word; others never do, which is `u64::MAX`.
    pub loop_iterations: u64,
}

/// Iterations of a loop of `count` turns, each of which makes `inner` iterations of other loops: one
/// more than the turns, as the loop's end is found in an iteration of its own.
pub const fn iterations(count: usize, inner: u64) -> u64 {
    (count as u64).saturating_mul(inner.saturating_add(1)).saturating_add(1)
}

impl Limits {
    /// What WebGPU guarantees on every adapter.
    pub const WEBGPU: Self = Self {
        max_invocations: 256,
        max_workgroup_bytes: 16 << 10,
        max_storage_buffers: 8,
        max_binding_bytes: 128 << 20,
        half: false,
        matrix_units: None,
        loop_iterations: u64::MAX,
    };
}

/// What kind of machine executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A graphics processor.
    Gpu,
    /// A graphics API emulated on the CPU: right, but slow.
    SoftwareGpu,
    /// The CPU device.
    Cpu,
}

/// A device as users see it.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// Model name.
    pub name: String,
    /// Vulkan, Metal, DX12, or the instruction set for a CPU.
    pub backend: String,
    /// Driver and version, where known.
    pub driver: String,
    /// What it is.
    pub kind: DeviceKind,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.backend)?;
        if !self.driver.is_empty() {
            write!(f, ", {}", self.driver)?;
        }
        write!(f, ")")
    }
}

/// Why a device could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The graph cannot run on this device.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A tensor from the host does not fit.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The caller's data does not match the program.
    #[error("{name}: the program takes {expected}, got {found}")]
    Mismatch {
        /// The tensor.
        name: String,
        /// Its type in the program.
        expected: String,
        /// What was given.
        found: String,
    },
    /// No resident of that name, or two programs disagree on its type.
    #[error("resident {0}")]
    Resident(String),
    /// The device ran out of memory.
    #[error("{device} is out of memory: {message}; use a smaller batch, or the CPU device")]
    OutOfMemory {
        /// The device.
        device: String,
        /// What the driver said.
        message: String,
    },
    /// The device is gone: driver reset, unplugged, timed out.
    #[error("{device} was lost: {message}; start again, or use the CPU device")]
    Lost {
        /// The device.
        device: String,
        /// What the driver said.
        message: String,
    },
    /// The device does not answer: it hangs, or has been given too much at once.
    #[error(
        "{device} has not answered for {} s: it hangs, or a step is too much for it; use a smaller \
         batch, or the CPU device",
        patience.as_secs_f64()
    )]
    Timeout {
        /// The device.
        device: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// Something asked for does not exist: a feature of the device, a program of the session.
    #[error("{owner} has no {what}")]
    Missing {
        /// The device or the session.
        owner: String,
        /// What was asked for.
        what: String,
    },
    /// The driver refused something: a mistake in this program.
    #[error(
        "{device} refused a command: {message}; please report this with the names and drivers of the devices"
    )]
    Refused {
        /// The device.
        device: String,
        /// What the driver said.
        message: String,
    },
}

/// A program of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program(pub usize);

/// A graph as a session will run it, before there is memory for it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The graph.
    pub graph: Arc<Graph>,
    /// The memory that it needs, and the commands of a run; a device that executes the nodes
    /// themselves has none.
    pub recording: Recording,
}

/// A read of a resident that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Values on their way from a device to the host. The copy is queued when the future is made; any
/// executor can wait for it.
pub type Arriving<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeviceError>> + 'a>>;

/// Something that executes graphs.
///
/// The author of a device runs the checks of `rnn_verify::conformance` on it, which hold it to the
/// contract of this trait and of [`Session`], and those of `rnn_verify::check_kernel`, which hold
/// what it computes to the definitions of all ops.
pub trait Device {
    /// Name, backend, driver, kind.
    fn info(&self) -> &DeviceInfo;

    /// What kernels may use.
    fn limits(&self) -> &Limits;

    /// Memory and programs for one model.
    fn session(&self) -> Box<dyn Session>;
}

/// The residents and programs of one model on one device.
///
/// Residents are zero when first named. Values move only by `write`, `run` (its inputs), `fetch`
/// and the reads; everything between stays on the device.
pub trait Session {
    /// Plans the runs of a graph, without taking memory for them: a plan may need buffers larger
    /// than the device binds.
    fn plan(&self, graph: Arc<Graph>) -> Result<Planned, DeviceError>;

    /// Prepares a planned graph for replay.
    fn build(&mut self, planned: Planned) -> Result<Program, DeviceError>;

    /// Plans a graph and prepares it for replay.
    fn compile(&mut self, graph: Arc<Graph>) -> Result<Program, DeviceError> {
        let planned = self.plan(graph)?;
        self.build(planned)
    }

    /// Sets a resident.
    fn write(&mut self, resident: &str, values: &HostTensor) -> Result<(), DeviceError>;

    /// Queues one run. Returns without waiting for a GPU to finish, except to keep a few runs
    /// from piling up.
    fn run(&mut self, program: Program, inputs: &[&HostTensor]) -> Result<(), DeviceError>;

    /// Blocks until the last run of the program has ended and returns its outputs.
    fn fetch(&mut self, program: Program) -> Result<Vec<HostTensor>, DeviceError>;

    /// Returns the outputs of the last run of the program once they arrive, without blocking.
    fn fetch_async(&mut self, program: Program) -> Arriving<'_, Vec<HostTensor>>;

    /// Queues a copy of a resident to the host, as it is after all runs queued so far.
    fn start_read(&mut self, resident: &str) -> Result<Ticket, DeviceError>;

    /// The copy, if it has arrived. Each ticket yields its tensor once.
    fn poll_read(&mut self, ticket: Ticket) -> Result<Option<HostTensor>, DeviceError>;

    /// Blocks until the copy has arrived.
    fn wait_read(&mut self, ticket: Ticket) -> Result<HostTensor, DeviceError>;

    /// Returns the copy once it arrives, without blocking. Like the other reads it takes the ticket,
    /// also if the future is dropped.
    fn read_async(&mut self, ticket: Ticket) -> Arriving<'_, HostTensor>;

    /// Bytes of the arena of a program and of all residents.
    fn memory(&self, program: Program) -> (u64, u64);

    /// Times every op from now on.
    fn enable_profile(&mut self);

    /// Time by op since `enable_profile`.
    fn profile(&mut self) -> Result<Profile, DeviceError>;
}

impl dyn Session {
    /// The values of a resident now.
    pub fn read(&mut self, resident: &str) -> Result<HostTensor, DeviceError> {
        let ticket = self.start_read(resident)?;
        self.wait_read(ticket)
    }
}

/// Time spent in one op.
#[derive(Clone, Debug, Default)]
pub struct ProfileRow {
    /// The op.
    pub op: String,
    /// How often it ran.
    pub calls: u64,
    /// For how long altogether.
    pub time: Duration,
    /// What it did altogether.
    pub cost: Cost,
}

/// Time by op, the most expensive first.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// One row an op.
    pub rows: Vec<ProfileRow>,
}

impl Profile {
    /// Adds one call of an op.
    pub fn add(&mut self, op: &str, calls: u64, time: Duration, cost: Cost) {
        let row = match self.rows.iter_mut().position(|r| r.op == op) {
            Some(i) => &mut self.rows[i],
            None => {
                self.rows.push(ProfileRow { op: op.into(), ..ProfileRow::default() });
                let last = self.rows.len() - 1;
                &mut self.rows[last]
            }
        };
        row.calls += calls;
        row.time += time;
        row.cost += cost;
    }

    /// The same rows, the most expensive first.
    pub fn sorted(mut self) -> Self {
        self.rows.sort_by_key(|r| std::cmp::Reverse(r.time));
        self
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: f64 = self.rows.iter().map(|r| r.time.as_secs_f64()).sum();
        writeln!(
            f,
            "{:<26} {:>8} {:>11} {:>6} {:>10} {:>8}",
            "op", "calls", "time ms", "%", "GFLOP/s", "GB/s"
        )?;
        for row in &self.rows {
            let s = row.time.as_secs_f64().max(1e-12);
            writeln!(
                f,
                "{:<26} {:>8} {:>11.3} {:>6.1} {:>10.2} {:>8.2}",
                row.op,
                row.calls,
                1e3 * s,
                100.0 * s / total.max(1e-12),
                row.cost.flops as f64 / s / 1e9,
                row.cost.bytes as f64 / s / 1e9
            )?;
        }
        Ok(())
    }
}
