//! Choosing what to compute on.

use crate::{Tell, cache};
use rnn_cpu::CpuDevice;
pub use rnn_cpu::start_threads;
use rnn_graph::{Device, DeviceKind};
use rnn_wgpu::{Adapter, OpenError, WgpuDevice, adapters};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The reason why a device could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DeviceChoiceError {
    /// A GPU was asked for, and there is none.
    #[error("no GPU found: install its Vulkan, Metal or DX12 driver")]
    NoGpu,
    /// The drivers cannot be asked for their GPUs, for this reason.
    #[error("no GPU can be used: {0}")]
    Drivers(String),
    /// No device has the number or name that was asked for, which is this text.
    #[error("no device {0:?}")]
    Unknown(String),
    /// The driver does not open the GPU.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The threads of the CPU device cannot be started.
    #[error(
        "cannot start the threads that compute; end other programs, or set RAYON_NUM_THREADS=1"
    )]
    Threads(#[source] std::io::Error),
}

type Result<T, E = DeviceChoiceError> = std::result::Result<T, E>;

/// A way to open a GPU.
type OpenGpu<'a> = &'a dyn Fn(&Adapter) -> Result<WgpuDevice, OpenError>;

/// A function that finds out whether the drivers of this machine can be asked for their adapters, or why
/// not.
type Probe = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

static PROBE: OnceLock<Probe> = OnceLock::new();

/// Lets `probe` find out whether this machine's drivers list their adapters, before this process asks them
/// for the first time: a driver that crashes takes the process with it, and one that hangs keeps it. So
/// that a probe is of use, it asks them in another process. Where it returns an error, there are no GPUs,
/// for that reason. Only the first call counts; without one, drivers are asked at once.
pub fn probe_by(probe: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
    // A second probe is not wanted.
    let _ = PROBE.set(Box::new(probe));
}

static SUBMISSION: Mutex<Option<Duration>> = Mutex::new(None);

/// Sets the longest time of a submission for GPUs that are opened from now on, instead of 100 ms. A GPU
/// that computes without a pause keeps a desktop waiting, and a watchdog resets it after some seconds.
/// No bit of a result depends on it.
pub fn limit_submissions(most: Duration) {
    *SUBMISSION.lock().unwrap_or_else(PoisonError::into_inner) = Some(most);
}

/// The time that [`limit_submissions`] has set.
pub(crate) fn submission() -> Option<Duration> {
    *SUBMISSION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The adapters of this machine, or why its drivers cannot be asked for them.
fn found() -> Result<Vec<Adapter>, String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    ANSWER.get_or_init(|| PROBE.get().map_or(Ok(()), |probe| probe())).clone()?;
    Ok(adapters())
}

fn silent() -> Tell {
    Arc::new(|_| {})
}

/// Opens the device that `choice` names, and returns it with the reason for the choice, in words.
///
/// - `auto`: the first hardware GPU, else the CPU.
/// - `cpu`: the CPU.
/// - `gpu`: the first hardware GPU, else one that software emulates.
/// - `gpu:N`: GPU number N of [`list`], from 0 on.
/// - Any other text: the first GPU whose name contains it; upper and lower case count as equal.
///
/// # Errors
/// Fails with [`DeviceChoiceError::Drivers`] if another choice than `auto` and `cpu` is asked for and the
/// drivers cannot be asked, with [`DeviceChoiceError::NoGpu`] if `gpu` is asked for and there is none, with
/// [`DeviceChoiceError::Unknown`] if no GPU has the number or name, and with
/// [`DeviceChoiceError::Open`] if the driver does not open the GPU, or [`DeviceChoiceError::Threads`] if
/// the system has no threads for the CPU.
pub fn open(choice: &str) -> Result<(Box<dyn Device>, String)> {
    open_with(choice, &silent())
}

