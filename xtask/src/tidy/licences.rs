use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use spdx::{Expression, ParseMode};

use super::{SourceFile, Violation};

const DOCUMENT: &str = "deny.toml";

/// Checks that the licence of every package that is built in is on the list in `deny.toml`.
/// cargo-deny checks more, and CI runs it where it is installed; this check stands in for it elsewhere,
/// because compiling cargo-deny takes longer than all tests.
pub(super) fn check(root: &Path, files: &[SourceFile]) -> Result<Vec<Violation>> {
    let document = files.iter().find(|file| file.path == DOCUMENT);
    let document = document.with_context(|| format!("there is no {DOCUMENT}"))?;
    let allowed = allowed(&document.text)?;
    let output = Command::new(crate::cargo_path())
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(root)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        println!("SKIPPED licences: cargo has not all packages here, and cannot fetch them");
        return Ok(Vec::new());
    }
    let metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    Ok(refused(&metadata, &allowed))
}

/// The licences in the list `licenses.allow`.
fn allowed(document: &str) -> Result<BTreeSet<String>> {
    let document: Value = toml::from_str(document).context(DOCUMENT)?;
    let list = document["licenses"]["allow"].as_array();
    let list = list.with_context(|| format!("{DOCUMENT} has no list licenses.allow"))?;
    Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The packages that are built in, and whose licence asks for one that is not allowed.
fn refused(metadata: &Value, allowed: &BTreeSet<String>) -> Vec<Violation> {
    let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<String, Value> =
        all(&metadata["packages"]).into_iter().map(|p| (id(&p["id"]), p)).collect();
    let nodes: BTreeMap<String, Value> =
        all(&metadata["resolve"]["nodes"]).into_iter().map(|n| (id(&n["id"]), n)).collect();
    let mut waiting: Vec<String> = all(&metadata["workspace_members"]).iter().map(id).collect();
    let mut met = BTreeSet::new();
    while let Some(package) = waiting.pop() {
        let Some(node) = nodes.get(&package).filter(|_| met.insert(package)) else { continue };
        for dependency in all(&node["deps"]) {
            // What tests alone need is not built in.
            if all(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev") {
                waiting.push(id(&dependency["pkg"]));
            }
        }
    }
    let refused = met.iter().filter_map(|id| packages.get(id)).filter_map(|package| {
        let text = package["license"].as_str().unwrap_or_default();
        let may = |licence: &spdx::LicenseReq| allowed.contains(&licence.to_string());
        let parsed = Expression::parse_mode(text, ParseMode::LAX);
        let fine = parsed.is_ok_and(|expression| expression.evaluate(may));
        let what = format!("{} has the licence {text:?}", package["name"].as_str().unwrap_or("?"));
        let remedy = "do without it, or allow the licence";
        (!fine).then(|| Violation::new(DOCUMENT, 1, what, remedy))
    });
    refused.collect()
}

fn id(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_built_in_must_be_allowed() {
        let package = |id: &str, licence: &str| json!({"id": id, "name": id, "license": licence});
        let needs = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [
                package("us", "MIT OR Apache-2.0"), package("fine", "Unlicense/MIT"),
                package("odd", "MIT AND GPL-3.0-only"), package("tests", "MPL-2.0"),
                package("builds", ""),
            ],
            "workspace_members": ["us"],
            "resolve": {"nodes": [
                {"id": "us", "deps": [needs("fine", Value::Null), needs("tests", json!("dev"))]},
                {"id": "fine", "deps": [needs("odd", Value::Null), needs("builds", json!("build"))]},
                {"id": "odd", "deps": [needs("us", Value::Null)]},
                {"id": "tests", "deps": []},
                {"id": "builds", "deps": []},
            ]},
        });
        let allowed = allowed("licenses.allow = [\"MIT\"]").expect("a list");
        let found: Vec<_> =
            refused(&metadata, &allowed).iter().map(|violation| violation.what.clone()).collect();
        let wanted =
            ["builds has the licence \"\"", "odd has the licence \"MIT AND GPL-3.0-only\""];
        assert_eq!(found, wanted);
    }
}
