//! A Debian sid in a folder, from the mirror that this machine's apt is set up with: its Mesa has
//! drivers that compile for absent cards, its Wine runs the Windows binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A chroot with the packages that were asked for.
pub struct Chroot {
    /// Its root folder.
    pub root: PathBuf,
}

/// Mounts what programs expect, for the command alone: in a namespace of its own, which ends with it.
const ENTER: &str = "mount -t proc proc \"$0/proc\" && mount --rbind /dev \"$0/dev\" && \
                     exec chroot \"$0\" \"$@\"";

impl Chroot {
    /// Sets the chroot up in `target/debian-sid` of the folder `workspace` if it is not there, and
    /// installs `packages` that it lacks.
    ///
    /// # Errors
    /// Fails with a message about what is missing: Linux, root, a program, the mirror or a package.
    pub fn open(workspace: &Path, packages: &[&str]) -> Result<Self> {
        ensure!(cfg!(target_os = "linux"), "only Linux has chroots");
        let user = output(Command::new("id").arg("-u")).context("cannot ask who runs this")?;
        ensure!(user.trim() == "0", "only root can enter a chroot");
        for program in ["debootstrap", "unshare", "chroot", "mount"] {
            let found = output(Command::new("sh").args(["-c", "command -v \"$0\"", program]));
            ensure!(found.is_ok(), "{program} is not installed");
        }
        let root = workspace.join("target/debian-sid");
        let ready = root.join("ready");
        if !ready.exists() {
            if root.exists() {
                fs::remove_dir_all(&root).context("cannot remove an incomplete chroot")?;
            }
            println!("$ debootstrap sid {}", root.display());
            let mut debootstrap = Command::new("debootstrap");
            debootstrap.args(["--variant=minbase", "sid"]).arg(&root).args(mirror());
            quiet(&mut debootstrap).context("debootstrap failed")?;
            fs::write(&ready, "").context("cannot write into the chroot")?;
        }
        let chroot = Self { root };
        chroot.install(packages)?;
        Ok(chroot)
    }

    fn install(&self, packages: &[&str]) -> Result<()> {
        if packages.iter().all(|package| self.version(package).is_ok()) {
            return Ok(());
        }
        // The names of hosts are looked up as they are outside.
        fs::copy("/etc/resolv.conf", self.root.join("etc/resolv.conf"))
            .context("cannot copy /etc/resolv.conf")?;
        println!("$ apt-get install {}", packages.join(" "));
        let apt = |arguments: &[&str]| {
            let mut command = self.command("apt-get");
            command.args(["-qq", "-o", "Acquire::Check-Valid-Until=false"]).args(arguments);
            quiet(command.env("DEBIAN_FRONTEND", "noninteractive"))
        };
        apt(&["update"]).context("the mirror of Debian sid cannot be had")?;
        let install = ["install", "--yes", "--no-install-recommends"];
        apt(&[&install[..], packages].concat()).context("a package cannot be had")
    }

    /// Returns the installed version of a package.
    ///
    /// # Errors
    /// Fails if it is not installed.
    pub fn version(&self, package: &str) -> Result<String> {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args([
            "dpkg-query",
            "--show",
            "--showformat=${db:Status-Status} ${Version}",
        ]);
        let said = output(command.arg(package))?;
        let version = said.trim().strip_prefix("installed ");
        Ok(version.with_context(|| format!("{package} is not installed"))?.to_owned())
    }

    /// Returns a command that runs a program inside, with its own /proc and this machine's /dev.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER]);
        command.arg(&self.root).arg(program);
        command
    }

    /// Makes an empty folder with the path `name` inside, in place of one that is there, and
    /// returns its path outside.
    ///
    /// # Errors
    /// Fails if it cannot be made, or an earlier one cannot be removed.
    pub fn empty_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

/// The first mirror of Debian itself among the sources of apt; none, for debootstrap's own.
fn mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let folder = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten();
    files.extend(folder.filter_map(|entry| Some(entry.ok()?.path())));
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.collect::<Vec<_>>().iter().find_map(|text| mirror_in(text))
}

fn mirror_in(sources: &str) -> Option<String> {
    let lines = sources.lines().filter(|line| !line.trim_start().starts_with('#'));
    let is_mirror = |word: &&str| {
        let path = word.trim_end_matches('/');
        word.starts_with("http") && path.ends_with("/debian")
    };
    lines.flat_map(str::split_whitespace).find(is_mirror).map(str::to_owned)
}

/// Runs a command and shows what it said only if it failed.
fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs a command without input, waits for its end and returns what it wrote to standard output.
///
/// # Errors
/// Fails if it cannot be started or ends with a failure; the message then has the last lines of
/// what it wrote.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        bail!("{name}: {}: {}", output.status, last_lines(&said, 5));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the last `count` lines of a text without the blank ones at its ends, or all if there are
/// fewer.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::mirror_in;

    #[test]
    fn mirrors_are_found_in_both_formats_of_sources() {
        let old = "# deb http://a/debian sid main\ndeb http://b/debian/ sid main\n";
        assert_eq!(mirror_in(old).as_deref(), Some("http://b/debian/"));
        let new = "Types: deb\nURIs: https://c/debian\nSuites: sid\n";
        assert_eq!(mirror_in(new).as_deref(), Some("https://c/debian"));
        assert_eq!(mirror_in("deb https://d/other stable main"), None);
    }
}
