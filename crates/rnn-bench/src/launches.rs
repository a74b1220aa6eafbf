//! The kernel launches of the experiments' steps as plain data, for forecasts of their time on
//! cards that are not there. Nothing is run, and no device is needed.

use crate::steps::{self, BenchStep};
use anyhow::{Result, anyhow};
use rnn_cpu::CpuDevice;
use rnn_graph::{Access, Binding, Cost, Dispatch, Graph, Limits, Recording, Region};
use rnn_verify::{NotPassed, Variant};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// The limits that Mesa's drivers of the forecast's cards have in common, so that one list of
/// launches is that of all.
const LIMITS: Limits = Limits {
    max_invocations: 1024,
    max_workgroup_bytes: 32 << 10,
    max_storage_buffers: 16,
    max_binding_bytes: 1 << 30,
    half: false,
    matrix_units: None,
    subgroup_lanes: 32,
    loop_iterations: u64::MAX,
    launch_work: u64::MAX,
};

/// The launches of a training step or an inference, in single precision.
#[derive(Clone, Debug, Serialize)]
pub struct StepLaunches {
    /// Name of the experiment.
    pub experiment: &'static str,
    /// True for a training step, false for an inference.
    pub training: bool,
    /// Examples in the batch.
    pub batch: usize,
    /// Number of launches.
    pub count: u64,
    /// Bytes that the host sends for the step.
    pub uploaded: u64,
    /// The launches; equal ones are one entry, in the order of their first.
    pub launches: Vec<LaunchGroup>,
}

/// Equal launches of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaunchGroup {
    /// Name of the op.
    pub op: &'static str,
    /// Number of launches.
    pub times: u64,
    /// The launch itself, then its variants, of which a GPU takes the fastest.
    pub kernels: Vec<LaunchedKernel>,
    /// The kernel's uniform parameters that are integers, without offsets and the time step.
    pub params: BTreeMap<String, u32>,
    /// Upper bound on the loop iterations of a thread, in any variant; 0 without loops.
    pub iterations: u64,
    /// Floating-point operations of a launch: those of its node, divided among the node's
    /// launches by threads and iterations.
    pub flops: u64,
    /// Bytes of the operands that a launch reads, those that it changes in place among them.
    pub read: u64,
    /// Bytes of the operands that a launch writes.
    pub written: u64,
}

/// A kernel with its constants, over a number of threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaunchedKernel {
    /// Shader, entry point and constants, as drivers see them in a pipeline's label.
    pub name: String,
    /// Number of workgroups.
    pub workgroups: u64,
    /// Threads of a workgroup.
    pub threads: u32,
}

/// Returns the launches of training and inference of the five experiments at the sizes of the
/// tutorial.
///
/// # Errors
/// Fails if a step cannot be recorded, or the WGSL of a kernel is invalid.
pub fn all() -> Result<Vec<StepLaunches>> {
    let mut sizes = Sizes::default();
    steps::all(false, false).iter().map(|step| of_step(step, &mut sizes)).collect()
}

/// Threads of a workgroup, by the name of the kernel: validating a shader takes milliseconds.
type Sizes = HashMap<String, u32>;

fn of_step(step: &BenchStep, sizes: &mut Sizes) -> Result<StepLaunches> {
    let graph = step.graph(&CpuDevice::new())?;
    let recording = Recording::new(&graph, &LIMITS)?;
    let uploaded = graph.inputs().iter().map(|&input| 4 * graph[input].ty.words() as u64).sum();
    let dispatches: Vec<&Dispatch> = recording.dispatches().collect();
    let mut launches: Vec<LaunchGroup> = Vec::new();
    for node in dispatches.chunk_by(|a, b| a.node == b.node) {
        let Some(Cost { flops, .. }) = node.first().map(|first| first.cost) else { continue };
        let changed = changed(&graph, &recording, node);
        let group = |d: &&Dispatch| group(d, &changed, sizes);
        let mut groups = node.iter().map(group).collect::<Result<Vec<_>>>()?;
        let work: Vec<u128> = groups.iter().map(work).collect();
        let total = work.iter().sum::<u128>().max(1);
        for (group, work) in groups.iter_mut().zip(work) {
            group.flops = u64::try_from(u128::from(flops) * work / total)?;
        }
        for group in groups {
            let equal = |known: &&mut LaunchGroup| {
                LaunchGroup { times: known.times, ..group.clone() } == **known
            };
            match launches.iter_mut().find(equal) {
                Some(known) => known.times += 1,
                None => launches.push(group),
            }
        }
    }
    Ok(StepLaunches {
        experiment: step.experiment.name(),
        training: step.training,
        batch: step.batch,
        count: dispatches.len() as u64,
        uploaded,
        launches,
    })
}

/// The places of the tensors that a node reads and overwrites.
fn changed(graph: &Graph, recording: &Recording, of_node: &[&Dispatch]) -> Vec<Region> {
    let Some(node) = of_node.first().and_then(|first| graph.nodes().get(first.node)) else {
        return Vec::new();
    };
    let output = node.op.in_place().and_then(|pair| node.operands.outputs.get(pair.output));
    let tensors = node.operands.updates.iter().chain(output);
    tensors.map(|&tensor| recording.plan.region(graph, tensor)).collect()
}

fn work(group: &LaunchGroup) -> u128 {
    let threads = group.kernels.first().map_or(0, |k| k.workgroups * u64::from(k.threads));
    u128::from(threads) * u128::from(group.iterations.max(1))
}

fn group(dispatch: &Dispatch, changed: &[Region], sizes: &mut Sizes) -> Result<LaunchGroup> {
    let mut kernels = Vec::new();
    for variant in 0..=dispatch.variants.len() {
        let mut launch = dispatch.clone();
        launch.select_variant(variant);
        let kernel = Variant::of(&launch);
        let name = kernel.name();
        let threads = match sizes.get(&name) {
            Some(&threads) => threads,
            None => kernel.threads().map_err(|error: NotPassed| anyhow!("{name}: {error:?}"))?,
        };
        sizes.insert(name.clone(), threads);
        let workgroups = launch.grid.iter().map(|&n| u64::from(n)).product();
        kernels.push(LaunchedKernel { name, workgroups, threads });
    }
    let bytes = |counts: &dyn Fn(&Binding) -> bool| {
        let of = dispatch.bindings.iter().filter(|binding| counts(binding));
        of.map(|binding| 4 * binding.region.len as u64).sum()
    };
    let reads = |of: &Binding| of.access == Access::Read || changed.contains(&of.region);
    Ok(LaunchGroup {
        op: dispatch.op,
        times: 1,
        kernels,
        params: params(dispatch)?,
        iterations: dispatch.iterations.unwrap_or(0),
        flops: 0,
        read: bytes(&reads),
        written: bytes(&|of| of.access == Access::ReadWrite),
    })
}

fn params(dispatch: &Dispatch) -> Result<BTreeMap<String, u32>> {
    let entry = dispatch.shader.entry_point(dispatch.entry)?;
    let (Some(block), Some((_, bytes))) = (&entry.params, &dispatch.params) else {
        return Ok(BTreeMap::new());
    };
    let mut found = BTreeMap::new();
    for (name, offset, float) in &block.members {
        let at = *offset as usize;
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        let word = word.map(u32::from_le_bytes);
        let of_step = dispatch.shader.name().contains("_step") && matches!(&**name, "step" | "end");
        if let Some(word) = word.filter(|_| !float && !of_step && !name.ends_with("_offset")) {
            found.insert(name.clone(), word);
        }
    }
    Ok(found)
}
