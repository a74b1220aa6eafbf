//! How fast a device is: kernels and whole steps, each checked before it is timed.

mod kernels;
mod measure;
mod peers;
mod ranks;
mod scaling;
mod steps;
mod table;

pub(crate) use steps::reviews;

use anyhow::{Context, Result, bail};
use measure::{Ceilings, Timing};
use rnn::device;
use rnn_formats::write_atomically;
use rnn_graph::{Device, DeviceInfo};
use rnn_run::distributed;
use serde::Serialize;
use std::io::Write as _;
use std::path::PathBuf;
use time::OffsetDateTime;

/// What to measure and where.
#[derive(clap::Args)]
pub struct BenchArgs {
    /// What to measure
    #[arg(long, value_enum, default_value_t)]
    suite: Suite,
    /// Instead, the steps beside those of Keras, PyTorch and JAX on the same device, by the scripts
    /// in DIR; Python is RNN_GPU_PYTHON, else one in a virtual environment that is made for them
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "bench/peers")]
    #[arg(conflicts_with_all = ["suite", "json"])]
    peers: Option<PathBuf>,
    /// With --peers also those of burn, which cargo compiles, the first time for minutes
    #[arg(long, requires = "peers")]
    burn: bool,
    /// The folder for the tables and pictures of --peers and of the suite `scaling`
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    out: PathBuf,
    /// auto, cpu, gpu, gpu:N or part of a name
    #[arg(long, default_value = "auto")]
    device: String,
    /// Measure only what has this in its name
    #[arg(long)]
    filter: Option<String>,
    /// Smaller cases, for machines without a GPU
    #[arg(long)]
    quick: bool,
    /// Also write the figures to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Single ops
    Kernels,
    /// Training steps and inference of the experiments
    Steps,
    /// Both
    #[default]
    All,
    /// The step of an LSTM model over batch, time steps and units: its time, and the memory that
    /// was planned for it beside what the process takes
    Scaling,
    /// Training steps of all ranks that mpirun has started, beside those of each alone
    Ranks,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What was timed.
    pub name: String,
    /// Its time and what it did.
    #[serde(flatten)]
    pub timing: Timing,
}

/// All figures of one device.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// What computed.
    pub device: String,
    /// The best that was measured there.
    pub ceilings: Ceilings,
    /// One for each case.
    pub lines: Vec<Line>,
}

/// Measures and prints a table.
///
/// # Errors
/// If a result is wrong, the device fails, or the file cannot be written.
pub fn bench(args: &BenchArgs) -> Result<()> {
    let part = args.filter.as_deref().unwrap_or_default();
    if args.suite == Suite::Ranks {
        let measure = |world: &_| ranks::measure(world, &args.device, args.quick, part);
        return distributed::together(measure);
    }
    let (device, why) = device::open(&args.device)?;
    println!("device: {}: {why}", device.info());
    if let Some(scripts) = &args.peers {
        let &BenchArgs { burn, quick, ref out, .. } = args;
        return peers::compare(
            &*device,
            peers::Options { scripts, burn, wanted: part, quick, out },
        );
    }
    if args.suite == Suite::Scaling {
        return scaling::measure(&*device, args.quick, &args.out);
    }
    let ceilings = Ceilings::measure(&*device, args.quick)?;
    println!(
        "ceilings: {:.0} GFLOP/s in a large matmul, {:.1} GB/s in a large sum\n",
        ceilings.gflops, ceilings.gbytes
    );
    let mut lines = Vec::new();
    table::head();
    let wanted = |name: &str| name.contains(part);
    let mut add = |name: String, timing: Timing| {
        let line = Line { name, timing };
        table::line(&line, &ceilings);
        lines.push(line);
    };
    if args.suite != Suite::Steps {
        for kernel in kernels::all(args.quick).into_iter().filter(|k| wanted(&k.name)) {
            check(&kernel, &*device)?;
            match measure::kernel(&kernel.timed, &*device)? {
                Some(timing) => add(kernel.name, timing),
                None => println!("{:36} exceeds a limit of the device", kernel.name),
            }
        }
    }
    if args.suite != Suite::Kernels {
        let all = steps::all(args.quick, steps::gain_by_half(&*device));
        for step in all.into_iter().filter(|s| wanted(&s.name)) {
            step.check(&*device).with_context(|| step.name.clone())?;
            add(step.name.clone(), step.measure(&*device)?);
        }
    }
    let figures = Figures { device: device.info().to_string(), ceilings, lines };
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures)?;
        write_atomically(path, |file| file.write_all(text.as_bytes()))?;
    }
    Ok(())
}

/// The date, by UTC.
fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

/// How a file of a device's results is called: `DATE-DEVICE` and how it ends.
fn named(date: &str, info: &DeviceInfo, ending: &str) -> String {
    let words = info.to_string().to_lowercase();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("{date}-{}{ending}", words.take(6).collect::<Vec<_>>().join("-"))
}

/// Compares a small case of the same op with its reference.
fn check(kernel: &kernels::Kernel, device: &dyn Device) -> Result<()> {
    match rnn_verify::check_kernel(&kernel.checked, device) {
        Ok(_) | Err(rnn_verify::NotPassed::Skipped(_)) => Ok(()),
        Err(rnn_verify::NotPassed::Failed(message)) => {
            bail!("{} is wrong on {}: {message}", kernel.name, device.info())
        }
    }
}
