use crate::Adapter;
use crate::adapter::kernel_limits;
use crate::budget::{Budget, SUBMISSION};
use crate::cache::Cache;
use crate::faults::{Fault, Faults};
use crate::options::{Options, VariantChoice};
use crate::pipeline::Pipelines;
use crate::probe;
use crate::proof::Proof;
use crate::session::{GpuSession, record};
use crate::trusted;
use crate::tuning::{self, Tuning};
use rnn_graph::{Device, DeviceError, DeviceInfo, DeviceKind, Graph, Limits, Session};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The reason for which the driver did not open a device; the source is wgpu's error.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {adapter}")]
pub struct OpenError {
    adapter: String,
    source: wgpu::RequestDeviceError,
}

/// An open GPU. All clones and sessions of it share its compiled pipelines.
#[derive(Clone)]
pub struct WgpuDevice(Arc<Gpu>);

/// State shared by all sessions of one device.
pub(crate) struct Gpu {
    /// The wgpu device.
    pub device: wgpu::Device,
    /// The queue that all work is submitted to.
    pub queue: wgpu::Queue,
    /// Name, backend, driver and class of hardware.
    pub info: DeviceInfo,
    /// Limits that kernels are recorded for.
    pub limits: Limits,
    /// True if kernels are compiled with bounds checks and loop guards; see [`Options::checked`].
    pub checked: bool,
    /// [`Options::guards`].
    pub guards: Option<u32>,
    /// Time after which a submission counts as hung.
    pub patience: Duration,
    /// Nanoseconds per tick of a timestamp; `None` without timestamps.
    pub timestamp_period: Option<f64>,
    /// The record of the fault that made the device unusable, if there is one.
    pub faults: Arc<Faults>,
    /// Pipelines compiled so far.
    pub pipelines: Pipelines,
    /// [`Options::falls_back`].
    pub falls_back: bool,
    /// Pipelines that the driver compiled in earlier runs; `None` if they are not kept.
    pub cache: Option<Cache>,
    /// Choice among the variants of each launch.
    pub variants: VariantChoice,
    /// The fastest variant of each kernel.
    pub tuning: Tuning,
    /// Work of a submission.
    pub budget: Budget,
    /// Test results of the matrix units.
    pub proof: Proof,
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.faults.check().is_ok() {
            self.cache.iter().for_each(Cache::save);
        }
    }
}

impl WgpuDevice {
    /// Opens an adapter with all its limits and those of its features that kernels use, unless
    /// `options` restricts them. It blocks, and measures the device with a few small kernels unless
    /// [`Options::compile_only`] is set. Compiled pipelines and measurements are not kept for later
    /// runs.
    ///
    /// # Errors
    /// Fails if the driver does not open the device.
    pub fn open(adapter: &Adapter, options: Options) -> Result<Self, OpenError> {
        Self::open_in(adapter, options, None)
    }

    /// Opens an adapter like [`Self::open`], and keeps files in `folder` for later runs: compiled
    /// pipelines where the driver exports them, its pace, the fastest kernel variants with
    /// [`VariantChoice::Fastest`], and the test results of matrix units with [`Options::prover`]. A
    /// folder that cannot be read or written is no error: everything is then compiled and measured
    /// anew.
    ///
    /// The pipelines are written when the last clone and the last session are dropped, unless the
    /// device has failed.
    ///
    /// # Errors
    /// Fails if the driver does not open the device.
    pub fn open_cached(
        adapter: &Adapter,
        options: Options,
        folder: &Path,
    ) -> Result<Self, OpenError> {
        Self::open_in(adapter, options, Some(folder))
    }

