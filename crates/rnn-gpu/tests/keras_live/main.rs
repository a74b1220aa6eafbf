//! Random models, which Keras and this program compute and train from the same weights, agree.
//! `cargo xtask keras-live` runs it; tests/keras_live/generate.py makes the models.

#[path = "../../../../tests/interchange/python.rs"]
#[allow(dead_code, reason = "the generator runs beside the test, not before it")]
mod python;

mod case;
mod compare;

use anyhow::{Context, Result, anyhow, ensure};
use case::{Case, Refusal};
use rnn::Device;
use rnn_testing::{skip_outside_ci, skip_without_adapter};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

const GENERATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/keras_live/generate.py");

/// Where the files of failed cases stay.
const KEPT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/keras-live");

/// What `cargo xtask keras-live` asks for, in variables of the environment.
struct Asked {
    seeds: Range<u64>,
    /// No case begins later.
    seconds: Option<u64>,
    /// Each so many-th case is computed on the GPU device too.
    gpu_every: u64,
    /// Where the files are, or are made; else in a folder that goes away.
    folder: Option<PathBuf>,
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(format!("RNN_GPU_KERAS_LIVE_{name}")).ok().and_then(|text| text.parse().ok())
}

impl Asked {
    fn read() -> Self {
        Self {
            seeds: number("FIRST").unwrap_or(0)..number("LAST").unwrap_or(40),
            seconds: number("SECONDS"),
            gpu_every: number("GPU_EVERY").unwrap_or(10),
            folder: number("FOLDER"),
        }
    }
}

/// The generator, which ends with the test.
struct Generator(Child);

impl Generator {
    fn start(python: &Path, folder: &Path, seeds: &Range<u64>) -> Result<Self> {
        let range = [seeds.start.to_string(), seeds.end.to_string()];
        let child = Command::new(python).arg(GENERATE).arg(folder).args(range).spawn();
        Ok(Self(child.context("Python does not start")?))
    }

