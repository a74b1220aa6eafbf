//! Windows without Windows: Wine, in a Debian sid, runs what is built for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::binary::WINDOWS;
use crate::chroot::{Chroot, output};

const PACKAGES: [&str; 5] = ["wine", "wine64", "libwine", "xvfb", "xauth"];
const LINKER: &str = "x86_64-w64-mingw32-gcc";

/// A Wine with a folder for the programs that it is to run.
pub struct Wine {
    /// The system that it is installed in.
    pub chroot: Chroot,
    /// The name of the folder, which is that of its path inside.
    name: &'static str,
    /// Seconds after which a program is broken off.
    longest: u32,
}

impl Wine {
    /// Makes sure that programs can be built for Windows and sets up Wine, with further `packages` of
    /// Debian and an empty folder `name`. Programs are broken off after `longest` seconds.
    ///
    /// # Errors
    /// Fails with a message about what is missing: the linker, Rust's target, or what
    /// [`Chroot::open`] needs.
    pub fn open(
        root: &Path,
        packages: &[&str],
        (name, longest): (&'static str, u32),
    ) -> Result<Self> {
        output(Command::new(LINKER).arg("--version"))
            .with_context(|| format!("{LINKER} is not installed"))?;
        let libraries =
            output(Command::new("rustc").args(["--print=target-libdir", "--target", WINDOWS]))?;
        ensure!(Path::new(libraries.trim()).exists(), "rustup target add {WINDOWS} was not run");
        let chroot = Chroot::open(root, &[&PACKAGES, packages].concat())?;
        chroot.empty_folder(name)?;
        // What Wine makes of it lasts for later runs.
        fs::create_dir_all(chroot.root.join("wine"))?;
        Ok(Self { chroot, name, longest })
    }

    /// Returns the path of the folder outside.
    pub fn folder(&self) -> PathBuf {
        self.chroot.root.join(self.name)
    }

    /// Runs `program`, which lies in the folder, with arguments and variables of the environment.
    ///
    /// # Errors
    /// Fails if Wine cannot be started.
    pub fn run(&self, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
        let mut command = self.chroot.command("timeout");
        command.arg(self.longest.to_string()).args(["env", "-C"]).arg(format!("/{}", self.name));
        // Names of files are those of the locale.
        command.args(["HOME=/wine", "WINEPREFIX=/wine/prefix", "WINEDEBUG=-all", "LC_ALL=C.UTF-8"]);
        command.arg("XDG_RUNTIME_DIR=/tmp");
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        command.args(["xvfb-run", "-a", "wine", program]).args(args);
        let ended = command.output().context("cannot start Wine");
        // What a program that was broken off has started goes on otherwise.
        let mut end = self.chroot.command("env");
        end.args(["WINEPREFIX=/wine/prefix", SERVER, "--kill"]);
        // It fails where nothing runs any more.
        let _ = end.output();
        ended
    }
}

/// The program behind all that runs under Wine.
const SERVER: &str = "/usr/lib/x86_64-linux-gnu/wine/wineserver";
