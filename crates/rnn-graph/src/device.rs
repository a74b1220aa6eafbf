use crate::{Graph, Profile, Recording, RecordingError};
use rnn_core::{HostTensor, TensorError};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Capabilities of a device that kernels and [`Recording::new`] rely on.
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
    /// True if kernels can store tensors of half precision (WGSL's `f16`). If false, a graph with
    /// such tensors is refused.
    pub half: bool,
    /// Side of the square half-precision matrices that the device's matrix units multiply in one
    /// instruction, with single-precision sums; `None` without matrix units.
    pub matrix_units: Option<u32>,
    /// Number of lanes of the device's smallest subgroup, if thread i of every workgroup is lane i
    /// modulo the size of its subgroup. Otherwise, and on a device without subgroups, 1.
    pub subgroup_lanes: u32,
    /// Iterations that all loops of one thread may make together, counted as [`iterations`] does.
    /// Some drivers silently end loops beyond that number; `u64::MAX` for a driver that does not.
    pub loop_iterations: u64,
    /// Most [`work`](crate::work) of one launch of a scan, which is divided into launches of some time
    /// steps that carry the state; `u64::MAX` for no limit.
    pub launch_work: u64,
}

/// Returns how much a loop counts towards [`Limits::loop_iterations`]: `count * (inner + 1) + 1`,
/// at most `u64::MAX`. `count` is the number of its passes; `inner` is the sum of this function
/// over the loops inside one pass, 0 if there are none.
///
/// The last 1 stands for the iteration that detects the end of the loop.
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
        launch_work: u64::MAX,
    };
}

/// The class of hardware that executes a device's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A graphics processor.
    Gpu,
    /// A graphics API emulated on the CPU. Its results are correct, but it is slow.
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

