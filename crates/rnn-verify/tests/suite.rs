//! Every case of every op, on the CPU device and on every adapter present; planted mistakes.

use rnn_graph::Device;
use rnn_verify::{NotPassed, check_gradient, check_kernel};
use rnn_wgpu::{Options, WgpuDevice, adapters};

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
    let all = adapters();
    if all.is_empty() {
        assert!(std::env::var_os("RNN_GPU_REQUIRE_GPU").is_none(), "no adapter");
        println!("SKIPPED every_kernel_matches_its_reference_on_every_adapter: no adapter");
    }
    for adapter in &all {
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
    let mut devices: Vec<Box<dyn Device>> = vec![Box::new(rnn_cpu::CpuDevice::new())];
    for adapter in &adapters() {
        let device = WgpuDevice::open(adapter, Options::default()).expect("the adapter opens");
        devices.push(Box::new(device));
    }
    let report = rnn_verify::verify(&[], &devices, &mut |_| {});
    let [passed, failed, skipped] = report.counts();
    // Nine in results, and one in a gradient; two in kernels, which the CPU device does not run.
    assert_eq!((passed, skipped), (1 + 9 + 11 * (devices.len() - 1), 2), "{report}");
    assert_eq!(failed, 0, "{report}");
}
