//! Tests of what Windows does otherwise than Unix, under Wine.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Outcome;
use crate::binary::build_windows;
use crate::wine::Wine;

/// Seconds after which the tests are broken off.
const LONGEST: u32 = 300;

/// Builds the Windows binary and the test `windows` of it, and runs that under Wine. If the machine
/// lacks what this takes, the outcome is skipped.
///
/// # Errors
/// Fails if the program does not build, or a file cannot be copied or a folder made.
pub fn run(root: &Path, cargo: &Path) -> Result<Outcome> {
    let wine = match Wine::open(root, &[], ("windows", LONGEST)) {
        Ok(wine) => wine,
        Err(missing) => return Ok(Outcome::Skipped(format!("windows: {missing:#}"))),
    };
    let built = build_windows(root, cargo)?;
    for (from, to) in [(&built.program, "rnn-gpu.exe"), (&built.test, "test.exe")] {
        fs::copy(from, wine.folder().join(to)).with_context(|| format!("cannot copy {to}"))?;
    }
    println!("wine {}", wine.chroot.version("wine")?);
    let said = wine.run("test.exe", &[], &[("RNN_GPU_PROGRAM", r"Z:\windows\rnn-gpu.exe")])?;
    println!("{}", String::from_utf8_lossy(&said.stdout));
    if !said.status.success() {
        println!("{}\nFAIL: windows: {}", String::from_utf8_lossy(&said.stderr), said.status);
    }
    Ok(Outcome::Ended(i32::from(!said.status.success())))
}
