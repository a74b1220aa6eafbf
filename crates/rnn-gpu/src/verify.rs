//! Checking every op on the user's own devices.

use anyhow::{Result, bail};
use rnn_cpu::CpuDevice;
use rnn_graph::Device;
use rnn_ops::Tier;
use rnn_verify::{check_gradient, check_kernel};
use rnn_wgpu::{Options, WgpuDevice, adapters};

/// Runs every case on every device, and every gradient; prints a line each and the sum.
///
/// # Errors
/// If a check fails.
pub fn verify(smoke: bool) -> Result<()> {
    let mut devices: Vec<Box<dyn Device>> = vec![Box::new(CpuDevice::new())];
    for adapter in &adapters() {
        devices.push(Box::new(WgpuDevice::open(adapter, Options::default())?));
    }
    let (mut passed, mut failed) = (0, 0);
    let mut show = |what: &str, case: &str, result: Result<f64, String>| match result {
        Ok(share) => {
            passed += 1;
            println!("ok    {:>5.1}% of tolerance  {case}  [{what}]", 100.0 * share);
        }
        Err(message) => {
            failed += 1;
            println!("FAIL  {case}  [{what}]: {message}");
        }
    };
    let suite: Vec<_> =
        rnn_ops::suite().into_iter().filter(|c| !smoke || c.tier == Tier::Smoke).collect();
    for case in &suite {
        for device in &devices {
            show(&device.info().name, &case.name, check_kernel(case, &**device));
        }
        if !case.differentiable.is_empty() {
            show("gradient", &case.name, check_gradient(case));
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} checks failed: please report them with the output of `rnn-gpu devices`");
    }
    Ok(())
}
