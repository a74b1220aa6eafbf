use crate::{Graph, Profile, Recording, RecordingError};
use rnn_core::{HostTensor, TensorError};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Capabilities of a device that kernels and the recorder rely on.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Maximum number of threads in one workgroup.
    pub max_invocations: u32,
    /// Maximum workgroup (shared) memory of one workgroup, in bytes.
    pub max_workgroup_bytes: u32,
    /// Maximum number of storage buffers that one kernel may bind.
    pub max_storage_buffers: u32,
    /// Maximum size of one binding, in bytes.
    pub max_binding_bytes: u64,
    /// True if kernels can store tensors of half precision (`shader-f16`); false refuses graphs
    /// with such tensors.
    pub half: bool,
    /// Side of the square half-precision matrices that the device's matrix units multiply in one
    /// instruction, with single-precision sums; `None` without matrix units.
    pub matrix_units: Option<u32>,
    /// Lanes of the smallest subgroup, if thread i of a workgroup is lane i modulo the size of its
    /// subgroup; 1 if that is not known, or without subgroups.
    pub subgroup_lanes: u32,
    /// Iterations that all loops of one thread may make together, counted as [`iterations`] does.
    /// Some drivers end loops beyond that without a word; others never do, which is `u64::MAX`.
    pub loop_iterations: u64,
}

/// Returns the iterations that a loop of `count` passes contributes to [`Limits::loop_iterations`],
/// if each pass runs inner loops of `inner` iterations in total.
///
/// A loop counts one iteration more than its passes: its end is detected in an iteration of its
/// own.
pub const fn iterations(count: usize, inner: u64) -> u64 {
    (count as u64).saturating_mul(inner.saturating_add(1)).saturating_add(1)
}

impl Limits {
    /// The limits that WebGPU guarantees on every adapter.
    pub const WEBGPU: Self = Self {
        max_invocations: 256,
        max_workgroup_bytes: 16 << 10,
        max_storage_buffers: 8,
        max_binding_bytes: 128 << 20,
        half: false,
        matrix_units: None,
        subgroup_lanes: 1,
        loop_iterations: u64::MAX,
    };
}

/// The class of hardware that executes a device's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A graphics processor.
    Gpu,
    /// A graphics API emulated on the CPU: right, but slow.
    SoftwareGpu,
    /// The CPU device.
    Cpu,
}

/// Description of a device for users and reports.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// Model name.
    pub name: String,
    /// Vulkan, Metal, DX12, or the instruction set for a CPU.
    pub backend: String,
    /// Driver name and version; empty where unknown, as for the CPU.
    pub driver: String,
    /// The class of hardware.
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

/// The reason for which a device could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The graph cannot be recorded for this device, or breaks one of its limits.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A host tensor does not have the asked shape or element type.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A tensor passed by the caller does not have the type that the program declares.
    #[error("{name}: the program takes {expected}, got {found}")]
    Mismatch {
        /// Name of the tensor.
        name: String,
        /// Element type and shape in the program.
        expected: String,
        /// Element type and shape that were passed.
        found: String,
    },
    /// A resident of that name does not exist, or two programs disagree on its type.
    #[error("resident {0}")]
    Resident(String),
    /// The device ran out of memory.
    #[error("{device} is out of memory: {message}; use a smaller batch, or the CPU device")]
    OutOfMemory {
        /// Name of the device.
        device: String,
        /// Message of the driver.
        message: String,
    },
    /// The device is gone: driver reset, unplugged, timed out.
    #[error("{device} was lost: {message}; start again, or use the CPU device")]
    Lost {
        /// Name of the device.
        device: String,
        /// Message of the driver.
        message: String,
    },
    /// The device does not answer: it hangs, or one step takes too long for the driver.
    #[error(
        "{device} has not answered for {} s: it hangs, or a step is too much for it; use a smaller \
         batch, or the CPU device",
        patience.as_secs_f64()
    )]
    Timeout {
        /// Name of the device.
        device: String,
        /// Time for which the caller waited.
        patience: Duration,
    },
    /// Something requested does not exist: a feature of the device, or a program of the session.
    #[error("{owner} has no {what}")]
    Missing {
        /// The device or the session that lacks it.
        owner: String,
        /// The requested thing.
        what: String,
    },
    /// The driver refused a command, which indicates a bug in this library.
    #[error(
        "{device} refused a command: {message}; please report this with the names and drivers of the devices"
    )]
    Refused {
        /// Name of the device.
        device: String,
        /// Message of the driver.
        message: String,
    },
}

/// Handle to a program that was built in a [`Session`], its number from 0 on; valid for that
/// session alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program(pub usize);

/// A graph that is planned for a session but has no memory yet. [`Session::build`] turns it into a
/// [`Program`].
#[derive(Clone, Debug)]
pub struct Planned {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Memory layout and commands of one run. The command list is empty on a device that executes
    /// the nodes themselves.
    pub recording: Recording,
}

/// Handle to a read of a resident that is in flight, which yields its tensor once; see
/// [`Session::start_read`]. It is valid for the session that started the read alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Future of values that travel from a device to the host. The copy is queued when the future is
/// created; any executor can wait for it.
pub type Arriving<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeviceError>> + 'a>>;

