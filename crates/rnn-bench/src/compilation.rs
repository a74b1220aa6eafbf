//! Checks that a device compiles the kernels of the experiments' steps, which are not run.

use crate::steps::{self, BenchStep};
use rnn_graph::Device;
use rnn_verify::{NotPassed, Section, Subject, Verification, check_compilation};

/// A check that a device compiles all kernels of one step of an experiment.
pub struct Compilation<'a> {
    device: &'a dyn Device,
    step: BenchStep,
}

/// Returns the checks of training and inference of the five experiments on each of `devices`, at
/// the sizes of the tutorial. They are in single precision and, on GPUs with 16-bit floats, also in
/// mixed precision.
pub fn all(devices: &[Box<dyn Device>]) -> Vec<Compilation<'_>> {
    let of = |device| {
        let all = steps::all(false, steps::gain_by_half(device)).into_iter();
        all.map(move |step| Compilation { device, step })
    };
    devices.iter().flat_map(|device| of(&**device)).collect()
}

impl Compilation<'_> {
    /// Returns the name of the step.
    pub fn name(&self) -> &str {
        &self.step.name
    }

    /// Makes the check and adds its result, passed or failed, to `verification`.
    pub fn run(&self, verification: &mut Verification<'_>) {
        let name = self.step.experiment.name();
        let subject = Subject { op: name, case: &self.step.name, sizes: String::new() };
        let target = self.device.info().to_string();
        verification.check(Section::Compilation, &target, subject, || {
            let graph = self.step.graph(self.device);
            let graph = graph.map_err(|error| NotPassed::Failed(format!("{error:#}")))?;
            check_compilation(&graph, self.device)
        });
    }
}
