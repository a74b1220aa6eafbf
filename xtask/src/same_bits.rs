//! Whether two commits train to the same weights, bit for bit.
//!
//! A change that only moves or renames code leaves every bit of a training as it was. This check
//! builds another commit beside the working tree, runs the same short trainings with both binaries
//! on both devices of this machine, and compares the tensors that they write, byte by byte; what
//! else the files say may change from version to version. Hashes of weights are not committed,
//! because other processors and drivers round otherwise.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::binary::build;

/// A training that takes seconds: arguments of `rnn-gpu train` behind the device.
struct Training {
    name: &'static str,
    arguments: &'static [&'static str],
}

const TRAININGS: [Training; 5] = [
    Training { name: "simple-rnn", arguments: &["simple-rnn", "--limit=24", "--length=40"] },
    Training { name: "lstm", arguments: &["lstm", "--limit=24", "--length=40"] },
    Training { name: "lstm-dropout", arguments: &["lstm-dropout", "--limit=24", "--length=40"] },
    Training { name: "cnn-lstm", arguments: &["cnn-lstm", "--limit=24", "--length=40"] },
    Training {
        name: "next-frame",
        arguments: &["next-frame", "--preset=quick", "--size=8", "--length=4", "--movies=12"],
    },
];
const COMMON: [&str; 4] = ["--epochs=2", "--batch-size=8", "--offline", "--checkpoint-every=never"];
const DEVICES: [&str; 2] = ["cpu", "gpu"];

/// Trains with `rnn-gpu` of the working tree at `root` and of `commit`, on each device, prints a
/// line for each training and returns the exit code: 1 if the weights of any differ, else 0.
///
/// # Errors
/// Fails if the commit cannot be checked out, a program does not build, or a training fails.
pub fn run(root: &Path, cargo: &Path, commit: &str) -> Result<i32> {
    let folder = root.join("target/same-bits");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let tree = folder.join("tree");
    check_out(root, &tree, commit)?;
    let before = build(&tree, cargo, &folder.join("build"))?;
    let after = build(root, cargo, &root.join("target"))?;
    let mut different = 0;
    for training in &TRAININGS {
        for device in DEVICES {
            let [old, new] = [("before", &before), ("after", &after)].map(|(side, binary)| {
                let out = folder.join(format!("{side}-{}-{device}", training.name));
                train(binary, training, device, &out)
            });
            let same = old? == new?;
            println!("{:12} {device}: {}", training.name, if same { "same" } else { "DIFFERENT" });
            different += usize::from(!same);
        }
    }
    println!("same-bits: {different} of {} differ", TRAININGS.len() * DEVICES.len());
    Ok(i32::from(different > 0))
}

/// Puts the files of a commit into a work tree of their own.
fn check_out(root: &Path, tree: &Path, commit: &str) -> Result<()> {
    let git = |args: &[&str], folder: &Path| -> Result<()> {
        let status = Command::new("git").args(args).current_dir(folder).status();
        let status = status.context("cannot start git")?;
        ensure!(status.success(), "git {} failed", args.join(" "));
        Ok(())
    };
    if tree.exists() {
        return git(&["checkout", "--quiet", "--detach", commit], tree);
    }
    let path = tree.to_str().context("the path of the project is no text")?;
    git(&["worktree", "prune"], root)?;
    git(&["worktree", "add", "--quiet", "--detach", path, commit], root)
}

/// The weights that a training leaves in its run folder: their names, types, shapes and places, and
/// their bytes.
fn train(binary: &Path, training: &Training, device: &str, out: &Path) -> Result<(Value, Vec<u8>)> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    let output = Command::new(binary)
        .arg("train")
        .args(training.arguments)
        .args(COMMON)
        .args(["--device", device, "--out"])
        .arg(out)
        .output()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    ensure!(
        output.status.success(),
        "{} on {device} failed: {}",
        training.name,
        String::from_utf8_lossy(&output.stderr)
    );
    let weights = out.join("weights.safetensors");
    let file = fs::read(&weights).with_context(|| format!("cannot read {}", weights.display()))?;
    tensors(&file).with_context(|| format!("{} is no safetensors file", weights.display()))
}

/// Splits a safetensors file, which has the length of its header in eight bytes, its header as JSON and
/// the bytes of the tensors, into the header without metadata and those bytes.
fn tensors(file: &[u8]) -> Result<(Value, Vec<u8>)> {
    let (length, rest) = file.split_first_chunk::<8>().context("it has no header")?;
    let length = usize::try_from(u64::from_le_bytes(*length))?;
    let (header, bytes) = rest.split_at_checked(length).context("it ends within its header")?;
    let mut header: Value = serde_json::from_slice(header)?;
    if let Some(entries) = header.as_object_mut() {
        entries.remove("__metadata__");
    }
    Ok((header, bytes.to_vec()))
}
