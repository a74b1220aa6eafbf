//! Every case of every op, on the CPU device and on every adapter present.

use rnn_graph::Device;
use rnn_verify::{check_gradient, check_kernel};
use rnn_wgpu::{Options, WgpuDevice, adapters};

fn check_all(device: &dyn Device) {
    let failures: Vec<String> = rnn_ops::suite()
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, check_kernel(case, device).err()?)))
        .collect();
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
        for checked in [false, true] {
            let device = WgpuDevice::open(adapter, Options { checked }).expect("the adapter opens");
            check_all(&device);
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
