//! What tests compute on.

use rnn_cpu::CpuDevice;
use rnn_graph::Device;
use rnn_wgpu::{Options, WgpuDevice, adapters};

/// The CPU device, and every adapter, which is given once more by its own type.
pub fn devices() -> Vec<(Box<dyn Device>, Option<WgpuDevice>)> {
    let all = adapters();
    if all.is_empty() {
        assert!(std::env::var_os("RNN_GPU_REQUIRE_GPU").is_none(), "no adapter");
        println!("SKIPPED on adapters: there are none");
    }
    let mut devices: Vec<(Box<dyn Device>, _)> = vec![(Box::new(CpuDevice::new()), None)];
    for adapter in &all {
        let gpu = WgpuDevice::open(adapter, Options::default()).expect("the adapter opens");
        devices.push((Box::new(gpu.clone()), Some(gpu)));
    }
    devices
}
