use crate::skip_without_adapter;
use rnn_cpu::CpuDevice;
use rnn_graph::Device;
use rnn_wgpu::{Adapter, Options, WgpuDevice};
use std::ops::Deref;

/// An open device that tests run on: the CPU or a GPU.
#[derive(Debug)]
pub enum TestDevice {
    /// The CPU device.
    Cpu(CpuDevice),
    /// A GPU.
    Gpu(WgpuDevice),
}

impl TestDevice {
    /// Returns the device as a [`WgpuDevice`]; `None` for the CPU.
    pub fn gpu(&self) -> Option<&WgpuDevice> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(gpu) => Some(gpu),
        }
    }
}

impl Deref for TestDevice {
    type Target = dyn Device;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Cpu(cpu) => cpu,
            Self::Gpu(gpu) => gpu,
        }
    }
}

impl From<TestDevice> for Box<dyn Device> {
    fn from(device: TestDevice) -> Self {
        match device {
            TestDevice::Cpu(cpu) => Box::new(cpu),
            TestDevice::Gpu(gpu) => Box::new(gpu),
        }
    }
}

/// Returns the adapters of this machine, the best first. If there is none, prints that the running
/// test is skipped and returns an empty list.
///
/// # Panics
/// Panics if there is none and `RNN_GPU_REQUIRE_GPU=1`.
pub fn adapters() -> Vec<Adapter> {
    let all = rnn_wgpu::adapters();
    if all.is_empty() {
        skip_without_adapter();
    }
    all
}

/// Opens an adapter with the default [`Options`].
///
/// # Panics
/// Panics if the driver does not open the device.
pub fn open(adapter: &Adapter) -> WgpuDevice {
    let device = WgpuDevice::open(adapter, Options::default());
    device.unwrap_or_else(|error| panic!("{}: {error}", adapter.info))
}

/// Opens and returns the best adapter. If there is none, prints that the running test is skipped
/// and returns `None`.
///
/// # Panics
/// Panics if there is none and `RNN_GPU_REQUIRE_GPU=1`, or if the driver does not open the device.
pub fn gpu() -> Option<WgpuDevice> {
    adapters().first().map(open)
}

/// Opens and returns the CPU device and every adapter. If there is no adapter, prints that a part
/// of the running test is skipped.
///
/// # Panics
/// Panics if there is no adapter and `RNN_GPU_REQUIRE_GPU=1`, or if a driver does not open its
/// device.
pub fn devices() -> Vec<TestDevice> {
    let gpus = adapters();
    let gpus = gpus.iter().map(|adapter| TestDevice::Gpu(open(adapter)));
    std::iter::once(TestDevice::Cpu(CpuDevice::new())).chain(gpus).collect()
}

/// Opens and returns the devices of [`devices`], each with a short name for tests that exist once
/// per device: `cpu`, `gpu`, and `gpu2`, `gpu3` and so on for further adapters.
///
/// # Panics
/// Panics as [`devices`] does.
pub fn named_devices() -> Vec<(String, TestDevice)> {
    let name = |index| match index {
        0 => "cpu".into(),
        1 => "gpu".into(),
        n => format!("gpu{n}"),
    };
    devices().into_iter().enumerate().map(|(index, device)| (name(index), device)).collect()
}
