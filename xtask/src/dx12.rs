//! DX12 without Windows: Wine runs the Windows binary, Microsoft's own shader compiler (FXC) compiles
//! its HLSL, Wine's vkd3d and Mesa's software driver execute that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Outcome;
use crate::binary::{WINDOWS, build};
use crate::chroot::{Chroot, last_lines, output};

const PACKAGES: [&str; 8] = [
    "libvulkan1",
    "mesa-vulkan-drivers",
    "wine",
    "wine64",
    "libwine",
    "libvkd3d1",
    "xvfb",
    "xauth",
];
/// The package of npm that carries FXC.
const CARRIER: &str = "webgpu@0.6.2";
const FXC: &str = "package/dist/win32-x64/d3dcompiler_47.dll";
const LINKER: &str = "x86_64-w64-mingw32-gcc";
/// Seconds after which the verification is broken off.
const LONGEST: &str = "900";

/// Builds the Windows binary and verifies its DX12 device under Wine. A wrong kernel is a failure,
/// whatever the versions of Wine and vkd3d. If the machine lacks what this takes, the outcome is
/// skipped.
///
/// # Errors
/// Fails if the program does not build, or a file cannot be copied or a folder made.
pub fn run(root: &Path, cargo: &Path) -> Result<Outcome> {
    let (chroot, fxc) = match set_up(root) {
        Ok(there) => there,
        Err(missing) => return Ok(Outcome::Skipped(format!("dx12: {missing:#}"))),
    };
    let program = build(root, cargo, &root.join("target"), Some(WINDOWS))?;
    let folder = chroot.empty_folder("dx12")?;
    fs::copy(&program, folder.join("rnn-gpu.exe")).context("cannot copy the program")?;
    // What Wine makes of it lasts for later runs.
    fs::create_dir_all(chroot.root.join("wine"))?;
    fs::copy(&fxc, folder.join("d3dcompiler_47.dll")).context("cannot copy FXC")?;

    for package in ["wine", "libvkd3d1", "mesa-vulkan-drivers"] {
        println!("{package} {}", chroot.version(package)?);
    }
    let devices = output(wine(&chroot).arg("devices"))?;
    let lines = devices.lines().filter(|line| line.contains("(DX12"));
    let named: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    let device = named.first().with_context(|| format!("no DX12 device among\n{devices}"))?;
    let mut verify = wine(&chroot);
    verify.args(["verify", "--smoke", "--device", device]);
    let said = verify.output().context("cannot start Wine")?;
    let text = String::from_utf8_lossy(&said.stdout);
    println!("{}", last_lines(&text, 1));
    if !said.status.success() {
        println!("{text}\n{}", String::from_utf8_lossy(&said.stderr));
        println!("FAIL: dx12: {}", said.status);
    }
    Ok(Outcome::Ended(i32::from(!said.status.success())))
}

/// The chroot, and the path of FXC.
fn set_up(root: &Path) -> Result<(Chroot, PathBuf)> {
    output(Command::new(LINKER).arg("--version"))
        .with_context(|| format!("{LINKER} is not installed"))?;
    let libraries =
        output(Command::new("rustc").args(["--print=target-libdir", "--target", WINDOWS]))?;
    ensure!(Path::new(libraries.trim()).exists(), "rustup target add {WINDOWS} was not run");
    let fxc = fxc(root)?;
    Ok((Chroot::open(root, &PACKAGES)?, fxc))
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

/// A command that runs the program under Wine, with arguments to follow.
fn wine(chroot: &Chroot) -> Command {
    let mut command = chroot.command("timeout");
    command.args([LONGEST, "env", "-C", "/dx12", "HOME=/wine", "WINEPREFIX=/wine/prefix"]);
    command.args(["WINEDEBUG=-all", "WINEDLLOVERRIDES=d3dcompiler_47=n", "XDG_RUNTIME_DIR=/tmp"]);
    command.arg("VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.json");
    command.args(["xvfb-run", "-a", "wine", "rnn-gpu.exe"]);
    command
}
