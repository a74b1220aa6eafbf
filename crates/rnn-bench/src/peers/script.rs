//! The programs of peers: Python scripts, the Python that runs them, and the crate of burn.

use super::Timed;
use crate::steps::BenchStep;
use anyhow::{Context, Result, bail, ensure};
use rnn::cache;
use rnn_run::experiment::Experiment;
use rnn_run::host::Host;
use std::collections::BTreeMap;
use std::env::consts::EXE_EXTENSION;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The time that a variant may take, compiling included.
const PATIENCE: Duration = Duration::from_secs(900);
const POLL: Duration = Duration::from_millis(20);

/// The names of the peers in results.
const NAMES: [(&str, &str); 3] = [("keras", "Keras"), ("torch", "PyTorch"), ("jax", "JAX")];

/// The program of a peer, which times one step at each call: a script `PEER_steps.py`, or the crate
/// of burn. The file `bench/peers/common.py` specifies its arguments and output.
pub struct Script {
    /// Name of the peer.
    pub name: String,
    program: PathBuf,
    /// The arguments before all others.
    first: Vec<OsString>,
    /// True if it may see GPUs.
    gpu: bool,
    variants: Variants,
}

/// By experiment, then by `training` or `inference`.
type Variants = BTreeMap<String, BTreeMap<String, Vec<String>>>;

impl Script {
    /// Returns the peers that can be run: those installed among the scripts in `folder` and, if
    /// `burn` is true, burn if it can be compiled. If `gpu` is false, GPUs are hidden from them.
    /// `host` gets a line for each peer that is left out. The first call may install a Python
    /// environment, unless `RNN_GPU_PYTHON` names a Python.
    ///
    /// # Errors
    /// Fails if the folder cannot be read or holds no script, there is no Python, or no peer can be
    /// run.
    pub fn all(folder: &Path, gpu: bool, burn: bool, host: &dyn Host) -> Result<Vec<Self>> {
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
        let python = python(folder, host)?;
        let mut found = Vec::new();
        for (stem, path) in named {
            let name = NAMES.iter().find(|(short, _)| *short == stem).map_or(&*stem, |(_, n)| n);
            found.extend(Self::asked(name, &python, vec![path.into()], gpu, host));
        }
        if !burn {
            host.tell(format_args!("SKIPPED burn: it was not asked for"));
        } else {
            match compiled(&folder.join("burn"), host) {
                Ok(program) => {
                    let first = gpu.then(|| "--gpu".into()).into_iter().collect();
                    found.extend(Self::asked("burn", &program, first, gpu, host));
                }
                Err(error) => host.tell(format_args!("SKIPPED burn: {error:#}")),
            }
        }
        ensure!(!found.is_empty(), "{} has none of the peers", python.display());
        Ok(found)
    }

    /// A peer that has said which variants it has; one that cannot is told.
    fn asked(
        name: &str,
        program: &Path,
        first: Vec<OsString>,
        gpu: bool,
        host: &dyn Host,
    ) -> Option<Self> {
        let (name, program) = (name.to_owned(), program.to_owned());
        let mut script = Self { name, program, first, gpu, variants: Variants::new() };
        match script.call(&["--list-variants"], host) {
            Ok(variants) => {
                script.variants = variants;
                Some(script)
            }
            Err(error) => {
                host.tell(format_args!("SKIPPED {}: {error:#}", script.name));
                None
            }
        }
    }

    /// Returns the names of the variants in which the peer can time an experiment: its training
    /// step if `training` is true, else its inference. The list is empty if there are none.
    pub fn variants(&self, experiment: &str, training: bool) -> Vec<String> {
        let mode = if training { "training" } else { "inference" };
        let modes = self.variants.get(experiment);
        modes.and_then(|modes| modes.get(mode)).cloned().unwrap_or_default()
    }

    /// Times a step in the variant `variant` by running the program of the peer. If the program of
    /// `host` ends meanwhile, that of the peer is ended too.
    ///
    /// # Errors
    /// Fails if the program cannot be started, fails, prints no result, or takes longer than 15
    /// minutes. If it fails, the error holds the last line of its standard error.
    pub fn run(&self, step: &BenchStep, variant: &str, host: &dyn Host) -> Result<Timed> {
        let (batch, length) = (step.batch.to_string(), step.length.to_string());
        let mut arguments = vec!["--experiment", step.experiment.name(), "--variant", variant];
        arguments.extend(["--batch", &batch]);
        if step.experiment != Experiment::NextFrame {
            arguments.extend(["--length", &length]);
        }
        arguments.extend((!step.training).then_some("--inference"));
        self.call(&arguments, host)
    }

    /// Runs the program and parses the last line of its output as JSON.
    fn call<T: serde::de::DeserializeOwned>(
        &self,
        arguments: &[&str],
        host: &dyn Host,
    ) -> Result<T> {
        // In files, so that a script is never kept from writing.
        let (mut output, mut error) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = Command::new(&self.program);
        command.args(&self.first).args(arguments);
        command.stdout(output.try_clone()?).stderr(error.try_clone()?);
        if !self.gpu {
            command.env("CUDA_VISIBLE_DEVICES", "-1").env("JAX_PLATFORMS", "cpu");
        }
        let status = wait(&mut command, host)?;
        let last_line = |of: &mut fs::File| -> Result<String> {
            let mut bytes = Vec::new();
            of.rewind()?;
            of.read_to_end(&mut bytes)?;
            let text = String::from_utf8_lossy(&bytes);
            Ok(text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned())
        };
        match status.success() {
            true => serde_json::from_str(&last_line(&mut output)?)
                .with_context(|| format!("{} printed no JSON", self.name)),
            false => bail!("{status}: {}", last_line(&mut error)?),
        }
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(command: &mut Command, host: &dyn Host) -> Result<ExitStatus> {
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let child = Arc::new(Mutex::new(child));
    let _end = host.at_end({
        let child = child.clone();
        Box::new(move || drop(lock(&child).kill()))
    });
    let started = Instant::now();
    loop {
        let mut child = lock(&child);
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("not done after {} s", PATIENCE.as_secs());
        }
        drop(child);
        thread::sleep(POLL);
    }
}

/// The interpreter in `RNN_GPU_PYTHON`, or one in the cache with the requirements of the scripts,
/// which are installed the first time.
fn python(folder: &Path, host: &dyn Host) -> Result<PathBuf> {
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
    let shown = environment.display();
    host.tell(format_args!("installing {} into {shown}", requirements.display()));
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

/// The program of burn's crate, which cargo compiles; the first time for minutes.
fn compiled(crate_folder: &Path, host: &dyn Host) -> Result<PathBuf> {
    let target = crate_folder.join("target");
    host.tell(format_args!("compiling {}", crate_folder.display()));
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(crate_folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo cannot build {}", crate_folder.display());
    Ok(target.join("release/burn-steps").with_extension(EXE_EXTENSION))
}
