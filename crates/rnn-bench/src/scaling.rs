//! Time and memory of a training step of an LSTM model, over its batch, time steps and units.

use super::measure::repeat;
use super::steps::reviews;
use super::{named, today};
use anyhow::{Context, Result};
use rnn::Activation;
use rnn::nn::{Dense, Embedding, InputSpec, Lstm, Model, ModelError, Optimizer, Trainer};
use rnn_formats::write_atomically;
use rnn_graph::Device;
use rnn_report::plot::{LinePanel, lines};
use rnn_run::experiment::VOCABULARY;
use rnn_run::host::Host;
use rnn_run::memory;
use serde::Serialize;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// The size of a step of Embedding(5000, 32), LSTM(units), Dense(1): `batch` reviews of `steps` tokens.
#[derive(Clone, Copy, Debug, Serialize)]
struct Size {
    batch: usize,
    steps: usize,
    units: usize,
}

/// A training step of that size.
#[derive(Clone, Copy, Debug, Serialize)]
struct Point {
    #[serde(flatten)]
    size: Size,
    /// The median.
    seconds: f64,
    /// The bytes that the step keeps on the device, as planned.
    planned_bytes: u64,
    /// By how much the process is larger with it than it was before all of them, where the system
    /// tells; what its allocator keeps from one to the next counts. Of a GPU with memory of its own,
    /// that is what the host keeps.
    process_bytes: Option<u64>,
}

/// Points of which one size differs.
#[derive(Debug, Serialize)]
struct Curve {
    over: &'static str,
    #[serde(skip)]
    value: fn(&Size) -> usize,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Scaling {
    date: String,
    device: String,
    curves: Vec<Curve>,
}

/// Measures time and memory of a training step of an LSTM model over batch, time steps and units;
/// sizes are smaller if `quick` is true. Prints a table through `host`, and writes
/// `DATE-DEVICE-scaling.json`, `DATE-DEVICE-scaling-time.png` and `DATE-DEVICE-scaling-memory.png`
/// into the folder `out`, which is created if need be.
///
/// # Errors
/// Fails if a step does not fit on the device, the device fails, or a file cannot be written.
pub fn measure(device: &dyn Device, quick: bool, out: &Path, host: &dyn Host) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let base = match quick {
        true => Size { batch: 16, steps: 40, units: 32 },
        false => Size { batch: 128, steps: 250, units: 128 },
    };
    // The first makes what lasts: threads, packed weights, compiled kernels.
    point(device, Size { batch: 1, ..base }, None)?;
    let before = process_bytes();
    host.tell(format_args!(
        "{:>6} {:>6} {:>6} {:>11} {:>12} {:>12}",
        "batch", "steps", "units", "ms", "planned", "process"
    ));
    let curve = |over, value: fn(&Size) -> usize, at: fn(Size, usize) -> Size| -> Result<Curve> {
        let factors = [(1, 4), (1, 2), (1, 1), (3, 2), (2, 1)];
        let sizes = factors.map(|(by, of)| at(base, value(&base) * by / of));
        let points = sizes.into_iter().map(|size| {
            let point = point(device, size, before)?;
            host.tell(format_args!("{point}"));
            Ok(point)
        });
        let points = points.collect::<Result<_>>()?;
        Ok(Curve { over, value, points })
    };
    let curves = vec![
        curve("batch", |size| size.batch, |base, batch| Size { batch, ..base })?,
        curve("time steps", |size| size.steps, |base, steps| Size { steps, ..base })?,
        curve("units", |size| size.units, |base, units| Size { units, ..base })?,
    ];
    let scaling = Scaling { date: today(), device: device.info().to_string(), curves };
    let text = serde_json::to_string_pretty(&scaling)?;
    let file = |ending| out.join(named(&scaling.date, device.info(), ending));
    let figures = file("-scaling.json");
    write_atomically(&figures, |file| file.write_all(text.as_bytes()))?;
    draw(&scaling, &[file("-scaling-time.png"), file("-scaling-memory.png")])?;
    let shown = figures.display();
    host.tell(format_args!("wrote {shown} and beside it -time.png and -memory.png"));
    Ok(())
}

fn point(device: &dyn Device, size: Size, before: Option<u64>) -> Result<Point> {
    let Size { batch, steps, units } = size;
    let model = || -> Result<Model, ModelError> {
        Model::sequential(InputSpec::tokens([steps]), 1)
            .add(Embedding::new(VOCABULARY, 32))?
            .add(Lstm::new(units))?
            .add(Dense::new(1, Activation::Sigmoid))
    };
    let mut trainer = Trainer::new(model()?, device, Optimizer::adam(), 1);
    let planned_bytes = memory::check(&mut trainer, (batch, false), device)?.total();
    let examples = reviews(batch, steps)?;
    let seconds = repeat(|| {
        let started = Instant::now();
        trainer.train_batch(&examples)?;
        trainer.take_metrics()?;
        Ok(started.elapsed().as_secs_f64())
    })?;
    let grown = |before: u64| process_bytes().map(|now| now.saturating_sub(before));
    Ok(Point { size, seconds, planned_bytes, process_bytes: before.and_then(grown) })
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { batch, steps, units } = self.size;
        let (planned, process) = (mb(self.planned_bytes), self.process_bytes.map_or(f64::NAN, mb));
        let ms = 1e3 * self.seconds;
        write!(f, "{batch:>6} {steps:>6} {units:>6} {ms:>11.2} {planned:>9.1} MB {process:>9.1} MB")
    }
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Resident memory of this process.
fn process_bytes() -> Option<u64> {
    let this = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let kind = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[this]), false, kind);
    system.process(this).map(|process| process.memory())
}

fn draw(scaling: &Scaling, [time, memory]: &[PathBuf; 2]) -> Result<()> {
    type Series = fn(&Curve) -> Vec<(f64, f64)>;
    let panels = |unit, series: &[Series]| -> Vec<LinePanel> {
        let panel = |curve: &Curve| LinePanel {
            axes: (curve.over, unit),
            series: series.iter().map(|of| of(curve)).collect(),
        };
        scaling.curves.iter().map(panel).collect()
    };
    let title = |what: &str| format!("{what} of a training step of LSTM on {}", scaling.device);
    let proportional: Series = |curve| {
        let [.., last] = &curve.points[..] else { return vec![] };
        let middle = &curve.points[curve.points.len() / 2];
        let slope = 1e3 * middle.seconds / curve.at(middle);
        vec![(0.0, 0.0), (curve.at(last), slope * curve.at(last))]
    };
    let times = panels("milliseconds", &[|curve| curve.line(|p| 1e3 * p.seconds), proportional]);
    lines(time, &title("Time"), &["measured", "in proportion to the middle"], &times)?;
    let process: Series = |curve| curve.line(|p| p.process_bytes.map_or(f64::NAN, mb));
    let bytes = panels("megabytes", &[|curve| curve.line(|p| mb(p.planned_bytes)), process]);
    lines(memory, &title("Memory"), &["planned", "taken by the process"], &bytes)
}

impl Curve {
    fn at(&self, point: &Point) -> f64 {
        (self.value)(&point.size) as f64
    }

    fn line(&self, of: fn(&Point) -> f64) -> Vec<(f64, f64)> {
        self.points.iter().map(|point| (self.at(point), of(point))).collect()
    }
}
