//! What a device does is measured where it cannot be asked for.

use crate::device::Gpu;
use crate::memory::Spaces;
use crate::program::Step;
use crate::readback::{Part, Readback};
use rnn_graph::{
    Access, Binding, Block, Cost, DeviceError, DeviceKind, Dispatch, Region, Shader, Space,
};

static PROBE: Shader = Shader::new("loop_probe", &[rnn_shaders::LOOP_PROBE]);

/// Turns that a GPU is asked for: more than the 65,535 after which Mesa's llvmpipe ends the loops of
/// a thread (LP_MAX_TGSI_LOOP_ITERATIONS), few enough to take less than a millisecond.
const TURNS: u32 = 70_000;
/// Those that a GPU is asked for that is emulated, of which nothing else hangs on the time.
const TURNS_EMULATED: u32 = 1 << 20;

/// Iterations that the loops of one thread may make together; `u64::MAX` where a loop that was tried
/// ran to its end.
pub(crate) fn loop_iterations(gpu: &Gpu) -> Result<u64, DeviceError> {
    let emulated = gpu.info.kind == DeviceKind::SoftwareGpu;
    let turns = if emulated { TURNS_EMULATED } else { TURNS };
    let made = gpu.guarded(|| count(gpu, turns))?;
    Ok(judge(turns, made))
}

/// What the numbers of a probe tell, its turns and its state: the state is wrong where iterations
/// were left out without being counted.
fn judge(turns: u32, [made, state]: [u32; 2]) -> u64 {
    let step = |state: u32, i: u32| (state ^ i).wrapping_add(turns);
    match made {
        _ if made == turns && state == (0..turns).fold(turns, step) => u64::MAX,
        _ if made < turns => made.into(),
        // Nothing is known of a device that miscounts.
        _ => 0,
    }
}

fn count(gpu: &Gpu, turns: u32) -> Result<[u32; 2], DeviceError> {
    let space = Space::Arena(Block(0));
    let out = Binding {
        index: 0,
        name: "out".into(),
        region: Region { space, offset: 0, len: 2 },
        access: Access::ReadWrite,
    };
    // A uniform block is of whole 16 bytes.
    let mut params = turns.to_le_bytes().to_vec();
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
    let step = Step::new(gpu, &dispatch, &spaces, &buffer, 0)?;
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    step.encode(&mut encoder.begin_compute_pass(&Default::default()));
    gpu.submit(encoder)?;
    let read = |bytes: &[u8]| bytemuck::pod_collect_to_vec::<u8, u32>(bytes);
    let found = Readback::start(gpu, &[&Part::new(result, 0, 2)])?.finish(gpu, read)?;
    Ok([found[0], found[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_ends_early_is_a_limit() {
        let whole = (0..9u32).fold(9u32, |state, i| (state ^ i).wrapping_add(9));
        assert_eq!(judge(9, [9, whole]), u64::MAX);
        assert_eq!(judge(9, [5, 1]), 5);
        assert_eq!(judge(9, [9, whole ^ 1]), 0);
        assert_eq!(judge(9, [10, whole]), 0);
    }

    #[test]
    fn the_probe_finds_what_llvmpipe_does() {
        let Some(gpu) = crate::device::tests::open("the_probe_finds_what_llvmpipe_does") else {
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
