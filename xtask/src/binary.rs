//! Building the command of this project.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The target triple of the Windows binary.
pub const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// Builds `rnn-gpu` of the work tree `tree`, optimized, with the cargo at `cargo` into the target
/// folder `folder`, and returns the path of the program. `target` is a target triple; `None` builds
/// for this machine.
///
/// # Errors
/// Fails if cargo cannot be started or the program does not build.
pub fn build(tree: &Path, cargo: &Path, folder: &Path, target: Option<&str>) -> Result<PathBuf> {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package", "rnn-gpu", "--bin", "rnn-gpu"]);
    command.arg("--target-dir").arg(folder).current_dir(tree);
    let mut built = folder.to_owned();
    if let Some(target) = target {
        command.args(["--target", target]);
        built.push(target);
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "{} does not build", tree.display());
    let windows = target.map_or(cfg!(windows), |target| target == WINDOWS);
    Ok(built.join("release").join(if windows { "rnn-gpu.exe" } else { "rnn-gpu" }))
}
