//! One card: its driver compiles the kernels of this program, and says what it made of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::cards::{Card, Driver};
use super::figures::Figures;
use super::hot_loops;
use crate::chroot::{Chroot, output};

/// Path in the chroot of the folder of the Vulkan layer that writes the figures of kernels.
pub const LAYER: &str = "/layer";
/// Path of the program `rnn-gpu` in the chroot.
pub const PROGRAM: &str = "/kernels/rnn-gpu";

/// Seconds after which a driver counts as hung.
const LONGEST: &str = "900";

/// What a card's driver compiled: the figures of kernels, and the limit that they are held to.
pub struct Compiled {
    /// Bytes of shared memory that a workgroup may have.
    pub limit: u64,
    /// The kernels, each once.
    pub kernels: Vec<Figures>,
}

/// The choice of kernels to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Those of training and inference of the five experiments.
    Steps,
    /// Those of all cases of `verify`, too.
    All,
}

/// Compiles the kernels that `kernels` names for a card, with the program [`PROGRAM`] in the
/// chroot, and returns their figures.
///
/// # Errors
/// Fails if the driver refuses a kernel or ends the program, or this takes too long, with what the
/// program said.
pub fn compile(chroot: &Chroot, card: Card, kernels: Kernels) -> Result<Compiled> {
    let folder = format!("kernels/{}-{kernels:?}", card.name.replace(' ', "-"));
    let outside = chroot.empty_folder(&folder)?;
    let statistics = format!("/{folder}/statistics");
    let assembly = (kernels == Kernels::Steps && card.driver == Driver::Nvk).then_some(&folder);

    let mut command = chroot.command("timeout");
    command.args([LONGEST, "env"]);
    command.args(["WGPU_DEBUG=1", "VK_INSTANCE_LAYERS=VK_LAYER_kernel_statistics"]);
    command.args(["MESA_SHADER_CACHE_DISABLE=true", "XDG_RUNTIME_DIR=/tmp"]);
    command.arg(format!("VK_LAYER_PATH={LAYER}"));
    command.arg(format!("KERNEL_STATISTICS={statistics}"));
    command.args(assembly.map(|folder| format!("KERNEL_ASSEMBLY=/{folder}")));
    command.args(card.environment().iter().map(|(name, value)| format!("{name}={value}")));
    command.args([PROGRAM, "verify", "--compile-only", "--device=gpu:0"]);
    if kernels == Kernels::Steps {
        command.args(["--filter", "experiment"]);
    }
    output(&mut command).with_context(|| format!("{} does not compile all kernels", card.name))?;
    read(&outside, card.driver)
}

/// Reads what the layer wrote into a folder.
fn read(folder: &Path, driver: Driver) -> Result<Compiled> {
    let text = fs::read_to_string(folder.join("statistics")).context("the layer wrote nothing")?;
    let mut lines = text.lines();
    let limit = lines.next().and_then(|line| line.strip_prefix("limit\t")?.parse().ok());
    let limit = limit.context("the layer wrote no limit")?;
    let mut kernels: Vec<Figures> = Vec::new();
    for line in lines {
        let (number, mut figures) = Figures::parse(line, driver)?;
        let assembly = folder.join(format!("{number}.NAK-assembly"));
        if let Ok(assembly) = fs::read(assembly) {
            figures.hot_loop = hot_loops::hottest(&String::from_utf8_lossy(&assembly));
        }
        kernels.push(figures);
    }
    ensure!(!kernels.is_empty(), "the layer saw no pipeline");
    kernels.sort_by(|a, b| a.kernel.cmp(&b.kernel));
    kernels.dedup_by(|a, b| a.kernel == b.kernel);
    Ok(Compiled { limit, kernels })
}
