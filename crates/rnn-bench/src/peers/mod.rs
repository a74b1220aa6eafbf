//! The steps of the experiments, timed beside those of peers (other libraries) on the same machine,
//! one after the other.

mod script;
mod table;

use super::steps::{self, BenchStep};
use super::{named, today};
use anyhow::{Context, Result, ensure};
use rnn_formats::write_atomically;
use rnn_graph::{Device, DeviceKind};
use rnn_report::plot::{Bars, bars};
use rnn_run::host::Host;
use script::Script;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use sysinfo::{CpuRefreshKind, RefreshKind, System};

/// The times of all steps, of rnn-gpu and of its peers.
#[derive(Debug, Serialize, Deserialize)]
struct Comparison {
    date: String,
    version: String,
    /// Name of the device of rnn-gpu.
    device: String,
    processor: String,
    /// The cases were smaller than the experiments'.
    quick: bool,
    steps: Vec<Row>,
}

/// A step by everyone.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    experiment: String,
    training: bool,
    batch: usize,
    /// Seconds of ours before the peers had their turn, and after.
    ours: [f64; 2],
    peers: Vec<Peer>,
}

/// A step by a variant of a peer.
#[derive(Debug, Serialize, Deserialize)]
struct Peer {
    name: String,
    variant: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Timed(Timed),
    Failed(String),
}

/// The output of a script, as far as it is used.
#[derive(Debug, Serialize, Deserialize)]
struct Timed {
    /// With its version.
    peer: String,
    device: String,
    /// The median.
    seconds: f64,
    warm_up_seconds: f64,
    /// Returns true if the device is of the kind that rnn-gpu computed on.
    #[serde(default)]
    comparable: bool,
}

impl Row {
    fn name(&self) -> String {
        let what = if self.training { "training" } else { "inference" };
        format!("{} {what}", self.experiment)
    }

    fn is(&self, step: &BenchStep) -> bool {
        self.experiment == step.experiment.name() && self.training == step.training
    }

    /// Seconds of ours.
    fn seconds(&self) -> f64 {
        self.ours.iter().sum::<f64>() / self.ours.len() as f64
    }

    /// The fastest variant that computed where we did, of one peer or of all.
    fn fastest(&self, peer: Option<&str>) -> Option<(&Peer, f64)> {
        let peers = self.peers.iter().filter(|p| peer.is_none_or(|name| p.name == name));
        let timed = peers.filter_map(|p| match &p.outcome {
            Outcome::Timed(timed) if timed.comparable => Some((p, timed.seconds)),
            _ => None,
        });
        timed.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Comparison {
    /// Takes over the other steps that a file tells of, if it is of the same day, program and
    /// machine.
    fn keep(&mut self, path: &Path) {
        let earlier = fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let Some(earlier) = earlier.filter(|earlier: &Self| {
            let of = |c: &Self| [&c.date, &c.version, &c.device, &c.processor].map(String::clone);
            of(earlier) == of(self) && earlier.quick == self.quick
        }) else {
            return;
        };
        let measured: Vec<String> = self.steps.iter().map(Row::name).collect();
        self.steps.extend(earlier.steps.into_iter().filter(|row| !measured.contains(&row.name())));
    }

    /// The names of the peers, in the order of their scripts.
    fn peers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for peer in self.steps.iter().flat_map(|row| &row.peers) {
            if !names.contains(&&*peer.name) {
                names.push(&peer.name);
            }
        }
        names
    }
}

/// The choice of peers (other libraries) and of steps for [`compare`].
pub struct PeerOptions<'a> {
    /// Folder of the peers' scripts.
    pub scripts: &'a Path,
    /// True to include burn, whose program cargo compiles, which may take minutes; false to leave
    /// it out.
    pub burn: bool,
    /// Text that the names of the steps contain; empty for all steps.
    pub wanted: &'a str,
    /// True for smaller steps, false for those of the tutorial.
    pub quick: bool,
    /// Folder for the results; it is created if need be.
    pub out: &'a Path,
    /// The program that prints the table.
    pub host: &'a dyn Host,
}

