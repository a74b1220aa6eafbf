//! Measurements of the speed of a device, for single ops and for whole training steps. What is
//! timed is first checked.

pub mod compilation;
mod kernels;
pub mod launches;
mod measure;
mod peers;
mod ranks;
mod scaling;
mod steps;
mod table;
pub mod training;

pub use steps::reviews;

use anyhow::{Context, Result, bail};
use measure::{Ceilings, Timing};
use rnn::device;
use rnn_formats::{check_names, write_atomically};
use rnn_graph::{Device, DeviceInfo};
use rnn_run::distributed;
use rnn_run::host::{Host, warnings};
use rnn_run::outputs;
use serde::Serialize;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use time::OffsetDateTime;

/// The choice of device and measurements. No option has a default.
#[derive(Clone, Copy, Debug)]
pub struct BenchOptions<'a> {
    /// The cases to measure, if `peers` is `None`.
    pub suite: Suite,
    /// Folder of the scripts of peers, such as Keras, PyTorch and JAX. If given, the steps of the
    /// experiments are timed beside theirs. `None` times this library alone.
    pub peers: Option<&'a Path>,
    /// True to time the steps of the library burn as well, which is compiled first. It applies only
    /// with `peers`.
    pub burn: bool,
    /// Folder for the tables and pictures of `peers` and of [`Suite::Scaling`]; it is created if
    /// need be.
    pub out: &'a Path,
    /// Name of the device, as [`rnn::device::open`] takes it.
    pub device: &'a str,
    /// Text that the names of measured cases contain; empty for all cases. [`Suite::Scaling`]
    /// ignores it.
    pub wanted: &'a str,
    /// True for smaller cases, for a CPU; false for the sizes of the models.
    pub quick: bool,
    /// File for the results of kernels and steps as JSON; `None` to write none.
    pub json: Option<&'a Path>,
    /// The program that prints the tables.
    pub host: &'a Arc<dyn Host>,
}

/// The set of cases that is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Suite {
    /// Single ops
    Kernels,
    /// Training steps and inference of the experiments
    Steps,
    /// Kernels and steps
    #[default]
    All,
    /// Time and memory of a training step of an LSTM model over batch, time steps and units; the
    /// planned memory stands beside that of the process
    Scaling,
    /// Training steps on all ranks that mpirun has started, beside those of each rank alone
    Ranks,
}

/// The measurements of one case, which is a line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct TimedCase {
    /// Name of the case.
    pub name: String,
    /// Its time, operations and bytes.
    #[serde(flatten)]
    pub timing: Timing,
}

/// The measurements of one device, as the JSON file of [`BenchOptions::json`] holds them.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceFigures {
    /// Name of the device.
    pub device: String,
    /// The highest rates that were measured on the device.
    pub ceilings: Ceilings,
    /// The cases, in the order of the table.
    pub lines: Vec<TimedCase>,
}

/// Checks and times cases as `options` say, and prints a table through [`BenchOptions::host`].
///
/// # Errors
/// Fails if there is no such device, a result is wrong, the device fails or cannot measure time, a
/// peer cannot be prepared, or a file cannot be written. With [`Suite::Ranks`], fails if MPI cannot
/// be used; any other error on a rank ends all processes.
pub fn bench(options: BenchOptions<'_>) -> Result<()> {
    let BenchOptions { suite, burn, out, wanted: part, quick, host, .. } = options;
    check_names(out)?;
    options.json.map_or(Ok(()), outputs::check)?;
    if suite == Suite::Ranks {
        let measure = |world: &_| ranks::measure(world, host, options.device, (quick, part));
        return distributed::together(host, measure);
    }
    let (device, why) = device::open_with(options.device, &warnings(host))?;
    let host = &**host;
    host.tell(format_args!("device: {}: {why}", device.info()));
    if let Some(scripts) = options.peers {
        return peers::compare(
            &*device,
            peers::PeerOptions { scripts, burn, wanted: part, quick, out, host },
        );
    }
    if suite == Suite::Scaling {
        return scaling::measure(&*device, quick, out, host);
    }
    let ceilings = Ceilings::measure(&*device, quick)?;
    host.tell(format_args!(
        "ceilings: {:.0} GFLOP/s in a large matmul, {:.1} GB/s in a large sum\n",
        ceilings.gflops, ceilings.gbytes
    ));
    let mut lines = Vec::new();
    host.tell(format_args!("{}", table::head()));
    let wanted = |name: &str| name.contains(part);
    let mut add = |name: String, timing: Timing| {
        let line = TimedCase { name, timing };
        host.tell(format_args!("{}", table::line(&line, &ceilings)));
        lines.push(line);
    };
    if suite != Suite::Steps {
        for kernel in kernels::all(quick).into_iter().filter(|k| wanted(&k.name)) {
            check(&kernel, &*device)?;
            match measure::kernel(&kernel.timed, &*device)? {
                Some(timing) => add(kernel.name, timing),
                None => host.tell(format_args!("{:36} exceeds a limit of the device", kernel.name)),
            }
        }
    }
    if suite != Suite::Kernels {
        let all = steps::all(quick, steps::gain_by_half(&*device));
        for step in all.into_iter().filter(|s| wanted(&s.name)) {
            step.check(&*device).with_context(|| step.name.clone())?;
            add(step.name.clone(), step.measure(&*device)?);
        }
    }
    let figures = DeviceFigures { device: device.info().to_string(), ceilings, lines };
    if let Some(path) = options.json {
        let text = serde_json::to_string_pretty(&figures)?;
        write_atomically(path, |file| file.write_all(text.as_bytes()))?;
    }
    Ok(())
}

/// The date, by UTC.
fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

/// Returns the name of a file of a device's results: `DATE-DEVICE` and an ending.
fn named(date: &str, info: &DeviceInfo, ending: &str) -> String {
    let words = info.to_string().to_lowercase();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("{date}-{}{ending}", words.take(6).collect::<Vec<_>>().join("-"))
}

/// Compares a small case of the same op with its reference.
fn check(kernel: &kernels::BenchKernel, device: &dyn Device) -> Result<()> {
    match rnn_verify::check_kernel(&kernel.checked, device) {
        Ok(_) | Err(rnn_verify::NotPassed::Skipped(_)) => Ok(()),
        Err(rnn_verify::NotPassed::Failed(message)) => {
            bail!("{} is wrong on {}: {message}", kernel.name, device.info())
        }
    }
}