/// Opens a device as [`open`] does. If a GPU has matrix units that fail their test, the device does
/// without them and calls `tell` with a line of text for the user. The test runs before the first
/// use of the units, which may be long after this call.
///
/// # Errors
/// Fails as [`open`].
pub fn open_with(choice: &str, tell: &Tell) -> Result<(Box<dyn Device>, String)> {
    open_by(&|adapter| cache::open(adapter, tell.clone(), true), choice)
}

/// Opens a device as [`open_with`] does, to verify its kernels. One that the driver refuses is an error;
/// devices that are opened otherwise then launch a variant of it that computes the same bits, if they
/// have one.
///
/// # Errors
/// Fails as [`open`].
pub fn open_to_verify(choice: &str, tell: &Tell) -> Result<Box<dyn Device>> {
    Ok(open_by(&|adapter| cache::open(adapter, tell.clone(), false), choice)?.0)
}

/// Opens a device as [`open`] does, but a GPU only to compile kernels: none may be run on it. The
/// CPU, which compiles no kernels, is opened as usual.
///
/// # Errors
/// Fails as [`open`].
pub fn open_to_compile(choice: &str) -> Result<Box<dyn Device>> {
    Ok(open_by(&cache::open_to_compile, choice)?.0)
}

fn open_by(open_gpu: OpenGpu<'_>, choice: &str) -> Result<(Box<dyn Device>, String)> {
    let cpu = |why: String| -> Result<(Box<dyn Device>, String)> {
        start_threads().map_err(DeviceChoiceError::Threads)?;
        Ok((Box::new(CpuDevice::new()), why))
    };
    let gpu = |adapter: &Adapter, why: &str| -> Result<(Box<dyn Device>, String)> {
        Ok((Box::new(open_gpu(adapter)?), why.into()))
    };
    if choice == "cpu" {
        return cpu("as asked".into());
    }
    let all = match (found(), choice) {
        (Ok(all), _) => all,
        (Err(why), "auto") => return cpu(why),
        (Err(why), _) => return Err(DeviceChoiceError::Drivers(why)),
    };
    let real = all.iter().find(|a| a.info.kind == DeviceKind::Gpu);
    match choice {
        // Every name contains it.
        blank if blank.trim().is_empty() => Err(DeviceChoiceError::Unknown(blank.into())),
        "auto" => match real {
            Some(adapter) => gpu(adapter, "the best GPU found"),
            None if all.is_empty() => cpu("no GPU driver found".into()),
            None => cpu("the only GPU driver is a software one, which is slower than this".into()),
        },
        "gpu" => match real.or(all.first()) {
            Some(adapter) => gpu(adapter, "as asked"),
            None => Err(DeviceChoiceError::NoGpu),
        },
        other => {
            let index = other.strip_prefix("gpu:").and_then(|n| n.parse::<usize>().ok());
            let word = other.to_lowercase();
            let found = match index {
                Some(n) => all.get(n),
                None => all.iter().find(|a| a.info.name.to_lowercase().contains(&word)),
            };
            match found {
                Some(adapter) => gpu(adapter, "as asked"),
                None => Err(DeviceChoiceError::Unknown(other.into())),
            }
        }
    }
}

/// Returns the choice of device for one of several processes on a machine, `local_rank` being its
/// number from 0 on. If `choice` is `auto` or `gpu` and there are several hardware GPUs, returns
/// the `gpu:N` of one of them; the processes get them in turn, and share them if there are more
/// processes than GPUs. Otherwise returns `choice`.
pub fn of_rank(choice: &str, local_rank: usize) -> String {
    if !matches!(choice, "auto" | "gpu") {
        return choice.into();
    }
    let all = found().unwrap_or_default().into_iter().enumerate();
    let gpus: Vec<usize> =
        all.filter(|(_, adapter)| adapter.info.kind == DeviceKind::Gpu).map(|(i, _)| i).collect();
    match gpus.len() {
        0 | 1 => choice.into(),
        count => format!("gpu:{}", gpus[local_rank % count]),
    }
}

/// A function that opens a device.
type Open = Box<dyn Fn() -> Result<Box<dyn Device>>>;