/// Times steps on `device` and beside those of peers, prints a table, and writes `DATE-DEVICE.md`,
/// `.json` and `.png`. If the files exist from the same day, version and machine, with the same
/// `quick`, their steps that are not measured now are kept, so that a long comparison can be made
/// in parts.
///
/// # Errors
/// Fails if there is no script, no Python or no installed peer, no step has the wanted name, a
/// result of this library is wrong, the device fails, or a file cannot be written. A peer that
/// fails at a step is no error: the table says so.
pub fn compare(device: &dyn Device, options: PeerOptions<'_>) -> Result<()> {
    let PeerOptions { scripts, burn, wanted, quick, out, host } = options;
    let info = device.info();
    let scripts = Script::all(scripts, info.kind == DeviceKind::Gpu, burn, host)?;
    let steps = steps::all(quick, false);
    let all: Vec<&BenchStep> = steps.iter().filter(|step| step.name.contains(wanted)).collect();
    ensure!(!all.is_empty(), "no step has {wanted:?} in its name");
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut comparison = Comparison {
        date: today(),
        version: env!("CARGO_PKG_VERSION").into(),
        device: info.to_string(),
        processor: processor(),
        quick,
        steps: Vec::new(),
    };
    for step in all {
        host.tell(format_args!("{}", step.name));
        step.check(device).with_context(|| step.name.clone())?;
        let before = step.measure(device)?.seconds;
        host.tell(format_args!("  rnn-gpu: {:.1} ms", 1e3 * before));
        let peers = scripts.iter().flat_map(|script| run(script, step, info.kind, host)).collect();
        let ours = [before, step.measure(device)?.seconds];
        let &BenchStep { training, batch, .. } = step;
        let experiment = step.experiment.name().into();
        comparison.steps.push(Row { experiment, training, batch, ours, peers });
    }
    let page = out.join(named(&comparison.date, info, ".md"));
    let figures = page.with_extension("json");
    comparison.keep(&figures);
    comparison.steps.sort_by_key(|row| steps.iter().position(|step| row.is(step)));
    let text = table::markdown(&comparison);
    host.print(format_args!("\n{text}"));
    let write =
        |path: &Path, text: &str| write_atomically(path, |file| file.write_all(text.as_bytes()));
    write(&page, &text)?;
    write(&figures, &serde_json::to_string_pretty(&comparison)?)?;
    draw(&comparison, &page.with_extension("png"))?;
    host.tell(format_args!("\nwrote {} and beside it .json and .png", page.display()));
    Ok(())
}

/// A step by all variants of a peer.
fn run(script: &Script, step: &BenchStep, kind: DeviceKind, host: &dyn Host) -> Vec<Peer> {
    let variants = script.variants(step.experiment.name(), step.training);
    let run = |variant: String| {
        let outcome = script.run(step, &variant, host).map(|mut timed| {
            timed.comparable = timed.device.starts_with("CPU") == (kind != DeviceKind::Gpu);
            timed
        });
        match &outcome {
            Ok(timed) => {
                let ms = 1e3 * timed.seconds;
                host.tell(format_args!("  {} {variant}: {ms:.1} ms", script.name));
            }
            Err(error) => host.tell(format_args!("  {} {variant}: {error:#}", script.name)),
        }
        let outcome = outcome.map_or_else(|e| Outcome::Failed(format!("{e:#}")), Outcome::Timed);
        Peer { name: script.name.clone(), variant, outcome }
    };
    variants.into_iter().map(run).collect()
}

/// Bars of each peer's best variant.
fn draw(comparison: &Comparison, picture: &Path) -> Result<()> {
    let names = comparison.peers();
    let panel = |caption, training| {
        let rows = comparison.steps.iter().filter(|row| row.training == training);
        let ratio = |row: &Row, name| row.fastest(Some(name)).map(|(_, s)| s / row.seconds());
        let group =
            |row: &Row| (row.experiment.clone(), names.iter().map(|n| ratio(row, n)).collect());
        Bars { caption, groups: rows.map(group).collect() }
    };
    let panels = [panel("Training step", true), panel("Inference", false)];
    let title = format!("Time of a step in multiples of rnn-gpu's, on {}", comparison.device);
    bars(picture, &title, "multiples", &names, &panels)
}

/// The model of the processor, where the system tells.
fn processor() -> String {
    let kind = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(kind);
    let brand = system.cpus().first().map_or("", |cpu| cpu.brand()).trim().to_owned();
    if brand.is_empty() { "unknown processor".into() } else { brand }
}