    /// Waits until Keras has computed a case; whether it has before `end`.
    fn wait(&mut self, case: &Case, end: Option<Instant>) -> Result<bool> {
        loop {
            // Asked before, so that what is written last is seen.
            let ended = self.0.try_wait()?;
            if case.is_there() {
                return Ok(true);
            }
            ensure!(ended.is_none(), "the generator has ended before its last seed");
            if end.is_some_and(|end| Instant::now() > end) {
                return Ok(false);
            }
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What became of the cases.
#[derive(Default)]
struct Report {
    clean: usize,
    on_gpu: usize,
    /// Seeds that rounding decides.
    rounding: Vec<u64>,
    /// By reason.
    refused: BTreeMap<String, Vec<u64>>,
    failed: Vec<(u64, String)>,
}

impl Report {
    fn print(&self, took: Duration) {
        let refused: usize = self.refused.values().map(Vec::len).sum();
        for (reason, seeds) in &self.refused {
            println!("refused {:4}, such as seed {}: {reason}", seeds.len(), seeds[0]);
        }
        for (seed, why) in &self.failed {
            println!("FAILED seed {seed}: {why}");
        }
        if !self.failed.is_empty() {
            println!("their models are in {KEPT}");
        }
        println!(
            "keras-live: {} seeds in {:.0} s: {} clean ({} of them on the GPU device too; {} judged \
             after Keras computed them again: {:?}), {refused} refused, {} failed",
            self.clean + refused + self.failed.len(),
            took.as_secs_f64(),
            self.clean,
            self.on_gpu,
            self.rounding.len(),
            self.rounding,
            self.failed.len()
        );
    }
}

/// Compares on each device, the first being the CPU device. What differs, where something does.
fn judge(
    case: &Case,
    devices: &[&dyn Device],
    again: bool,
) -> Result<Result<Vec<String>, Refusal>> {
    let mut all = Vec::new();
    for (device, name) in devices.iter().zip(["CPU", "GPU"]) {
        let on = || format!("on the {name} device");
        // A panic is the failure of one seed, not of all.
        let computed = catch_unwind(AssertUnwindSafe(|| case.compute(*device)));
        let computed = computed.unwrap_or_else(|_| Err(anyhow!("it panics")));
        let got = match computed.with_context(on)? {
            Ok(got) => got,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let again = if again { case.again()? } else { None };
        let found =
            compare::compare(&got, &case.of_keras()?, again.as_ref(), &case.first_weights()?);
        all.extend(found.into_iter().map(|difference| format!("{} {difference}", on())));
    }
    Ok(Ok(all))
}

impl Report {
    /// Counts what became of one seed; `again`, where Keras has computed it again.
    fn add(
        &mut self,
        seed: u64,
        outcome: Result<Result<Vec<String>, Refusal>>,
        gpu: bool,
        again: bool,
    ) {
        match outcome {
            Ok(Ok(differences)) if differences.is_empty() => {
                self.clean += 1;
                self.on_gpu += usize::from(gpu);
                self.rounding.extend(again.then_some(seed));
            }
            Ok(Ok(differences)) => {
                let more = differences.len() - 1;
                self.failed.push((seed, format!("{}, and {more} more", differences[0])));
            }
            Ok(Err(Refusal(reason))) => {
                // One reason, whatever the numbers in it.
                let reason = reason.replace(|c: char| c.is_ascii_digit(), "#");
                self.refused.entry(reason).or_default().push(seed);
            }
            Err(error) => self.failed.push((seed, format!("{error:#}"))),
        }
    }
}

/// Keeps the files of a case that failed, and removes all others that no one asked for.
fn finish(case: &Case, failed: bool, keep: bool) -> Result<()> {
    let kept = Path::new(KEPT);
    for file in case.files() {
        if failed {
            fs::create_dir_all(kept)?;
            fs::copy(&file, kept.join(file.file_name().context("a file has a name")?))?;
        }
        if !keep {
            fs::remove_file(&file)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "cargo xtask keras-live runs it"]
fn keras_and_we_compute_the_same() -> Result<()> {
    let Some(python) = python::interpreter() else {
        skip_outside_ci("no Python 3.11 with tests/interchange/requirements.txt");
        return Ok(());
    };
    let asked = Asked::read();
    let own = tempfile::tempdir()?;
    let folder = asked.folder.as_deref().unwrap_or(own.path());
    let began = Instant::now();
    let end = asked.seconds.map(|seconds| began + Duration::from_secs(seconds));
    let mut generator = Generator::start(python, folder, &asked.seeds)?;
    let (cpu, _) = rnn::device::open("cpu")?;
    let gpu = rnn::device::open("gpu").ok().map(|(gpu, _)| gpu);
    if gpu.is_none() {
        skip_without_adapter();
    }
    let mut report = Report::default();
    let devices = |seed: u64| {
        let gpu = gpu.as_deref().filter(|_| seed.is_multiple_of(asked.gpu_every));
        [Some(&*cpu), gpu].into_iter().flatten().collect::<Vec<_>>()
    };
    // Seeds that Keras is to compute again.
    let mut doubtful = Vec::new();
    for seed in asked.seeds.clone() {
        let case = Case::new(folder, seed);
        if !generator.wait(&case, end)? {
            break;
        }
        let devices = devices(seed);
        let outcome = judge(&case, &devices, false);
        if outcome.as_ref().is_ok_and(|o| o.as_ref().is_ok_and(|found| !found.is_empty())) {
            doubtful.push(seed);
            continue;
        }
        let failed = outcome.is_err();
        report.add(seed, outcome, devices.len() > 1, false);
        finish(&case, failed, asked.folder.is_some())?;
    }
    if !doubtful.is_empty() {
        let seeds = doubtful.iter().map(u64::to_string);
        let again =
            Command::new(python).arg(GENERATE).arg(folder).arg("again").args(seeds).status();
        ensure!(again?.success(), "Keras does not compute the doubtful seeds again");
    }
    for seed in doubtful {
        let (case, devices) = (Case::new(folder, seed), devices(seed));
        let outcome = judge(&case, &devices, true);
        let failed = !outcome.as_ref().is_ok_and(|o| o.as_ref().is_ok_and(Vec::is_empty));
        report.add(seed, outcome, devices.len() > 1, true);
        finish(&case, failed, asked.folder.is_some())?;
    }
    report.print(began.elapsed());
    assert!(report.failed.is_empty(), "{} of the seeds fail", report.failed.len());
    assert!(report.clean > 0, "no seed was compared");
    Ok(())
}