/// An open device together with the function that opened it. The device can be opened again after
/// it has failed.
pub struct Opened {
    device: Box<dyn Device>,
    open: Open,
}

impl Opened {
    /// Opens a device by calling `open`, which is called again by [`Opened::reopen`].
    ///
    /// # Errors
    /// Fails with the error of `open`.
    pub fn new(open: impl Fn() -> Result<Box<dyn Device>> + 'static) -> Result<Self> {
        Ok(Self { device: open()?, open: Box::new(open) })
    }

    /// Returns the open device, which [`Opened::reopen`] may replace.
    pub fn device(&self) -> &dyn Device {
        &*self.device
    }

    /// Opens the device again, and then drops the earlier one. If the opening fails, the earlier
    /// one stays.
    ///
    /// # Errors
    /// Fails with the error of the function that was given to [`Opened::new`], for example if the
    /// device does not exist any more.
    pub fn reopen(&mut self) -> Result<()> {
        self.device = (self.open)()?;
        Ok(())
    }
}

/// Opens every device of this machine, to verify kernels as [`open_to_verify`] does: the CPU first, then
/// the GPUs in the order of [`list`].
///
/// # Errors
/// Fails with [`DeviceChoiceError::Open`] if a driver lists a GPU that it does not open.
pub fn open_all() -> Result<Vec<Box<dyn Device>>> {
    open_all_with(&silent())
}

/// Opens every device as [`open_all`] does, and calls `tell` as [`open_with`] does.
///
/// # Errors
/// Fails as [`open_all`].
pub fn open_all_with(tell: &Tell) -> Result<Vec<Box<dyn Device>>> {
    let mut devices: Vec<Box<dyn Device>> = vec![Box::new(CpuDevice::new())];
    match found() {
        Ok(all) => {
            let open = |adapter: &Adapter| cache::open(adapter, tell.clone(), false);
            devices.extend(open_gpus(&all, &open)?);
        }
        Err(why) => tell(&format!("no GPU can be used: {why}")),
    }
    Ok(devices)
}

/// Opens every GPU of this machine, in the order of [`list`], only to compile kernels: none may be
/// run on them. Returns an empty list if there is no GPU.
///
/// # Errors
/// Fails with [`DeviceChoiceError::Open`] if a driver lists a GPU that it does not open.
pub fn open_all_to_compile() -> Result<Vec<Box<dyn Device>>> {
    open_gpus(&found().map_err(DeviceChoiceError::Drivers)?, &cache::open_to_compile)
}

fn open_gpus(all: &[Adapter], open_gpu: OpenGpu<'_>) -> Result<Vec<Box<dyn Device>>> {
    let opened =
        |adapter: &Adapter| -> Result<Box<dyn Device>> { Ok(Box::new(open_gpu(adapter)?)) };
    all.iter().map(opened).collect()
}

/// Returns one line for each device of this machine, the CPU first: the name that [`open`] takes,
/// `cpu` or `gpu:N`, a description, and for a GPU how many kernels are tuned, if some are, and how much
/// work goes into a submission, if that was measured. Each line ends in a line feed. Where the drivers cannot be asked, a line says why.
pub fn list() -> String {
    let mut text = format!("cpu    {}\n", CpuDevice::new().info());
    let folder = cache::of_devices();
    let all = found().unwrap_or_else(|why| {
        text += &format!("no GPU can be used: {why}\n");
        vec![]
    });
    for (i, adapter) in all.iter().enumerate() {
        text += &format!("gpu:{i}  {} {}", adapter.info, adapter.features);
        let tuned = folder.as_deref().map(|folder| adapter.tuned(folder)).unwrap_or_default();
        if tuned.kernels > 0 {
            text += &format!(", {} of {} kernels tuned", tuned.changed, tuned.kernels);
        }
        let holds = folder.as_deref().and_then(|folder| adapter.submission_flops(folder));
        text += ", submissions of 100 ms";
        if let Some(flops) = holds {
            text += &format!(" ({:.3} GFLOP)", flops / 1e9);
        }
        text += "\n";
    }
    text
}
