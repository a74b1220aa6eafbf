use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{SourceFile, Violation};

/// The only crate that may name wgpu, so that another GPU interface could take its place.
const GPU_CRATE: &str = "rnn-wgpu";

/// The packages of the workspace by name.
pub(super) struct Workspace {
    /// The packages, by name.
    pub packages: BTreeMap<String, Package>,
}

/// What a package depends on.
pub(super) struct Package {
    /// The path of its manifest, relative to the root.
    pub manifest: String,
    /// The workspace packages it depends on, tests and build scripts aside.
    pub internal: BTreeSet<String>,
    /// The packages from outside the workspace that it depends on in any way.
    pub external: BTreeSet<String>,
}

impl Workspace {
    /// Asks `cargo metadata` for the packages of the workspace at `root` and the dependencies that
    /// they declare.
    ///
    /// # Errors
    /// Fails if cargo cannot be started or reports a failure, as it does where there is no
    /// workspace, or if its output is not JSON or lacks a part that is expected.
    pub fn load(root: &Path) -> Result<Self> {
        let output = Command::new(crate::cargo_path())
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(root)
            .output()
            .context("cannot start cargo")?;
        ensure!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        Self::from_metadata(&metadata)
    }

    /// Reads the packages and their dependencies from the output of `cargo metadata`.
    ///
    /// # Errors
    /// Fails if the output lacks a part that is expected, such as the name or the dependencies of a
    /// package.
    pub fn from_metadata(metadata: &Value) -> Result<Self> {
        let root = text(metadata, "workspace_root")?;
        let packages = list(metadata, "packages")?;
        let members = packages.iter().map(|p| text(p, "name")).collect::<Result<BTreeSet<_>>>()?;
        let packages = packages
            .iter()
            .map(|p| Ok((text(p, "name")?.to_owned(), Package::from_metadata(p, root, &members)?)))
            .collect::<Result<_>>()?;
        Ok(Self { packages })
    }
}

impl Package {
    fn from_metadata(package: &Value, root: &str, members: &BTreeSet<&str>) -> Result<Self> {
        let manifest = text(package, "manifest_path")?;
        let manifest = manifest.strip_prefix(root).unwrap_or(manifest).replace('\\', "/");
        let dependencies = list(package, "dependencies")?;
        let internal = dependencies
            .iter()
            // A normal dependency has no kind.
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| members.contains(name))
            .map(str::to_owned)
            .collect();
        let external = dependencies
            .iter()
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| !members.contains(name))
            .map(str::to_owned)
            .collect();
        Ok(Self { manifest: manifest.trim_start_matches('/').to_owned(), internal, external })
    }
}

/// Checks that wgpu stays behind one crate.
pub(super) fn check(files: &[SourceFile], workspace: &Workspace) -> Vec<Violation> {
    workspace
        .packages
        .iter()
        .filter(|(name, package)| package.external.contains("wgpu") && *name != GPU_CRATE)
        .map(|(name, package)| {
            let line = line_naming(files, &package.manifest, "wgpu");
            let what = format!("{name} depends on wgpu");
            Violation::new(&package.manifest, line, what, "go through rnn-wgpu")
        })
        .collect()
}

/// The line of a manifest on which a dependency begins; 1 if there is none.
pub(super) fn line_naming(files: &[SourceFile], manifest: &str, dependency: &str) -> usize {
    let begins = |line: &str| {
        line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    };
    files
        .iter()
        .find(|file| file.path == manifest)
        .and_then(|file| file.text.lines().position(begins))
        .map_or(1, |index| index + 1)
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata holds no text `{key}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    let list = value[key].as_array();
    list.map(Vec::as_slice).with_context(|| format!("cargo metadata holds no list `{key}`"))
}

#[cfg(test)]
pub(super) fn example() -> Workspace {
    let dependency = |name: &str| serde_json::json!({ "name": name, "kind": null });
    let metadata = serde_json::json!({
        "workspace_root": "/project",
        "packages": [
            {
                "name": "rnn-core",
                "manifest_path": "/project/crates/rnn-core/Cargo.toml",
                "dependencies": [dependency("half")],
            },
            {
                "name": "rnn-graph",
                "manifest_path": "/project/crates/rnn-graph/Cargo.toml",
                "dependencies": [dependency("rnn-core"), { "name": "wgpu", "kind": "dev" }],
            },
            {
                "name": "rnn-wgpu",
                "manifest_path": "/project/crates/rnn-wgpu/Cargo.toml",
                "dependencies": [
                    dependency("wgpu"),
                    dependency("rnn-core"),
                    dependency("rnn-graph"),
                    { "name": "xtask", "kind": "dev" },
                ],
            },
            {
                "name": "xtask",
                "manifest_path": "/project/xtask/Cargo.toml",
                "dependencies": [dependency("clap")],
            },
        ],
    });
    Workspace::from_metadata(&metadata).expect("the example is complete")
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn normal_dependencies_within_the_workspace_count() {
        let workspace = example();
        let internal = |name: &str| Vec::from_iter(workspace.packages[name].internal.clone());
        assert_eq!(internal("rnn-core"), [""; 0]);
        assert_eq!(internal("rnn-wgpu"), ["rnn-core", "rnn-graph"]);
        assert_eq!(workspace.packages["xtask"].manifest, "xtask/Cargo.toml");
    }

    #[test]
    fn wgpu_stays_behind_one_crate() {
        let manifest = file(
            "crates/rnn-graph/Cargo.toml",
            "[dev-dependencies]\nwgpu-hal = 1\nwgpu.workspace = true\n",
        );
        let found: Vec<_> =
            check(&[manifest], &example()).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["crates/rnn-graph/Cargo.toml:3: rnn-graph depends on wgpu; go through rnn-wgpu"]
        );
    }

    #[test]
    fn metadata_that_lacks_a_part_is_an_error() {
        assert!(Workspace::from_metadata(&serde_json::json!({})).is_err());
    }
}
