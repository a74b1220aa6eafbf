//! Measures a device's loop limit, which cannot be queried.

use crate::device::Gpu;
use crate::memory::Spaces;
use crate::program::BoundDispatch;
use crate::readback::{BufferRange, Readback};
use rnn_graph::{
    Access, Binding, Block, Cost, DeviceError, DeviceKind, Dispatch, Region, Shader, Space,
};

static PROBE: Shader = Shader::new("loop_probe", &[rnn_shaders::LOOP_PROBE]);

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

fn count(gpu: &Gpu, passes: u32) -> Result<[u32; 2], DeviceError> {
    let space = Space::Arena(Block(0));
    let out = Binding {
        index: 0,
        name: "out".into(),
        region: Region { space, offset: 0, len: 2 },
        access: Access::ReadWrite,
    };
    // A uniform block is a multiple of 16 bytes.
    let mut params = passes.to_le_bytes().to_vec();
    params.resize(16, 0);
    let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let buffer = gpu.buffer("parameters", 16, uniform)?;
    gpu.queue.write_buffer(&buffer, 0, &params);
    let dispatch = Dispatch {
        node: 0,
        op: "loop_probe",
        shader: &PROBE,
        entry: "probe",
        constants: vec![],
        bindings: vec![out],
        params: Some((1, params)),
        grid: [1, 1, 1],
        iterations: None,
        variants: vec![],
        cost: Cost::default(),
    };
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let result = gpu.buffer("what a probe found", 8, usage)?;
    let spaces = Spaces::from([(space, result.clone())]);
    let step = BoundDispatch::new(gpu, &dispatch, &spaces, &buffer, 0)?;
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    step.encode(&mut encoder.begin_compute_pass(&Default::default()));
    gpu.submit(encoder)?;
    let read = |bytes: &[u8]| bytemuck::pod_collect_to_vec::<u8, u32>(bytes);
    let found = Readback::start(gpu, &[&BufferRange::new(result, 0, 2)])?.finish(gpu, read)?;
    Ok([found[0], found[1]])
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