    fn open_in(
        adapter: &Adapter,
        options: Options,
        folder: Option<&Path>,
    ) -> Result<Self, OpenError> {
        let wanted = wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::SUBGROUP
            | wgpu::Features::SUBGROUP_BARRIER
            | wgpu::Features::SHADER_F16
            | wgpu::Features::PIPELINE_CACHE
            | wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        let mut features = adapter.raw.features() & wanted;
        if options.minimal {
            features.remove(wgpu::Features::SHADER_F16);
            features.remove(wgpu::Features::SUBGROUP | wgpu::Features::SUBGROUP_BARRIER);
            features.remove(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
        }
        let limits = if options.minimal { wgpu::Limits::default() } else { adapter.raw.limits() };
        let request = adapter.raw.request_device(&wgpu::DeviceDescriptor {
            label: Some("rnn-gpu"),
            required_features: features,
            required_limits: limits.clone(),
            experimental_features: trusted::experimental_features(),
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request)
            .map_err(|source| OpenError { adapter: adapter.info.to_string(), source })?;

        let faults = Arc::new(Faults::new(adapter.info.name.clone()));
        let sink = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| sink.record(error.into())));
        let sink = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            sink.record(Fault::Lost(format!("{reason:?}: {message}")));
        });

        let timestamps = features.contains(wgpu::Features::TIMESTAMP_QUERY);
        let emulated = adapter.info.kind == DeviceKind::SoftwareGpu;
        let patience = if emulated { 6 * PATIENCE } else { PATIENCE };
        let raw_info = adapter.raw.get_info();
        let cache = folder.and_then(|folder| Cache::open(&adapter.raw, &device, folder));
        let mut gpu = Gpu {
            patience: options.patience.unwrap_or(patience),
            timestamp_period: timestamps.then(|| f64::from(queue.get_timestamp_period())),
            device,
            queue,
            info: adapter.info.clone(),
            limits: kernel_limits(&adapter.raw, &limits, features),
            checked: options.checked,
            // Not for probes, which have no copies.
            guards: None,
            faults,
            pipelines: Pipelines::default(),
            falls_back: options.falls_back,
            cache,
            variants: options.variants,
            budget: Budget::open(
                options.submission.unwrap_or(SUBMISSION),
                options.pace,
                folder.map(|folder| tuning::file(&raw_info, folder, "pace")),
            ),
            proof: Proof::open(
                options.prover,
                adapter.info.to_string(),
                folder.map(|folder| tuning::file(&raw_info, folder, "proof")),
            ),
            tuning: Tuning::open(
                &raw_info,
                folder.filter(|_| options.variants == VariantChoice::Fastest),
            ),
        };
        let subgroups = adapter.features.subgroups;
        let lanes = subgroups.filter(|_| features.contains(wgpu::Features::SUBGROUP));
        let lanes = lanes.map_or(1, |(min, _)| min);
        let has_lanes = lanes >= probe::MIN_LANES;
        // A failure of a probe will recur when the device is used.
        let (iterations, in_order) = match options.compile_only {
            true => (u64::MAX, has_lanes),
            false => (
                probe::loop_iterations(&gpu).unwrap_or(UNKNOWN_LOOPS),
                has_lanes && probe::subgroups_are_in_order(&gpu).unwrap_or(false),
            ),
        };
        gpu.limits.loop_iterations = options.loop_iterations.unwrap_or(u64::MAX).min(iterations);
        if in_order {
            gpu.limits.subgroup_lanes = lanes;
        }
        if !options.compile_only {
            if !gpu.budget.is_known()
                && let Ok(pace) = probe::pace(&gpu)
            {
                gpu.budget.learn(pace);
            }
            gpu.limits.launch_work = gpu.budget.launch_work();
        }
        gpu.guards = options.guards;
        Ok(Self(Arc::new(gpu)))
    }
}

impl WgpuDevice {
    /// Returns the number of bytes of all memory that is allocated on the device. Returns `None`
    /// where wgpu does not count them.
    pub fn allocated_bytes(&self) -> Option<u64> {
        // Buffers that were dropped are freed at a poll, if the device is still there.
        let _ = self.0.poll();
        Some(self.0.device.generate_allocator_report()?.total_allocated_bytes)
    }

