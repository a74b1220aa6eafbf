use crate::cache::driver_digest;
use crate::device::Gpu;
use crate::kept;
use crate::memory::Spaces;
use crate::program::BoundDispatch;
use crate::readback::{BufferRange, Readback};
use rnn_core::hex;
use rnn_graph::{Access, DeviceError, Dispatch, Recording, Space};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The fastest variant of each kernel, measured when a program first needs it. Choices are stored
/// in one file per adapter and driver, by the kernel's text and constants and the magnitude of its
/// sizes. A damaged file is ignored and replaced.
///
/// No choice changes a bit of the results: a variant whose output differs from that of the launch
/// itself is rejected.
#[derive(Debug)]
pub(crate) struct Tuning {
    path: Option<PathBuf>,
    choices: Mutex<BTreeMap<String, Choice>>,
}

/// Measurement of one kernel for one magnitude of sizes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Choice {
    /// Shader and entry point, for human readers.
    kernel: String,
    /// Workgroups of the launch itself, for human readers.
    grid: [u32; 3],
    /// 0 for the launch itself, n for its nth variant.
    variant: usize,
    /// Microseconds of the launch and of each variant; `None` if it failed or computed other bits.
    micros: Vec<Option<f64>>,
}

/// A summary of the kernel variants that were measured on an adapter. A kernel counts once for each
/// combination of constants and magnitude of its sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuned {
    /// Number of measured kernels.
    pub kernels: usize,
    /// Number of measured kernels for which a variant is used, because it takes under 97% of the
    /// launch's own time.
    pub changed: usize,
}

/// Time that a program may spend on measuring, plus one kernel; later programs continue.
const BUDGET: Duration = Duration::from_secs(2);
/// Relative time below which a variant is preferred: the gain must exceed the error of measurement.
const GAIN: f64 = 0.97;
/// Kernels with larger operands are not measured, since memory may be short.
const MAX_BYTES: u64 = 1 << 30;

impl Tuning {
    /// Opens the measurements of the adapter `info` in `folder`. There are none if they cannot be
    /// read. Without a folder they are not stored.
    pub fn open(info: &wgpu::AdapterInfo, folder: Option<&Path>) -> Self {
        let path = folder.map(|folder| file(info, folder, "tuning"));
        let choices = path.as_deref().and_then(kept::read).unwrap_or_default();
        Self { path, choices: Mutex::new(choices) }
    }

    /// Selects the fastest variant for each dispatch of the recording. Kernels that were not
    /// measured yet are measured on buffers of their own, as long as this call has taken less than
    /// two seconds, and except those that a submission cannot hold; the others run as the launch itself.
    ///
    /// # Errors
    /// Fails if the device is lost or hangs, or refuses a launch that is not a variant.
    pub fn choose(&self, gpu: &Gpu, recording: &mut Recording) -> Result<(), DeviceError> {
        let mut choices = self.choices.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, known) = (Instant::now(), choices.len());
        let mut texts = HashMap::new();
        let work = recording.work();
        let all = recording.dispatches_mut().zip(work);
        for (dispatch, work) in all.filter(|(d, _)| !d.variants.is_empty()) {
            let key = key(dispatch, &mut texts);
            if !choices.contains_key(&key)
                && begin.elapsed() < BUDGET
                && gpu.budget.holds(work)
                && let Some(choice) = measure(gpu, dispatch)?
            {
                choices.insert(key.clone(), choice);
            }
            dispatch.select_variant(choices.get(&key).map_or(0, |choice| choice.variant));
        }
        if let Some(path) = self.path.as_deref().filter(|_| choices.len() > known) {
            kept::write(path, &choices);
        }
        Ok(())
    }
}

/// Returns the summary of the choices for an adapter in `folder`.
pub(crate) fn tuned(info: &wgpu::AdapterInfo, folder: &Path) -> Tuned {
    let choices: BTreeMap<String, Choice> =
        kept::read(&file(info, folder, "tuning")).unwrap_or_default();
    let changed = choices.values().filter(|choice| choice.variant > 0).count();
    Tuned { kernels: choices.len(), changed }
}

/// Returns the path of a file for an adapter and driver in `folder`.
pub(crate) fn file(info: &wgpu::AdapterInfo, folder: &Path, what: &str) -> PathBuf {
    let (backend, driver) = (info.backend.to_str(), driver_digest(info));
    folder.join(format!("{what}_{backend}_{}_{}_{driver}.json", info.vendor, info.device))
}

