//! Checks every op on a device against its f64 reference, the gradients of the references against
//! finite differences, and every shader on its way to Vulkan, Metal and DX12.

mod compare;
mod controls;
mod gradient;
mod kernel;
mod report;
mod shaders;

pub use compare::{Comparison, compare, units_in_the_last_place};
pub use gradient::check_gradient;
pub use kernel::{Trial, check_kernel};
pub use report::{Check, Measured, NotPassed, Outcome, Report, Section};
pub use shaders::{Variant, variants};

use rnn_graph::{Device, DeviceKind};
use rnn_ops::Case;

/// Checks all of `cases` on all of `devices`, and tells `observe` of each check as it ends.
pub fn verify(
    cases: &[Case],
    devices: &[Box<dyn Device>],
    observe: &mut dyn FnMut(&Check),
) -> Report {
    let mut report = Report::default();
    let mut add = |section, target: &str, what: (&str, &str), result| {
        observe(report.add(section, target, what, result));
    };
    match variants(cases) {
        Ok(all) => {
            for variant in &all {
                for (step, result) in variant.check() {
                    add(Section::Shader, step, (variant.shader.name(), &variant.name()), result);
                }
            }
        }
        Err(error) => add(Section::Shader, "naga", ("all", "all"), Err(error)),
    }
    let differences = "finite differences in f64";
    for case in cases.iter().filter(|c| !c.differentiable.is_empty()) {
        let what = (case.op.name(), case.name.as_str());
        add(Section::Gradient, differences, what, check_gradient(case));
    }
    let (name, result) = controls::gradient_control();
    add(Section::Control, differences, (name, name), result);
    for device in devices {
        let target = device.info().to_string();
        for (name, result) in controls::controls(&**device) {
            add(Section::Control, &target, (name, name), result);
        }
        let runs_kernels = !cases.is_empty() && device.info().kind != DeviceKind::Cpu;
        if runs_kernels && device.limits().matrix_units.is_none() {
            let why = NotPassed::Skipped("the device has none".into());
            add(Section::Kernel, &target, ("matmul", "matrix units"), Err(why));
        }
        for case in cases {
            let what = (case.op.name(), case.name.as_str());
            add(Section::Kernel, &target, what, check_kernel(case, &**device));
        }
    }
    report
}