/// A machine that executes graphs: a GPU, or the CPU.
///
/// The author of a device runs the checks of `rnn_verify::conformance` on it, which hold it to the
/// contract of this trait and of [`Session`], and those of `rnn_verify::check_kernel`, which compare
/// its results with the definitions of all ops.
pub trait Device {
    /// Returns the device's name, backend, driver and class.
    fn info(&self) -> &DeviceInfo;

    /// Returns the limits that kernels are recorded for.
    fn limits(&self) -> &Limits;

    /// Opens a session: the memory and the programs of one model.
    fn session(&self) -> Box<dyn Session>;

    /// Compiles every kernel that a graph may use on this device, with all variants of its
    /// launches. Takes no memory and runs nothing. A device that compiles no kernels succeeds.
    ///
    /// # Errors
    /// Fails if a node cannot be recorded for this device, or the device refuses a kernel.
    fn compile_kernels(&self, _graph: &Graph) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// The resident tensors and the programs of one model on one device.
///
/// A resident exists from the first program that names it, with all elements zero. Values move
/// between host and device only in `write`, `run` (its inputs), `fetch` and the reads; everything
/// else stays on the device.
pub trait Session {
    /// Plans the memory and the commands of a run without allocating anything. A plan may need
    /// buffers larger than the device can bind; `build` refuses those.
    ///
    /// # Errors
    /// Fails if a node cannot be recorded for this device.
    fn plan(&self, graph: Arc<Graph>) -> Result<Planned, DeviceError>;

    /// Allocates the memory of a planned graph and compiles its kernels, ready for replay.
    ///
    /// # Errors
    /// Fails if a resident has another type in an earlier program, or the device refuses the memory
    /// or a kernel.
    fn build(&mut self, planned: Planned) -> Result<Program, DeviceError>;

    /// Plans a graph and builds it.
    ///
    /// # Errors
    /// Fails as [`Self::plan`] and [`Self::build`] do.
    fn compile(&mut self, graph: Arc<Graph>) -> Result<Program, DeviceError> {
        let planned = self.plan(graph)?;
        self.build(planned)
    }

    /// Sets the values of a resident.
    ///
    /// # Errors
    /// Fails if no program names the resident, or its shape or element type differs.
    fn write(&mut self, resident: &str, values: &HostTensor) -> Result<(), DeviceError>;

    /// Queues one run of the program, with one tensor for each of the graph's inputs, in order.
    /// Returns without waiting for the GPU to finish, except to limit how many runs are in flight.
    ///
    /// # Errors
    /// Fails if an input has another shape or type than declared, or the device is lost.
    fn run(&mut self, program: Program, inputs: &[&HostTensor]) -> Result<(), DeviceError>;

    /// Blocks until the last run of the program has finished and returns its outputs in order.
    ///
    /// # Errors
    /// Fails if the program does not exist, or the device is lost or hangs.
    fn fetch(&mut self, program: Program) -> Result<Vec<HostTensor>, DeviceError>;

    /// Returns the outputs of the last run of the program as a future, without blocking.
    fn fetch_async(&mut self, program: Program) -> Arriving<'_, Vec<HostTensor>>;

    /// Queues a copy of a resident to the host; the copy holds the values after all runs queued so
    /// far.
    ///
    /// # Errors
    /// Fails if no program names the resident.
    fn start_read(&mut self, resident: &str) -> Result<Ticket, DeviceError>;

    /// Returns the values of a read if they have arrived, else `None`. Each ticket yields its
    /// tensor once.
    ///
    /// # Errors
    /// Fails if the ticket was used up, or the device is lost.
    fn poll_read(&mut self, ticket: Ticket) -> Result<Option<HostTensor>, DeviceError>;

    /// Blocks until the values of a read have arrived. Uses up the ticket.
    ///
    /// # Errors
    /// Fails if the ticket was used up, or the device is lost or hangs.
    fn wait_read(&mut self, ticket: Ticket) -> Result<HostTensor, DeviceError>;

    /// Returns the values of a read as a future, without blocking. Uses up the ticket even if the
    /// future is dropped.
    fn read_async(&mut self, ticket: Ticket) -> Arriving<'_, HostTensor>;

    /// Returns the bytes of the program's arena and the bytes of all residents of the session.
    fn memory(&self, program: Program) -> (u64, u64);

    /// Starts to time every op; clears earlier times.
    fn enable_profile(&mut self);

    /// Returns the time that each op took since `enable_profile`.
    ///
    /// # Errors
    /// Fails if the device cannot measure time, or is lost.
    fn profile(&mut self) -> Result<Profile, DeviceError>;
}

impl dyn Session {
    /// Reads the values of a resident; blocks until all queued runs have finished.
    ///
    /// # Errors
    /// Fails if no program names the resident, or the device is lost or hangs.
    pub fn read(&mut self, resident: &str) -> Result<HostTensor, DeviceError> {
        let ticket = self.start_read(resident)?;
        self.wait_read(ticket)
    }
}
