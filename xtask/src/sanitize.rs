//! The `unsafe` blocks of the crates under Miri and AddressSanitizer, which a nightly toolchain has.
//!
//! Miri interprets the products of matrices and the prefetches at extents that no register block
//! divides, on slices of the exact length. It knows neither the vector instructions of this machine nor
//! a GPU's driver: AddressSanitizer runs the same tests, and `rnn-gpu verify --smoke` on all devices,
//! as they are compiled for users.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::Outcome;

const TOOLCHAIN: &str = "nightly";
const INSTALL: &str = "rustup toolchain install nightly --component miri,rust-src";

/// Runs what there is of each of them; the exit code is 1 if any finds something. If the toolchain
/// is not installed, the outcome is skipped.
///
/// # Errors
/// Fails if rustup cannot be started any more.
pub fn run(root: &Path) -> Result<Outcome> {
    let version = cargo(root).args(["miri", "--version"]).output();
    if !version.is_ok_and(|version| version.status.success()) {
        return Ok(Outcome::Skipped(format!("sanitize: no Miri; {INSTALL}")));
    }
    let host =
        Command::new("rustup").args(["run", TOOLCHAIN, "rustc", "--print=host-tuple"]).output();
    let host = String::from_utf8(host.context("cannot start rustup")?.stdout)?;

    let unit_tests = ["test", "--package=rnn-core", "--package=rnn-cpu", "--lib"];
    let mut miri = cargo(root);
    miri.arg("miri").args(unit_tests).args([
        "--target-dir=target/miri",
        "--",
        "product",
        "prefetch",
    ]);
    let address = |arguments: &[&str]| {
        let mut command = cargo(root);
        command.args(arguments).args(["--release", "--target-dir=target/asan", "--target"]);
        // With a target, build scripts and macros are compiled without the sanitizer.
        command.arg(host.trim()).env("RUSTFLAGS", "-Zsanitizer=address");
        // Drivers keep what they have allocated until the process ends.
        command.env("ASAN_OPTIONS", "detect_leaks=0");
        command
    };
    let mut verify = address(&["run", "--package=rnn-gpu"]);
    verify.args(["--", "verify", "--smoke"]);
    for mut command in [miri, address(&unit_tests), verify] {
        println!("$ {command:?}");
        if !command.status().context("cannot start rustup")?.success() {
            return Ok(Outcome::Ended(1));
        }
    }
    Ok(Outcome::Ended(0))
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", TOOLCHAIN, "cargo"]).current_dir(root);
    command
}