/// The reason for which a call of a [`Device`] or a [`Session`] failed.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The graph cannot be recorded for this device, or breaks one of its limits.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A [`HostTensor`] could not be created or read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The tensors that the caller passed differ from the program's in number, shape or element
    /// type.
    #[error("{name}: the program takes {expected}, got {found}")]
    Mismatch {
        /// Name of the tensor; `inputs` if the number of tensors differs.
        name: String,
        /// What the program declares: element type and shape, or the number of tensors.
        expected: String,
        /// What was passed: element type and shape, or the number of tensors.
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
    /// The device is gone: the driver was reset or timed out, or the device was unplugged.
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

/// Handle to a program that was built in a [`Session`]: its number in the order of building, from
/// 0. It is valid only in that session.
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

/// Handle to a read of a resident that [`Session::start_read`] began. It yields its tensor once,
/// and only in the session that began the read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// A future of values that are copied from a device to the host. The copy is queued when the future
/// is created. Any executor can poll the future.
pub type Arriving<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeviceError>> + 'a>>;

/// A machine that executes graphs: a GPU, or the CPU.
///
/// The author of a device runs two sets of checks on it: `rnn_verify::conformance` checks the
/// contract of this trait and of [`Session`], and `rnn_verify::check_kernel` compares the results
/// of all ops with their definitions.
pub trait Device {
    /// Returns the device's name, backend, driver and class.
    fn info(&self) -> &DeviceInfo;

    /// Returns the limits that kernels are recorded for.
    fn limits(&self) -> &Limits;

    /// Opens a session: the memory and the programs of one model.
    fn session(&self) -> Box<dyn Session>;

    /// Compiles every kernel that a graph may use on this device, with all variants of its
    /// launches. It allocates no tensors and runs no kernel of the graph. A device that compiles no
    /// kernels does nothing.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Recording`] if a node cannot be recorded for this device, and with
    /// [`DeviceError::Refused`] if the driver refuses a kernel.
    fn compile_kernels(&self, _graph: &Graph) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// The resident tensors and the programs of one model on one device.
///
/// A resident is created, with all elements zero, when the first program that names it is built.
/// Values move between host and device only in `write`, `run` (its inputs), `fetch` and the reads;
/// everything else stays on the device.
///
/// A device that was lost, did not answer in time or refused a queued command stays unusable:
/// methods that use it fail with [`DeviceError::Lost`], [`DeviceError::Timeout`] or
/// [`DeviceError::Refused`]. These errors are not repeated below.
pub trait Session {
    /// Plans the memory and the commands of a run, without allocating memory for them. A plan may
    /// need buffers larger than the device can bind; [`Self::build`] refuses those.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Recording`] if a node cannot be recorded for this device.
    fn plan(&self, graph: Arc<Graph>) -> Result<Planned, DeviceError>;

    /// Allocates the memory of a planned graph and compiles its kernels, so that it can run. If it
    /// fails, the session keeps nothing of the program.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Resident`] if a resident has another type in an earlier program,
    /// with [`DeviceError::OutOfMemory`] if memory is short, with [`DeviceError::Recording`] if a
    /// buffer exceeds a limit, and with [`DeviceError::Refused`] if the driver refuses a kernel.
    fn build(&mut self, planned: Planned) -> Result<Program, DeviceError>;

    /// Plans a graph and builds it.
    ///
    /// # Errors
    /// Fails as [`Self::plan`] and [`Self::build`] do.
    fn compile(&mut self, graph: Arc<Graph>) -> Result<Program, DeviceError> {
        let planned = self.plan(graph)?;
        self.build(planned)
    }

    /// Sets the values of a resident. Runs queued earlier still use the old values.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Resident`] if no program names the resident, and with
    /// [`DeviceError::Mismatch`] if its shape or element type differs.
    fn write(&mut self, resident: &str, values: &HostTensor) -> Result<(), DeviceError>;

    /// Queues one run of the program, with one tensor for each of the graph's inputs, in order. A
    /// GPU's run is not waited for, except where too many runs are in flight.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Missing`] if the session has no such program, and with
    /// [`DeviceError::Mismatch`] if the number of inputs, or the shape or element type of one,
    /// differs.
    fn run(&mut self, program: Program, inputs: &[&HostTensor]) -> Result<(), DeviceError>;

    /// Blocks until the last run of the program has finished and returns its outputs in the order
    /// of [`Graph::outputs`].
    ///
    /// # Errors
    /// Fails with [`DeviceError::Missing`] if the session has no such program, and with
    /// [`DeviceError::OutOfMemory`] if the copy to the host finds no memory.
    fn fetch(&mut self, program: Program) -> Result<Vec<HostTensor>, DeviceError>;

    /// Returns the outputs of the last run of the program as a future, without blocking. The future
    /// yields the errors of [`Self::fetch`].
    fn fetch_async(&mut self, program: Program) -> Arriving<'_, Vec<HostTensor>>;

    /// Queues a copy of a resident to the host. The copy holds the values after all runs queued so
    /// far.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Resident`] if no program names the resident, and with
    /// [`DeviceError::OutOfMemory`] if the copy finds no memory.
    fn start_read(&mut self, resident: &str) -> Result<Ticket, DeviceError>;

    /// Returns the values of a read and uses up the ticket, if the values have arrived; else
    /// returns `None`.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Missing`] if the ticket is used up or unknown.
    fn poll_read(&mut self, ticket: Ticket) -> Result<Option<HostTensor>, DeviceError>;

    /// Blocks until the values of a read have arrived, and returns them. It uses up the ticket.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Missing`] if the ticket is used up or unknown.
    fn wait_read(&mut self, ticket: Ticket) -> Result<HostTensor, DeviceError>;

    /// Returns the values of a read as a future, without blocking. The call uses up the ticket,
    /// even if the future is dropped. The future yields the errors of [`Self::wait_read`].
    fn read_async(&mut self, ticket: Ticket) -> Arriving<'_, HostTensor>;

    /// Returns two numbers of bytes: of the program's arena (0 if the session has no such program),
    /// and of all residents of the session.
    fn memory(&self, program: Program) -> (u64, u64);

    /// Starts to measure the time of every op, and clears earlier times.
    fn enable_profile(&mut self);

    /// Returns the times since [`Self::enable_profile`], by op, the most expensive op first. The
    /// profile is empty if that was never called.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Missing`] if the device cannot measure time.
    fn profile(&mut self) -> Result<Profile, DeviceError>;
}

impl dyn Session {
    /// Blocks until all queued runs have finished, and returns the values of a resident.
    ///
    /// # Errors
    /// Fails as [`Session::start_read`] and [`Session::wait_read`] do.
    pub fn read(&mut self, resident: &str) -> Result<HostTensor, DeviceError> {
        let ticket = self.start_read(resident)?;
        self.wait_read(ticket)
    }
}