/// Returns a key for the kernel, its variants, and its sizes rounded up to powers of two. `texts`
/// caches digests of shaders by their address.
fn key(dispatch: &Dispatch, texts: &mut HashMap<usize, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    let mut add_kernel = |shader: &'static rnn_graph::Shader, constants: &[(&str, f64)]| {
        let text = texts
            .entry(std::ptr::from_ref(shader).addr())
            .or_insert_with(|| Sha256::digest(shader.source().unwrap_or_default()).to_vec());
        hash.update(text);
        hash.update(format!("{constants:?}"));
    };
    add_kernel(dispatch.shader, &dispatch.constants);
    for other in &dispatch.variants {
        add_kernel(other.shader, &other.constants);
    }
    let sizes = dispatch.bindings.iter().map(|binding| binding.region.len.next_power_of_two());
    let grid = dispatch.grid.map(u32::next_power_of_two);
    hash.update(format!("{} {grid:?} {:?}", dispatch.entry, sizes.collect::<Vec<_>>()));
    hex(&hash.finalize()[..16])
}

/// Times all variants of a dispatch; `None` if there is no memory for a second set of operands.
fn measure(gpu: &Gpu, dispatch: &Dispatch) -> Result<Option<Choice>, DeviceError> {
    let bench = match gpu.guarded(|| Bench::new(gpu, dispatch)) {
        Ok(bench) => bench,
        Err(DeviceError::OutOfMemory { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(bench) = bench else { return Ok(None) };
    let (usual, time) = match gpu.guarded(|| bench.run(&bench.dispatch)) {
        // Another variant takes its place, unmeasured.
        Err(DeviceError::Refused { .. }) if gpu.falls_back => return Ok(None),
        run => run?,
    };
    let mut micros = vec![Some(time)];
    for variant in 1..=dispatch.variants.len() {
        let mut other = bench.dispatch.clone();
        other.select_variant(variant);
        micros.push(match gpu.guarded(|| bench.run(&other)) {
            Ok((bytes, time)) => (bytes == usual).then_some(time),
            Err(DeviceError::Refused { .. } | DeviceError::OutOfMemory { .. }) => None,
            Err(error) => return Err(error),
        });
    }
    let timed = micros.iter().enumerate().filter_map(|(i, &micros)| Some((i, micros?)));
    let fastest = timed.min_by(|(_, a), (_, b)| a.total_cmp(b));
    let variant = fastest.filter(|&(_, micros)| micros < GAIN * time).map_or(0, |(i, _)| i);
    let kernel = format!("{}.{}", dispatch.shader.name(), dispatch.entry);
    Ok(Some(Choice { kernel, grid: dispatch.grid, variant, micros }))
}

/// A dispatch on operands of its own, for measuring.
struct Bench<'a> {
    gpu: &'a Gpu,
    dispatch: Dispatch,
    spaces: Spaces,
    written: Vec<BufferRange>,
    params: wgpu::Buffer,
    pattern: wgpu::Buffer,
    timestamps: Option<(wgpu::QuerySet, wgpu::Buffer)>,
}

impl<'a> Bench<'a> {
    /// Allocates the operands; `None` if they are too large.
    fn new(gpu: &'a Gpu, dispatch: &Dispatch) -> Result<Option<Self>, DeviceError> {
        let mut dispatch = dispatch.clone();
        // The range of each space that is bound.
        let mut spans: HashMap<Space, (usize, usize)> = HashMap::new();
        for binding in &dispatch.bindings {
            let (first, end) = (binding.region.offset, binding.region.offset + binding.region.len);
            let span = spans.entry(binding.region.space).or_insert((first, end));
            *span = (span.0.min(first), span.1.max(end));
        }
        let bytes: u64 = spans.values().map(|(first, end)| 4 * (end - first) as u64).sum();
        if bytes > MAX_BYTES {
            return Ok(None);
        }
        let storage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::COPY_SRC;
        let buffer = |(space, (first, end)): (&Space, &(usize, usize))| {
            let bytes = 4 * (end - first) as u64;
            Ok((*space, gpu.buffer("an operand to measure with", bytes, storage)?))
        };
        let spaces: Spaces = spans.iter().map(buffer).collect::<Result<_, DeviceError>>()?;
        let mut written = Vec::new();
        for binding in &mut dispatch.bindings {
            binding.region.offset -= spans[&binding.region.space].0;
            if binding.access == Access::ReadWrite {
                let buffer = spaces[&binding.region.space].clone();
                written.push(BufferRange::new(buffer, binding.region.offset, binding.region.len));
            }
        }
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let bytes = dispatch.params.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let params = gpu.buffer("parameters", bytes.len() as u64, uniform)?;
        gpu.queue.write_buffer(&params, 0, bytes);
        let words = pattern();
        let pattern = gpu.buffer("a pattern", 4 * words.len() as u64, storage)?;
        gpu.queue.write_buffer(&pattern, 0, bytemuck::cast_slice(&words));
        let timestamps = gpu.timestamp_period.map(|_| timestamps(gpu)).transpose()?;
        let bench = Self { gpu, dispatch, spaces, written, params, pattern, timestamps };
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        bench.spaces.values().for_each(|buffer| bench.fill(&mut encoder, buffer, 0, buffer.size()));
        gpu.submit(encoder)?;
        Ok(Some(bench))
    }

    /// Returns the output of one run, and the microseconds that a run takes.
    fn run(&self, dispatch: &Dispatch) -> Result<(Vec<u8>, f64), DeviceError> {
        let gpu = self.gpu;
        let step = BoundDispatch::new(gpu, dispatch, &self.spaces, &self.params, 0)?;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        for part in &self.written {
            self.fill(&mut encoder, &part.buffer, part.offset, part.bytes);
        }
        step.encode(&mut encoder.begin_compute_pass(&Default::default()));
        gpu.submit(encoder)?;
        let written: Vec<&BufferRange> = self.written.iter().collect();
        let bytes = Readback::start(gpu, &written)?.finish(gpu, <[u8]>::to_vec)?;
        let once = self.time(&step, 1)?;
        let repetitions = (2000.0 / once.max(1.0)).clamp(1.0, 64.0) as u32;
        let mut fastest = once;
        for _ in 0..if once > 50_000.0 { 0 } else { 3 } {
            fastest = fastest.min(self.time(&step, repetitions)?);
        }
        Ok((bytes, fastest))
    }

    /// Returns the microseconds of one of `repetitions` runs.
    fn time(&self, step: &BoundDispatch, repetitions: u32) -> Result<f64, DeviceError> {
        let gpu = self.gpu;
        let staging = Readback::staging(gpu, 2 * u64::from(wgpu::QUERY_SIZE))?;
        let begin = Instant::now();
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let writes = self.timestamps.as_ref().map(|(set, _)| wgpu::ComputePassTimestampWrites {
            query_set: set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("measuring"),
            timestamp_writes: writes,
        });
        (0..repetitions).for_each(|_| step.encode(&mut pass));
        drop(pass);
        if let Some((set, resolved)) = &self.timestamps {
            encoder.resolve_query_set(set, 0..2, resolved, 0);
            encoder.copy_buffer_to_buffer(resolved, 0, &staging, 0, staging.size().min(16));
        }
        let stamps = Readback::submit(gpu, encoder, staging, 16)?;
        let stamps: Vec<u64> = stamps.finish(gpu, bytemuck::pod_collect_to_vec)?;
        let micros = match gpu.timestamp_period {
            Some(period) => stamps[1].saturating_sub(stamps[0]) as f64 * period / 1e3,
            None => 1e6 * begin.elapsed().as_secs_f64(),
        };
        Ok(micros / f64::from(repetitions))
    }

    fn fill(&self, encoder: &mut wgpu::CommandEncoder, to: &wgpu::Buffer, first: u64, bytes: u64) {
        let end = first + bytes;
        let mut at = first;
        while at < end {
            let count = (end - at).min(4 * PATTERN as u64);
            encoder.copy_buffer_to_buffer(&self.pattern, 0, to, at, count);
            at += count;
        }
    }
}

/// Creates two timestamps.
fn timestamps(gpu: &Gpu) -> Result<(wgpu::QuerySet, wgpu::Buffer), DeviceError> {
    let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: Some("timestamps"),
        ty: wgpu::QueryType::Timestamp,
        count: 2,
    });
    let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
    let bytes = 2 * u64::from(wgpu::QUERY_SIZE);
    Ok((set, gpu.buffer("timestamps", bytes, usage)?))
}

/// A prime, so that rows of a matrix do not repeat.
const PATTERN: usize = 262_139;

/// Returns words that are ordinary floats of either sign in both precisions, none denormal: in half
/// precision from 0.5 to 1, in single precision below 2^-7. As integers they are not zero.
fn pattern() -> Vec<u32> {
    let mut state = 0x9e37_79b9_u32;
    let mut half = || {
        // xorshift (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state & 0x8000 | 0x3800 | state >> 16 & 0x3ff
    };
    (0..PATTERN).map(|_| half() << 16 | half()).collect()
}