    /// Destroys the device, for tests. All later calls fail with [`DeviceError::Lost`], as after a
    /// reset of the driver.
    pub fn lose(&self) {
        self.0.device.destroy();
    }
}

/// Loop limit assumed for a device on which it could not be measured.
const UNKNOWN_LOOPS: u64 = u16::MAX as u64;

/// Time after which a GPU that has not answered counts as hung; six times that for an emulated one,
/// which may only be slow.
const PATIENCE: Duration = Duration::from_secs(600);

impl Device for WgpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn session(&self) -> Box<dyn Session> {
        Box::new(GpuSession::new(self.0.clone(), false))
    }

    fn compile_kernels(&self, graph: &Graph) -> Result<(), DeviceError> {
        // A proof of matrix units would run them.
        let recording = record(&self.0, graph, true)?;
        for dispatch in recording.dispatches() {
            for variant in 0..=dispatch.variants.len() {
                let mut selected = dispatch.clone();
                selected.select_variant(variant);
                self.0.pipelines.get(&self.0, &selected)?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for WgpuDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WgpuDevice").field(&self.0.info).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Opens the best adapter and returns its device; `None` if there is no adapter, and the
    /// running test is skipped.
    ///
    /// # Panics
    /// Panics if the driver does not open the device.
    pub fn open() -> Option<Arc<Gpu>> {
        let Some(adapter) = crate::adapters().into_iter().next() else {
            rnn_testing::skip_without_adapter();
            return None;
        };
        let device = WgpuDevice::open(&adapter, Options::default());
        Some(device.expect("the adapter opens").0)
    }

    #[test]
    fn a_lost_device_is_an_error_of_every_later_call() {
        let Some(gpu) = open() else { return };
        let mut session = GpuSession::new(gpu.clone(), false);
        gpu.device.destroy();
        for _ in 0..2 {
            let error = gpu.poll().unwrap_err();
            assert!(matches!(error, DeviceError::Lost { .. }), "{error}");
            let error = session.compile(Default::default()).unwrap_err();
            assert!(matches!(error, DeviceError::Lost { .. }), "{error}");
        }
    }

    #[test]
    fn a_refused_command_is_an_error_of_every_later_call() {
        let Some(gpu) = open() else { return };
        let mut session = GpuSession::new(gpu.clone(), false);
        let target = gpu.buffer("target", 4, wgpu::BufferUsages::COPY_DST).unwrap();
        gpu.queue.write_buffer(&target, 1 << 20, &[0; 4]);
        for _ in 0..2 {
            let error = session.compile(Default::default()).unwrap_err();
            assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
        }
    }

    /// llvmpipe finishes work before it is waited for, so that what wgpu answers is made up.
    #[test]
    fn a_device_that_does_not_answer_is_asked_no_more() {
        let Some(gpu) = open() else { return };
        let mut session = GpuSession::new(gpu.clone(), false);
        assert!(gpu.conclude(Ok(Err(wgpu::PollError::Timeout))).is_err());
        for _ in 0..2 {
            let error = session.compile(Default::default()).unwrap_err();
            assert!(matches!(error, DeviceError::Timeout { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains("for 3600 s") || message.contains("for 600 s"), "{message}");
            assert!(message.contains("use a smaller batch, or the CPU device"), "{message}");
        }
    }

    #[test]
    fn a_guarded_refusal_is_returned_once() {
        let Some(gpu) = open() else { return };
        let wrong = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE;
        let error = gpu.guarded(|| gpu.buffer("wrong", 4, wrong | wgpu::BufferUsages::STORAGE));
        assert!(matches!(error, Err(DeviceError::Refused { .. })));
        assert!(gpu.guarded(|| gpu.buffer("right", 4, wgpu::BufferUsages::STORAGE)).is_ok());
    }
}
