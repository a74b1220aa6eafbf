//! The document: its text, with the tables in their places.

use std::fmt::Write as _;

use anyhow::{Context, Result, anyhow};

use super::inputs::{Card, Step};
use super::measured::{self, Report};
use super::model::{self, BOUNDS, Forecast, StepForecast};
use super::work::Work;
use crate::gpu_compilers::table::Table;

const TEXT: &str = include_str!("document.md");
/// The card and the kernel of the example.
const EXAMPLE: (&str, &str) = ("RX 7900 XTX", "lstm_rows4_subgroup.forward");
/// Launches in the list of the most expensive.
const LISTED: usize = 6;

/// Everything that the document is made from.
pub struct Inputs {
    /// The launches of the steps.
    pub steps: Vec<Step>,
    /// The cards.
    pub cards: Vec<Card>,
    /// Figures of compilers.
    pub table: Table,
    /// Measurements.
    pub reports: Vec<Report>,
}

/// Returns the document.
///
/// # Errors
/// Fails if a kernel's figures are not in the table of compilers, or the example is gone.
pub fn write(inputs: &Inputs) -> Result<String> {
    let mut tables = String::new();
    for card in &inputs.cards {
        tables += &of_card(inputs, card)?;
    }
    let text = TEXT.replace("{mesa}", &inputs.table.mesa);
    let text = text.replace("{cards}\n", &cards(&inputs.cards));
    let text = text.replace("{tables}\n", &tables);
    let text = text.replace("{example}\n", &example(inputs)?);
    Ok(text.replace("{hottest}\n", &hottest(inputs)?))
}

fn cards(cards: &[Card]) -> String {
    let mut text = "| card | instructions of | processors x lanes | GHz | TFLOP/s | GB/s | waits: \
                    multiply-add, shared (cycles); cache, memory (ns) | launch, step (us) |\n\
                    |---|---|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for of in cards {
        let peak = 2e-3 * (of.processors * of.lanes) as f64 * of.ghz;
        let _ = writeln!(
            text,
            "| {} | {} | {} x {} | {} | {peak:.1} | {} | {}, {}; {}, {} | {}, {} |",
            of.name,
            of.compiled,
            of.processors,
            of.lanes,
            of.ghz,
            of.gbytes,
            of.alu,
            of.shared_wait,
            of.cache_wait,
            of.memory_wait,
            of.launch,
            of.step
        );
    }
    text += "\nSources, by card:\n\n";
    for of in cards {
        let _ = writeln!(text, "- {}: {}", of.name, of.sources);
    }
    text
}

fn of_card(inputs: &Inputs, card: &Card) -> Result<String> {
    let mut text = format!(
        "### {}\n\n| step | launches | forecast, ms | bound by | measured, ms |\n|---|--:|--:|---|--:|\n",
        card.name
    );
    for step in &inputs.steps {
        let forecast = of_step(inputs, card, step)?;
        let [least, most] = forecast.seconds.map(|seconds| digits(1e3 * seconds));
        let mut shares: Vec<_> = BOUNDS.iter().zip(forecast.shares).collect();
        shares.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let shares = shares.iter().filter(|(_, share)| *share >= 5.0);
        let shares = shares.map(|(bound, share)| format!("{bound} {share:.0}%"));
        let measured = measured::seconds(&inputs.reports, card, step);
        let _ = writeln!(
            text,
            "| {} {} | {} | {least} to {most} | {} | {} |",
            step.experiment,
            if step.training { "training" } else { "inference" },
            step.count,
            shares.collect::<Vec<_>>().join(", "),
            measured.map_or_else(|| "-".into(), |seconds| digits(1e3 * seconds)),
        );
    }
    Ok(text + "\n")
}

fn of_step<'a>(inputs: &'a Inputs, card: &Card, step: &'a Step) -> Result<StepForecast<'a>> {
    let missing = |kernel| anyhow!("gpu-compilers.json lacks {kernel} on {}", card.compiled);
    StepForecast::new(step, card, &inputs.table).map_err(missing)
}

