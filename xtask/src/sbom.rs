//! A software bill of materials: what the program is built of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::chroot::output;
use crate::{Outcome, cargo_path};

const PACKAGE: &str = "rnn-gpu";

/// Writes `target/sbom/rnn-gpu.cdx.json`, which names all packages that `rnn-gpu` is built of for
/// `target`, a target triple, or for this machine. If cargo-cyclonedx is not installed, the outcome
/// is skipped.
///
/// # Errors
/// Fails if cargo-cyclonedx does, or if a package is missing from what it wrote.
pub fn run(root: &Path, target: Option<&str>) -> Result<Outcome> {
    let cargo = || {
        let mut command = Command::new(cargo_path());
        command.current_dir(root);
        command
    };
    if output(cargo().args(["cyclonedx", "--version"])).is_err() {
        let install = "cargo install --locked cargo-cyclonedx";
        return Ok(Outcome::Skipped(format!("sbom: it is not installed; {install}")));
    }
    let of_target = target.map(|target| ["--target", target]);
    let mut write = cargo();
    write.args(["cyclonedx", "--quiet", "--format=json", "--spec-version=1.5"]);
    output(write.args(of_target.into_iter().flatten()))?;
    let folder = root.join("target/sbom");
    fs::create_dir_all(&folder)?;
    let list = folder.join(format!("{PACKAGE}.cdx.json"));
    // It describes all members of the workspace, each beside its manifest.
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let written = manifest.with_file_name(format!("{name}.cdx.json"));
        match name {
            PACKAGE => fs::rename(&written, &list),
            _ => fs::remove_file(&written),
        }
        .with_context(|| format!("cargo-cyclonedx wrote no {}", written.display()))?;
    }

    // Where the project lies on this machine is nobody's business.
    let here = format!("{}/", root.display()).replace('\\', "/");
    let text = fs::read_to_string(&list)?.replace(&here, "");
    fs::write(&list, &text)?;
    let bom: Value = serde_json::from_str(&text).context("what cargo-cyclonedx wrote")?;
    ensure!(bom["specVersion"] == "1.5", "it is of version {}", bom["specVersion"]);
    let tree = ["tree", "--package", PACKAGE, "--edges=normal", "--prefix=none", "--format={p}"];
    let tree = output(cargo().args(tree).args(of_target.into_iter().flatten()))?;
    let (built_of, named) = (packages(&tree), components(&bom));
    let missing: Vec<_> = built_of.difference(&named).collect();
    ensure!(missing.is_empty(), "{} does not name {missing:?}", list.display());
    println!("{}: {} packages", list.display(), named.len());
    Ok(Outcome::Ended(0))
}

/// Names and versions in the lines of `cargo tree`: `rnn v0.1.0 (path)`.
fn packages(tree: &str) -> BTreeSet<(&str, &str)> {
    let named = tree.lines().filter_map(|line| line.split_once(" v"));
    named.map(|(name, rest)| (name, rest.split(' ').next().unwrap_or(rest))).collect()
}

/// Names and versions of the components of a list, and of the program.
fn components(bom: &Value) -> BTreeSet<(&str, &str)> {
    let all = bom["components"].as_array().into_iter().flatten();
    let all = all.chain([&bom["metadata"]["component"]]);
    all.filter_map(|part| Some((part["name"].as_str()?, part["version"].as_str()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packages_of_a_tree_are_compared_with_those_of_a_list() {
        let tree = "rnn-gpu v0.1.0 (a path)\nash v0.38.0+1.3.281\nserde_derive v1.0.1 (proc-macro)\n\
                    ash v0.38.0+1.3.281 (*)\n";
        let part = |name: &str, version: &str| json!({"name": name, "version": version});
        let bom = json!({
            "metadata": {"component": part("rnn-gpu", "0.1.0")},
            "components": [part("ash", "0.38.0+1.3.281"), part("serde_derive", "1.0.1")],
        });
        assert_eq!(packages(tree), components(&bom));
        assert_eq!(packages(tree).len(), 3);
    }
}
