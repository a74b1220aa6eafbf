//! DX12 without Windows: Wine runs the Windows binary, Microsoft's own shader compiler (FXC) compiles
//! its HLSL, Wine's vkd3d and Mesa's software driver execute that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::Outcome;
use crate::binary::build_windows;
use crate::chroot::{last_lines, output};
use crate::wine::Wine;

const PACKAGES: [&str; 3] = ["libvulkan1", "mesa-vulkan-drivers", "libvkd3d1"];
/// The package of npm that carries FXC.
const CARRIER: &str = "webgpu@0.6.2";
const FXC: &str = "package/dist/win32-x64/d3dcompiler_47.dll";
/// Seconds after which the verification is broken off.
const LONGEST: u32 = 900;
/// The compiler is Microsoft's, the driver Mesa's software.
const VARIABLES: [(&str, &str); 2] = [
    ("WINEDLLOVERRIDES", "d3dcompiler_47=n"),
    ("VK_DRIVER_FILES", "/usr/share/vulkan/icd.d/lvp_icd.json"),
];

/// Builds the Windows binary and verifies its DX12 device under Wine. A wrong kernel is a failure,
/// whatever the versions of Wine and vkd3d. If the machine lacks what this takes, the outcome is
/// skipped.
///
/// # Errors
/// Fails if the program does not build, or a file cannot be copied or a folder made.
pub fn run(root: &Path, cargo: &Path) -> Result<Outcome> {
    let (wine, fxc) = match set_up(root) {
        Ok(there) => there,
        Err(missing) => return Ok(Outcome::Skipped(format!("dx12: {missing:#}"))),
    };
    let built = build_windows(root, cargo)?;
    fs::copy(&built.program, wine.folder().join("rnn-gpu.exe"))
        .context("cannot copy the program")?;
    fs::copy(&fxc, wine.folder().join("d3dcompiler_47.dll")).context("cannot copy FXC")?;

    for package in ["wine", "libvkd3d1", "mesa-vulkan-drivers"] {
        println!("{package} {}", wine.chroot.version(package)?);
    }
    let listed = wine.run("rnn-gpu.exe", &["devices"], &VARIABLES)?;
    let devices = String::from_utf8_lossy(&listed.stdout);
    let mut lines = devices.lines();
    let line = lines.find(|line| line.contains("(DX12") && line.contains("shader compiler FXC"));
    let line = line.with_context(|| format!("no DX12 device with FXC among\n{devices}"))?;
    let device = line.split_whitespace().next().unwrap_or_default();
    let said = wine.run("rnn-gpu.exe", &["verify", "--smoke", "--device", device], &VARIABLES)?;
    let text = String::from_utf8_lossy(&said.stdout);
    println!("{}", last_lines(&text, 1));
    if !said.status.success() {
        println!("{text}\n{}", String::from_utf8_lossy(&said.stderr));
        println!("FAIL: dx12: {}", said.status);
    }
    Ok(Outcome::Ended(i32::from(!said.status.success())))
}

/// Wine, and the path of FXC.
fn set_up(root: &Path) -> Result<(Wine, PathBuf)> {
    let fxc = fxc(root)?;
    Ok((Wine::open(root, &PACKAGES, ("dx12", LONGEST))?, fxc))
}

/// Fetches FXC, if it is not there.
fn fxc(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/fxc");
    let path = folder.join(FXC);
    if !path.exists() {
        fs::create_dir_all(&folder)?;
        let pack = ["pack", "--silent", CARRIER];
        let said = output(Command::new("npm").args(pack).current_dir(&folder));
        let archive = said.with_context(|| format!("npm cannot fetch {CARRIER}"))?;
        let archive = archive.trim();
        output(Command::new("tar").args(["xzf", archive, FXC]).current_dir(&folder))?;
        fs::remove_file(folder.join(archive))?;
    }
    Ok(path)
}