/// The launch of the example, in the equations.
fn example(inputs: &Inputs) -> Result<String> {
    let (name, entry) = EXAMPLE;
    let card = inputs.cards.iter().find(|card| card.name == name).context("no such card")?;
    let launches = inputs.steps.iter().flat_map(|step| &step.launches);
    let mut found = launches
        .flat_map(|launch| launch.kernels.iter().map(move |kernel| (launch, kernel)))
        .filter(|(_, kernel)| kernel.entry() == entry);
    let (launch, kernel) = found.next().context("no launch of the example")?;
    let work = Work::of(launch, kernel, &card.compiled, &inputs.table).context("no figures")?;
    let time = model::time(launch, kernel, &work, card);
    let steps = launch.params.get("steps").copied().unwrap_or(1) as f64;
    let [issue, loads, memory, latency, _] = time.parts.map(|seconds| 1e3 * seconds);
    let busiest = kernel.workgroups.div_ceil(card.processors);
    let mut text = String::new();
    let mut line = |line: String| text += &line;
    line(format!(
        "- {} workgroups of {} threads on {} units: {} units are busy, with {busiest} each.\n",
        kernel.workgroups,
        kernel.threads,
        card.processors,
        kernel.workgroups.min(card.processors)
    ));
    line(format!(
        "- Text of {} instructions, of which {:.0} in the hot loop, {:.0} passes a step: \
         I = {:.0} a thread, {:.0} a step.\n",
        work.text,
        work.hot,
        work.passes / steps,
        work.instructions,
        work.instructions / steps
    ));
    line(format!(
        "- issue = {busiest} x {} x {:.0} / ({} x {} GHz) = {issue:.2} ms, {:.1} us a step.\n",
        kernel.threads,
        work.instructions,
        card.lanes,
        card.ghz,
        1e3 * issue / steps
    ));
    line(format!(
        "- loads = {busiest} x {} x {:.0} words / 16 a cycle = {loads:.2} ms.\n",
        kernel.threads, work.loads
    ));
    line(format!(
        "- memory = {:.0} MB read and {:.0} MB written / (0.8 x {} GB/s) = {memory:.2} ms.\n",
        launch.read as f64 / 1e6,
        launch.written as f64 / 1e6,
        card.gbytes
    ));
    line(format!(
        "- latency = {steps} steps, each with {:.0} waits for weights = {latency:.2} ms, \
         {:.1} us a step.\n",
        work.passes / steps,
        1e3 * latency / steps
    ));
    line(format!(
        "- Between {} ms (all overlap) and {} ms (nothing does), with one launch.\n",
        digits(1e3 * time.least()),
        digits(1e3 * time.most())
    ));
    Ok(text)
}

/// The launches of LSTM and next-frame training that take the most time, on each card.
fn hottest(inputs: &Inputs) -> Result<String> {
    let mut text = "| card | step | launches | what takes the most time, with its share |\n\
                    |---|---|--:|---|\n"
        .to_owned();
    for card in &inputs.cards {
        for name in ["lstm", "next-frame"] {
            let mut steps = inputs.steps.iter();
            let Some(step) = steps.find(|step| step.training && step.experiment == name) else {
                continue;
            };
            let forecast = of_step(inputs, card, step)?;
            let whole = |of: &Forecast<'_>| of.launch.times as f64 * of.time.least();
            let mut all: Vec<_> = forecast.launches.iter().collect();
            all.sort_by(|a, b| whole(b).total_cmp(&whole(a)));
            let listed = all.iter().take(LISTED).map(|of| {
                let share = 100.0 * whole(of) / forecast.seconds[0];
                let times = of.launch.times;
                let times = if times > 1 { format!("{times} x ") } else { String::new() };
                format!("{times}{} {share:.0}%", of.kernel.entry())
            });
            let listed = listed.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "| {} | {name} | {} | {listed} |", card.name, step.count);
        }
    }
    Ok(text)
}

/// Two or three digits.
fn digits(ms: f64) -> String {
    let decimals = if ms < 1.0 { 2 } else { usize::from(ms < 30.0) };
    format!("{ms:.decimals$}")
}
