use anyhow::Result;
use rnn_core::HostTensor;
use rnn_graph::{
    Cost, Device, DeviceError, Graph, OpError, ProfileRow, RecordingError, TensorId, TensorType,
};
use rnn_ops::{Binary, Case, Matmul, Sample};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs before the first that is timed, and the fewest and most that are.
const WARM_UP: usize = 2;
const RUNS: (usize, usize) = (5, 50);
/// After the fewest runs a case is given no more time than this.
const ENOUGH: Duration = Duration::from_secs(1);
/// Operands of several runs together are larger than any cache, up to this number of them.
const CACHE: usize = 256 << 20;
const MOST_SETS: usize = 8;

/// The time of one run of a case, and its work.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Timing {
    /// Median time in seconds.
    pub seconds: f64,
    /// Floating-point operations of the run; a multiply-add counts as two. 0 if they are not
    /// counted.
    pub flops: u64,
    /// Bytes read and written in the run; in each call of an op, each tensor counts once. 0 if they
    /// are not counted.
    pub bytes: u64,
}

impl Timing {
    /// Returns the rate in 1e9 floating-point operations per second; 0 if they are not counted.
    pub fn gflops(&self) -> f64 {
        self.flops as f64 / self.seconds / 1e9
    }

    /// Returns the rate in 1e9 bytes read and written per second; 0 if they are not counted.
    pub fn gbytes(&self) -> f64 {
        self.bytes as f64 / self.seconds / 1e9
    }
}

/// The highest rates that were measured on a device, to which those of the cases are compared.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ceilings {
    /// Rate of a product of large square matrices, in 1e9 floating-point operations per second.
    pub gflops: f64,
    /// Rate of a sum of two large tensors, in 1e9 bytes per second.
    pub gbytes: f64,
}

impl Ceilings {
    /// Measures both rates on a device; the matrices are smaller if `quick` is true. A rate is NaN
    /// if the operands exceed a limit of the device.
    ///
    /// # Errors
    /// Fails if the device fails or cannot measure time.
    pub fn measure(device: &dyn Device, quick: bool) -> Result<Self> {
        let n = if quick { 1024 } else { 2048 };
        let square = || Sample::Uniform(vec![n, n], -0.1, 0.1);
        let product = Case::new("ceiling", Matmul::default(), vec![square(), square()]);
        let long = || Sample::Uniform(vec![16 << 20], -1.0, 1.0);
        let sum = Case::new("ceiling", Binary::Add, vec![long(), long()]);
        let best = |case: &Case, of: fn(&Timing) -> f64| -> Result<f64> {
            Ok(kernel(case, device)?.map_or(f64::NAN, |timing| of(&timing)))
        };
        let gflops = best(&product, Timing::gflops)?;
        Ok(Self { gflops, gbytes: best(&sum, Timing::gbytes)? })
    }
}

/// Returns the median of numbers in any order. If their count is even, returns the larger of the
/// two in the middle; if there are none, NaN.
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Calls `run`, which returns its own time in seconds, two times to warm up and then 5 to 50 times,
/// until a second has passed. Returns the median time in seconds.
pub fn repeat(mut run: impl FnMut() -> Result<f64>) -> Result<f64> {
    for _ in 0..WARM_UP {
        run()?;
    }
    let (started, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < RUNS.0 || (seconds.len() < RUNS.1 && started.elapsed() < ENOUGH) {
        seconds.push(run()?);
    }
    Ok(median(seconds))
}

/// Times the op of a case by the device's clock. The op runs on several sets of operands in turn,
/// so that they do not stay in a cache. Returns `None` if the op exceeds a limit of the device.
///
/// # Errors
/// Fails if the device fails or cannot measure time.
pub fn kernel(case: &Case, device: &dyn Device) -> Result<Option<Timing>> {
    let (inputs, updates) = case.draw();
    let bytes: usize = inputs.iter().chain(&updates).map(|t| 4 * t.shape().len()).sum();
    let sets = (CACHE / bytes.max(1)).clamp(1, MOST_SETS);
    let mut graph = Graph::new();
    let mut values: Vec<(String, &HostTensor)> = Vec::new();
    for set in 0..sets {
        let place = |graph: &mut Graph, kind: &str, tensors: &[HostTensor]| {
            let each = tensors.iter().enumerate();
            let each = each.map(|(i, tensor)| {
                let ty = TensorType { shape: tensor.shape().clone(), dtype: tensor.dtype() };
                graph.resident(&format!("{kind} {i} of set {set}"), ty)
            });
            each.collect::<Vec<TensorId>>()
        };
        let input_ids = place(&mut graph, "input", &inputs);
        let update_ids = place(&mut graph, "update", &updates);
        for (kind, tensors) in [("input", &inputs), ("update", &updates)] {
            let each = tensors.iter().enumerate();
            values.extend(each.map(|(i, t)| (format!("{kind} {i} of set {set}"), t)));
        }
        let outputs = graph.push_node(case.op.clone(), &input_ids, &update_ids)?;
        outputs.iter().for_each(|&output| graph.output(output));
    }
    let mut session = device.session();
    let program = match session.compile(Arc::new(graph)) {
        Ok(program) => program,
        Err(error) if exceeds_limit(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for (name, tensor) in values {
        session.write(&name, tensor)?;
    }
    session.enable_profile();
    let mut before = (Duration::ZERO, Cost::default());
    let mut cost = Cost::default();
    let seconds = repeat(|| {
        session.run(program, &[])?;
        let rows = session.profile()?.rows;
        let sum = |of: fn(&ProfileRow) -> Duration| rows.iter().map(of).sum::<Duration>();
        let now = sum(|row| row.time);
        let mut all = Cost::default();
        rows.iter().for_each(|row| all += row.cost);
        let seconds = (now - before.0).as_secs_f64() / sets as f64;
        cost = Cost { flops: all.flops - before.1.flops, bytes: all.bytes - before.1.bytes };
        before = (now, all);
        Ok(seconds)
    })?;
    let each = |all: u64| all / sets as u64;
    Ok(Some(Timing { seconds, flops: each(cost.flops), bytes: each(cost.bytes) }))
}

fn exceeds_limit(error: &DeviceError) -> bool {
    match error {
        DeviceError::Recording(RecordingError::Node(error)) => {
            matches!(error.reason, OpError::Limit(_))
        }
        _ => false,
    }
}
