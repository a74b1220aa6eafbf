//! The scripts of the peers, and the Python that runs them.

use super::Timed;
use crate::bench::steps::Step;
use crate::cache;
use crate::experiment::Experiment;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// What a variant may take, compiling included.
const PATIENCE: Duration = Duration::from_secs(900);
const POLL: Duration = Duration::from_millis(20);

/// How the peers write their names.
const NAMES: [(&str, &str); 3] = [("keras", "Keras"), ("torch", "PyTorch"), ("jax", "JAX")];

/// `PEER_steps.py`: times one step a call, as `bench/peers/common.py` says.
pub struct Script {
    /// The peer.
    pub name: String,
    python: PathBuf,
    path: PathBuf,
    /// Whether it may see GPUs.
    gpu: bool,
    variants: Variants,
}

/// By experiment, then by `training` or `inference`.
type Variants = BTreeMap<String, BTreeMap<String, Vec<String>>>;

impl Script {
    /// Those in a folder whose peers Python has; the others are told.
    ///
    /// # Errors
    /// If there is none.
    pub fn all(folder: &Path, gpu: bool) -> Result<Vec<Self>> {
        let entries = fs::read_dir(folder)
            .with_context(|| format!("cannot read the peers' scripts in {}", folder.display()))?;
        let mut named: Vec<(String, PathBuf)> = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let stem = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if let Some(stem) = stem.strip_suffix("_steps.py") {
                named.push((stem.to_owned(), path));
            }
        }
        ensure!(!named.is_empty(), "{} holds no script PEER_steps.py", folder.display());
        named.sort();
        let python = python(folder)?;
        let mut found = Vec::new();
        for (stem, path) in named {
            let name = NAMES.iter().find(|(short, _)| *short == stem).map_or(&*stem, |(_, n)| n);
            let (name, python) = (name.to_owned(), python.clone());
            let mut script = Self { name, python, path, gpu, variants: Variants::new() };
            match script.call(&["--list-variants"]) {
                Ok(variants) => {
                    script.variants = variants;
                    found.push(script);
                }
                Err(error) => println!("{} is left out: {error:#}", script.name),
            }
        }
        ensure!(!found.is_empty(), "{} has none of the peers", python.display());
        Ok(found)
    }

    /// Those that are worth timing.
    pub fn variants(&self, experiment: &str, training: bool) -> Vec<String> {
        let mode = if training { "training" } else { "inference" };
        let modes = self.variants.get(experiment);
        modes.and_then(|modes| modes.get(mode)).cloned().unwrap_or_default()
    }

    /// Times a step.
    ///
    /// # Errors
    /// If it cannot, with what it said last, or takes too long.
    pub fn run(&self, step: &Step, variant: &str) -> Result<Timed> {
        let (batch, length) = (step.batch.to_string(), step.length.to_string());
        let mut arguments = vec!["--experiment", step.experiment.name(), "--variant", variant];
        arguments.extend(["--batch", &batch]);
        if step.experiment != Experiment::NextFrame {
            arguments.extend(["--length", &length]);
        }
        arguments.extend((!step.training).then_some("--inference"));
        self.call(&arguments)
    }

    /// What the last line of the output says in JSON.
    fn call<T: serde::de::DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        // In files, so that a script is never kept from writing.
        let (mut output, mut error) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = Command::new(&self.python);
        command.arg(&self.path).args(arguments);
        command.stdout(output.try_clone()?).stderr(error.try_clone()?);
        if !self.gpu {
            command.env("CUDA_VISIBLE_DEVICES", "-1").env("JAX_PLATFORMS", "cpu");
        }
        let status = wait(&mut command)?;
        let last_line = |of: &mut fs::File| -> Result<String> {
            let mut bytes = Vec::new();
            of.rewind()?;
            of.read_to_end(&mut bytes)?;
            let text = String::from_utf8_lossy(&bytes);
            Ok(text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned())
        };
        match status.success() {
            true => serde_json::from_str(&last_line(&mut output)?)
                .with_context(|| format!("{} printed no JSON", self.path.display())),
            false => bail!("{status}: {}", last_line(&mut error)?),
        }
    }
}

fn wait(command: &mut Command) -> Result<ExitStatus> {
    let mut child = command.spawn().context("cannot start Python")?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("not done after {} s", PATIENCE.as_secs());
        }
        thread::sleep(POLL);
    }
}

/// The interpreter in `RNN_GPU_PYTHON`, or one in the cache with the requirements of the scripts,
/// which are installed the first time.
fn python(folder: &Path) -> Result<PathBuf> {
    if let Some(python) = std::env::var_os("RNN_GPU_PYTHON") {
        return Ok(python.into());
    }
    let environment = cache::folder()?.join("peers");
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let requirements = folder.join("requirements.txt");
    let wanted = fs::read(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    // The copy says for which requirements the environment was completed.
    let done = environment.join("requirements.txt");
    if fs::read(&done).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    println!("installing {} into {}", requirements.display(), environment.display());
    let steps = [
        Command::new("python3").args(["-m", "venv"]).arg(&environment).status(),
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(&requirements)
            .status(),
    ];
    ensure!(
        steps.iter().all(|status| status.as_ref().is_ok_and(ExitStatus::success)),
        "cannot make a Python with the peers: install Python 3.11 with venv and pip, or name one \
         that has them in RNN_GPU_PYTHON"
    );
    fs::write(&done, wanted).with_context(|| format!("cannot write {}", done.display()))?;
    Ok(python)
}
