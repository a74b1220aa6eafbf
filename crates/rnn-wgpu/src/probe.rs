//! Measures what a device does not tell: its loop limit, where the threads of a subgroup stand, and about
//! how fast it computes.

use crate::device::Gpu;
use crate::memory::Spaces;
use crate::program::BoundDispatch;
use crate::readback::{BufferRange, Readback};
use rnn_graph::{
    Access, Binding, Block, Cost, DeviceError, DeviceKind, Dispatch, Region, Shader, Space,
};
use std::time::Instant;

static LOOPS: Shader = Shader::new("loop_probe", &[rnn_shaders::LOOP_PROBE]);
static PACE: Shader = Shader::new("pace_probe", &[rnn_shaders::PACE_PROBE]);
static SUBGROUPS: Shader = Shader::new("subgroup_probe", &[rnn_shaders::SUBGROUP_PROBE]);

/// Lanes of the smallest subgroup that kernels make use of.
pub(crate) const MIN_LANES: u32 = 8;
/// Loop passes tried on a GPU: more than the 65,535 after which Mesa's llvmpipe ends the loops of a
/// thread (LP_MAX_TGSI_LOOP_ITERATIONS), few enough to take less than a millisecond.
const PASSES: u32 = 70_000;
/// Loop passes tried on an emulated GPU, whose time nothing else depends on.
const PASSES_EMULATED: u32 = 1 << 20;

/// Measures the iterations that the loops of one thread may make together; `u64::MAX` if the
/// probe's loop ran to its end.
///
/// # Errors
/// Fails if the device refuses the probe or is lost.
pub(crate) fn loop_iterations(gpu: &Gpu) -> Result<u64, DeviceError> {
    let emulated = gpu.info.kind == DeviceKind::SoftwareGpu;
    let passes = if emulated { PASSES_EMULATED } else { PASSES };
    let made = gpu.guarded(|| count(gpu, passes))?;
    Ok(limit_from(passes, made))
}

/// Derives the limit from the probe's count and state. The state is wrong if iterations were
/// skipped without being counted.
fn limit_from(passes: u32, [made, state]: [u32; 2]) -> u64 {
    let step = |state: u32, i: u32| (state ^ i).wrapping_add(passes);
    match made {
        _ if made == passes && state == (0..passes).fold(passes, step) => u64::MAX,
        _ if made < passes => made.into(),
        // A device that miscounts cannot be trusted at all.
        _ => 0,
    }
}

/// Returns true if thread i of a workgroup is lane i modulo the size of its subgroup, as far as lanes
/// up to 7 apart tell. The device must have subgroups of 8 threads or more.
///
/// # Errors
/// Fails if the device refuses the probe or is lost.
pub(crate) fn subgroups_are_in_order(gpu: &Gpu) -> Result<bool, DeviceError> {
    const THREADS: usize = rnn_shaders::constant(rnn_shaders::SUBGROUP_PROBE, "THREADS");
    let found = gpu.guarded(|| run(gpu, &SUBGROUPS, None, THREADS, 1))?;
    let wanted = |thread: u32| (thread ^ 1) | (thread ^ 2) << 10 | (thread ^ 4) << 20;
    Ok((0..).map(wanted).zip(found).all(|(wanted, found)| wanted == found))
}

/// Returns the nanoseconds of a unit of [`work`](rnn_graph::work), as kernels that multiply and add alone
/// let expect.
///
/// # Errors
/// Fails if the device refuses the probe or is lost.
pub(crate) fn pace(gpu: &Gpu) -> Result<f64, DeviceError> {
    const THREADS: usize = rnn_shaders::constant(rnn_shaders::PACE_PROBE, "THREADS");
    const GROUPS: u32 = 64;
    const TERMS: u32 = 256;
    // Kernels also load, wait and exchange.
    const SHARE_OF_PEAK: f64 = 0.25;
    let flops = u64::from(8 * TERMS * GROUPS) * THREADS as u64;
    let work = rnn_graph::work(Cost { flops, bytes: 0 }, 0) as f64;
    let mut fastest = f64::INFINITY;
    // The first run compiles, and wakes the device.
    for _ in 0..3 {
        let begin = Instant::now();
        gpu.guarded(|| run(gpu, &PACE, Some(TERMS), THREADS, GROUPS))?;
        fastest = fastest.min(begin.elapsed().as_nanos() as f64);
    }
    Ok(fastest / work / SHARE_OF_PEAK)
}

fn count(gpu: &Gpu, passes: u32) -> Result<[u32; 2], DeviceError> {
    let found = run(gpu, &LOOPS, Some(passes), 2, 1)?;
    Ok([found[0], found[1]])
}

/// Runs `groups` workgroups of a probe and returns the `len` words that it writes.
fn run(
    gpu: &Gpu,
    shader: &'static Shader,
    param: Option<u32>,
    len: usize,
    groups: u32,
) -> Result<Vec<u32>, DeviceError> {
    let space = Space::Arena(Block(0));
    let out = Binding {
        index: 0,
        name: "out".into(),
        region: Region { space, offset: 0, len },
        access: Access::ReadWrite,
    };
    // A uniform block is a multiple of 16 bytes.
    let mut params = param.unwrap_or(0).to_le_bytes().to_vec();
    params.resize(16, 0);
    let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let buffer = gpu.buffer("parameters", 16, uniform)?;
    gpu.queue.write_buffer(&buffer, 0, &params);
    let dispatch = Dispatch {
        node: 0,
        op: shader.name(),
        shader,
        entry: "probe",
        constants: vec![],
        bindings: vec![out],
        params: param.map(|_| (1, params)),
        grid: [groups, 1, 1],
        divisible: vec![],
        iterations: None,
        variants: vec![],
        cost: Cost::default(),
    };
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let result = gpu.buffer("what a probe found", 4 * len as u64, usage)?;
    let spaces = Spaces::from([(space, result.clone())]);
    let step = BoundDispatch::new(gpu, &dispatch, &spaces, &buffer, 0)?;
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    step.encode(&mut encoder.begin_compute_pass(&Default::default()));
    gpu.submit(encoder)?;
    let read = |bytes: &[u8]| bytemuck::pod_collect_to_vec::<u8, u32>(bytes);
    Readback::start(gpu, &[&BufferRange::new(result, 0, len)])?.finish(gpu, read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_ends_early_is_a_limit() {
        let whole = (0..9u32).fold(9u32, |state, i| (state ^ i).wrapping_add(9));
        assert_eq!(limit_from(9, [9, whole]), u64::MAX);
        assert_eq!(limit_from(9, [5, 1]), 5);
        assert_eq!(limit_from(9, [9, whole ^ 1]), 0);
        assert_eq!(limit_from(9, [10, whole]), 0);
    }

    #[test]
    fn threads_of_llvmpipe_stand_in_order() {
        let Some(gpu) = crate::device::tests::open() else {
            return;
        };
        println!("{}: subgroups of {} lanes or more", gpu.info, gpu.limits.subgroup_lanes);
        if gpu.info.name.contains("llvmpipe") {
            assert!(gpu.limits.subgroup_lanes >= MIN_LANES);
        }
    }

    #[test]
    fn the_probe_finds_what_llvmpipe_does() {
        let Some(gpu) = crate::device::tests::open() else {
            return;
        };
        let limit = loop_iterations(&gpu).expect("it runs");
        println!("{}: {limit}", gpu.info);
        assert_eq!(limit, gpu.limits.loop_iterations);
        if gpu.info.name.contains("llvmpipe") {
            assert_eq!(limit, 65_535);
        }
    }
}
