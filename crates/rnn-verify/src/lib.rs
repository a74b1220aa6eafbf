//! Checks every op on a device against its f64 reference, the gradients of the references against
//! finite differences, and every shader on its way to Vulkan, Metal and DX12.

mod compare;
mod conformance;
mod controls;
mod gradient;
mod kernel;
mod report;
mod shaders;

pub use compare::{Comparison, compare, units_in_the_last_place};
pub use conformance::{ConformanceCheck, conformance};
pub use gradient::check_gradient;
pub use kernel::{Trial, check_compilation, check_kernel};
pub use report::{Check, Measured, NotPassed, Outcome, Report, Section, Subject};
pub use shaders::{Variant, variants};

use rnn_graph::{Device, DeviceKind};
use rnn_ops::Case;

/// A step in the progress of a verification, as the observer of a [`Verification`] receives it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A check, or a group of checks, begins. It may take a while.
    Begins {
        /// The number of checks or groups that began before.
        done: usize,
        /// The number of checks and groups that are known so far.
        total: usize,
        /// The check that begins, in words.
        what: &'a str,
    },
    /// A check ends.
    Ends(&'a Check),
}

/// A sequence of checks, with an observer that receives an [`Event`] at the beginning and the end
/// of each.
pub struct Verification<'a> {
    report: Report,
    done: usize,
    total: usize,
    observe: &'a mut dyn FnMut(Event<'_>),
}

impl<'a> Verification<'a> {
    /// Begins a verification without checks. `total` is the number of checks that the caller will
    /// add by [`Self::check`]; [`Self::cases`] and [`Self::compilations`] add the numbers of their
    /// own to it. The observer receives the sum as [`Event::Begins::total`](Event::Begins).
    pub fn new(total: usize, observe: &'a mut dyn FnMut(Event<'_>)) -> Self {
        Self { report: Report::default(), done: 0, total, observe }
    }

    /// Runs `check` and adds its result to the report, under this section, target (the name of a
    /// device or tool) and subject. A result that is not passed is recorded and is no error of this
    /// method.
    pub fn check(
        &mut self,
        section: Section,
        target: &str,
        subject: Subject<'_>,
        check: impl FnOnce() -> Result<Measured, NotPassed>,
    ) {
        self.begin(&format!("{section} {subject} [{target}]"));
        self.add(section, target, subject, check());
    }

    /// Returns the results of all checks so far.
    pub fn report(self) -> Report {
        self.report
    }

    fn begin(&mut self, what: &str) {
        (self.observe)(Event::Begins { done: self.done, total: self.total, what });
        self.done += 1;
    }

    fn add(
        &mut self,
        section: Section,
        target: &str,
        subject: Subject<'_>,
        result: Result<Measured, NotPassed>,
    ) {
        (self.observe)(Event::Ends(self.report.add(section, target, subject, result)));
    }

    /// Runs these checks and adds each result to the report:
    ///
    /// - all of `cases` on all of `devices`, by [`check_kernel`];
    /// - the gradients of the cases whose [`Case::differentiable`] is not empty, by
    ///   [`check_gradient`];
    /// - all shaders of the cases, by [`Variant::check`];
    /// - planted mistakes, which the checks must find.
    pub fn cases(&mut self, cases: &[Case], devices: &[Box<dyn Device>]) {
        let differentiable = || cases.iter().filter(|c| !c.differentiable.is_empty());
        self.total += 1 + differentiable().count() + devices.len() * (1 + cases.len());
        self.shaders(cases);
        let differences = "finite differences in f64";
        for case in differentiable() {
            let (section, subject) = (Section::Gradient, subject(case));
            self.check(section, differences, subject, || check_gradient(case));
        }
        let (name, result) = controls::gradient_control();
        self.add(Section::Control, differences, named(name, name), result);
        for device in devices {
            self.kernels(cases, &**device);
        }
    }

    /// Compiles the kernels of all of `cases` on all of `devices`, by [`check_compilation`], and
    /// runs none of them.
    pub fn compilations(&mut self, cases: &[Case], devices: &[Box<dyn Device>]) {
        self.total += devices.len() * cases.len();
        for device in devices {
            let target = device.info().to_string();
            for case in cases {
                let case = case.sized_for(device.info().kind);
                let check = || check_compilation(&kernel::graph(&case)?, &**device);
                self.check(Section::Compilation, &target, subject(&case), check);
            }
        }
    }

    fn shaders(&mut self, cases: &[Case]) {
        self.begin("shaders");
        match variants(cases) {
            Ok(all) => {
                for variant in &all {
                    for (step, result) in variant.check() {
                        let subject = variant.name();
                        let subject = named(variant.shader.name(), &subject);
                        self.add(Section::Shader, step, subject, result);
                    }
                }
            }
            Err(error) => self.add(Section::Shader, "naga", named("all", "all"), Err(error)),
        }
    }

    fn kernels(&mut self, cases: &[Case], device: &dyn Device) {
        let target = device.info().to_string();
        self.begin(&format!("planted mistakes [{target}]"));
        for (name, result) in controls::controls(device) {
            self.add(Section::Control, &target, named(name, name), result);
        }
        let runs_kernels = !cases.is_empty() && device.info().kind != DeviceKind::Cpu;
        if runs_kernels && device.limits().matrix_units.is_none() {
            let why = NotPassed::Skipped("the device has none".into());
            self.add(Section::Kernel, &target, named("matmul", "matrix units"), Err(why));
        }
        for case in cases {
            let case = case.sized_for(device.info().kind);
            let check = || check_kernel(&case, device);
            self.check(Section::Kernel, &target, subject(&case), check);
        }
    }
}

fn named<'a>(op: &'a str, case: &'a str) -> Subject<'a> {
    Subject { op, case, sizes: String::new() }
}

fn subject(case: &Case) -> Subject<'_> {
    Subject { op: case.op.name(), case: &case.name, sizes: kernel::sizes(case) }
}

/// Runs the checks of [`Verification::cases`]. Calls `observe` with each check as it ends, and
/// returns the report of all.
pub fn verify(
    cases: &[Case],
    devices: &[Box<dyn Device>],
    observe: &mut dyn FnMut(&Check),
) -> Report {
    let mut ended = |event: Event<'_>| match event {
        Event::Ends(check) => observe(check),
        Event::Begins { .. } => {}
    };
    let mut verification = Verification::new(0, &mut ended);
    verification.cases(cases, devices);
    verification.report()
}
