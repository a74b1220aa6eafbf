//! Building the command of this project.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The target triple of the Windows binary.
pub const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// What is built for Windows.
pub struct Windows {
    /// The path of the program.
    pub program: PathBuf,
    /// The path of the program's test `windows`.
    pub test: PathBuf,
}

/// Builds `rnn-gpu` and the test `windows` of it for Windows, optimized, with the cargo at `cargo`. It is
/// one call, since cargo would compile libraries twice, once with what the test wants of them.
///
/// # Errors
/// Fails if cargo cannot be started or something does not build.
pub fn build_windows(root: &Path, cargo: &Path) -> Result<Windows> {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package", "rnn-gpu", "--bin", "rnn-gpu"]);
    command.args(["--test", "windows", "--target", WINDOWS, "--target-dir"]);
    command.arg(root.join("target")).arg("--message-format=json-render-diagnostics");
    let built = command.current_dir(root).stderr(Stdio::inherit()).output();
    let built = built.context("cannot start cargo")?;
    ensure!(built.status.success(), "{} does not build for Windows", root.display());
    let messages = String::from_utf8_lossy(&built.stdout);
    let messages: Vec<Value> =
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let path = |name: &str| {
        let mut of_target = messages.iter().filter(|message| message["target"]["name"] == name);
        let path = of_target.find_map(|message| message["executable"].as_str());
        path.map(PathBuf::from).with_context(|| format!("cargo does not say where {name} is"))
    };
    Ok(Windows { program: path("rnn-gpu")?, test: path("windows")? })
}

/// Builds `rnn-gpu` of the work tree `tree`, optimized, with the cargo at `cargo` into the target
/// folder `folder`, and returns the path of the program.
///
/// # Errors
/// Fails if cargo cannot be started or the program does not build.
pub fn build(tree: &Path, cargo: &Path, folder: &Path) -> Result<PathBuf> {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package", "rnn-gpu", "--bin", "rnn-gpu"]);
    command.arg("--target-dir").arg(folder).current_dir(tree);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "{} does not build", tree.display());
    Ok(folder.join("release").join(if cfg!(windows) { "rnn-gpu.exe" } else { "rnn-gpu" }))
}
