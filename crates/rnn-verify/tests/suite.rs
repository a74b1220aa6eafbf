//! Every case of every op, on the CPU device and on every adapter present; planted mistakes.

use rnn_graph::{Device, DeviceKind};
use rnn_testing::{adapters, devices};
use rnn_verify::{Check, NotPassed, Outcome, Section, check_gradient, check_kernel};
use rnn_wgpu::{Options, WgpuDevice};

fn check_all(device: &dyn Device) {
    let mut failures = Vec::new();
    for case in &rnn_ops::suite() {
        match check_kernel(case, device) {
            Ok(_) => {}
            Err(NotPassed::Skipped(why)) => println!("SKIPPED {}: {why}", case.name),
            Err(NotPassed::Failed(why)) => failures.push(format!("{}: {why}", case.name)),
        }
    }
    assert!(failures.is_empty(), "{}\n{}", device.info(), failures.join("\n"));
}

#[test]
fn every_kernel_matches_its_reference_on_the_cpu() {
    check_all(&rnn_cpu::CpuDevice::new());
}

#[test]
fn every_kernel_matches_its_reference_on_every_adapter() {
    for adapter in &adapters() {
        for (checked, minimal) in [(false, false), (true, false), (false, true)] {
            let options = Options { checked, minimal, ..Options::default() };
            check_all(&WgpuDevice::open(adapter, options).expect("the adapter opens"));
        }
    }
}

#[test]
fn every_gradient_matches_finite_differences() {
    let mut checked = 0;
    let mut failures = Vec::new();
    for case in rnn_ops::suite().iter().filter(|c| !c.differentiable.is_empty()) {
        checked += 1;
        if let Err(e) = check_gradient(case) {
            failures.push(format!("{}: {e}", case.name));
        }
    }
    assert!(checked > 30 && failures.is_empty(), "{checked} checked\n{}", failures.join("\n"));
}

#[test]
fn every_planted_mistake_is_found() {
    let devices: Vec<Box<dyn Device>> = devices().into_iter().map(Into::into).collect();
    let report = rnn_verify::verify(&[], &devices, &mut |_| {});
    assert_eq!(report.counts()[1], 0, "{report}");
    let controls: Vec<&Check> =
        report.checks.iter().filter(|check| check.section == Section::Control).collect();
    let is_found = |check: &Check| matches!(check.outcome, Outcome::Passed(_));
    let in_a_gradient = "the gradient is 1% too large";
    assert!(controls.iter().any(|c| c.case == in_a_gradient && is_found(c)), "{report}");
    for device in &devices {
        let target = device.info().to_string();
        let cpu = device.info().kind == DeviceKind::Cpu;
        for mistake in [
            "one element is not a number",
            "one element has the other sign",
            "all elements are 1% too large",
            "the last element is missing",
            "nothing was computed",
            "rows beyond 65,535 are those 65,536 before them",
            "steps after 484 are missing",
        ] {
            let planted = |c: &&&Check| c.target == target && c.case == mistake;
            let planted: Vec<_> = controls.iter().filter(planted).collect();
            assert!(!planted.is_empty(), "{mistake}: not planted on {target}");
            assert!(planted.iter().all(|c| is_found(c)), "{mistake}: not found on {target}");
        }
        for mistake in ["the matmul kernel adds no bias", "the lstm kernel swaps two gates"] {
            let planted = controls.iter().find(|c| c.target == target && c.case == mistake);
            let planted = planted.unwrap_or_else(|| panic!("{mistake}: not planted on {target}"));
            // The CPU device runs no kernels.
            let skipped = matches!(planted.outcome, Outcome::Skipped { .. });
            assert!(
                if cpu { skipped } else { is_found(planted) },
                "{mistake}: not found on {target}"
            );
        }
    }
}
