//! Rules that no compiler checks.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

const MAX_RUST_LINES: usize = 400;
const MAX_WGSL_LINES: usize = 300;
const MAX_ARCHITECTURE_LINES: usize = 200;

/// Files that may hold `unsafe`, each with one audited reason at its head.
const UNSAFE_ALLOWED: &[&str] =
    &["crates/rnn-cpu/src/product.rs", "crates/rnn-wgpu/src/trusted.rs", "xtask/src/tidy.rs"];

/// Words that must not be committed. Spelt in pieces, so that this file passes its own check.
const FORBIDDEN: &[&str] =
    &[concat!("todo", "!("), concat!("unimplemented", "!("), concat!("db", "g!(")];

/// Checks all files that git knows or would add; prints every violation.
pub fn run() -> Result<()> {
    let mut violations = Vec::new();
    let files = files()?;
    for path in &files {
        if let Ok(text) = fs::read_to_string(path) {
            violations.extend(check_file(path, &text));
        }
    }
    violations.extend(check_shaders(&files)?);
    let map = fs::read_to_string("ARCHITECTURE.md").context("ARCHITECTURE.md")?;
    violations.extend(check_dependencies(&map, &dependencies()?));
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("tidy: {} violations", violations.len());
    }
    println!("tidy: {} files", files.len());
    Ok(())
}

fn files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("cannot start git")?;
    let text = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn check_file(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    let limit = match path {
        _ if path.ends_with(".rs") => MAX_RUST_LINES,
        _ if path.ends_with(".wgsl") => MAX_WGSL_LINES,
        "ARCHITECTURE.md" => MAX_ARCHITECTURE_LINES,
        _ if path.ends_with(".md") || path.ends_with(".toml") => usize::MAX,
        _ => return found,
    };
    if lines > limit {
        found.push(format!("{path}: {lines} lines, at most {limit}; split it by subject"));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        found.push(format!("{path}: no newline at the end; add one"));
    }
    for (i, line) in text.lines().enumerate() {
        let mut complain = |message: &str| found.push(format!("{path}:{}: {message}", i + 1));
        if line.ends_with(' ') || line.ends_with('\t') {
            complain("white space at the end of the line; remove it");
        }
        if !path.ends_with(".rs") {
            continue;
        }
        if FORBIDDEN.iter().any(|word| line.contains(word)) {
            complain("unfinished work; finish it");
        }
        let code = line.split("//").next().unwrap_or_default();
        if code.contains("unsafe ") && !UNSAFE_ALLOWED.contains(&path) {
            complain("unsafe outside the audited files; use a safe interface");
        }
        if code.contains("[allow(") && !line.contains("reason =") && !line.trim_end().ends_with('(') {
            complain("an allow without a reason; add `reason = \"..\"`");
        }
    }
    found
}

fn check_shaders(files: &[String]) -> Result<Vec<String>> {
    let mut sources = String::new();
    for path in files.iter().filter(|p| p.ends_with(".rs")) {
        sources += &fs::read_to_string(path).unwrap_or_default();
    }
    let unused = files.iter().filter_map(|p| p.strip_prefix("shaders/")).filter(|name| {
        let stem = name.trim_end_matches(".wgsl");
        !sources.contains(&format!("/{name}\"")) && !sources.contains(&format!("shader!(\"{stem}\")"))
    });
    Ok(unused.map(|name| format!("shaders/{name}: no Rust file includes it; remove it")).collect())
}

type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// The normal dependencies among the workspace's crates, without their common prefix.
fn dependencies() -> Result<Dependencies> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cannot start cargo metadata")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let mut all = Dependencies::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(short) = name.strip_prefix("rnn-") else { continue };
        let normal = package["dependencies"].as_array().into_iter().flatten();
        let names = normal
            .filter(|d| d["kind"].is_null())
            .filter_map(|d| d["name"].as_str()?.strip_prefix("rnn-").map(str::to_owned));
        all.insert(short.to_owned(), names.collect());
    }
    Ok(all)
}

/// Compares the table `| rnn-NAME | .. | a, b |` with what cargo says.
fn check_dependencies(map: &str, actual: &Dependencies) -> Vec<String> {
    let mut written = Dependencies::new();
    for line in map.lines() {
        let cells: Vec<_> = line.split('|').map(|c| c.trim().trim_matches('`')).collect();
        if let [_, name, _, deps, _] = cells[..]
            && let Some(short) = name.strip_prefix("rnn-")
        {
            let deps = deps.split(',').map(|d| d.trim().trim_matches('`').to_owned());
            written.insert(short.to_owned(), deps.filter(|d| !d.is_empty() && d != "-").collect());
        }
    }
    let mut found = Vec::new();
    for name in written.keys().chain(actual.keys()).collect::<BTreeSet<_>>() {
        let (table, cargo) = (written.get(name), actual.get(name));
        if table != cargo {
            found.push(format!(
                "ARCHITECTURE.md: rnn-{name} depends on {cargo:?} by cargo, on {table:?} by the table; make them agree"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_file_passes_and_each_rule_bites() {
        assert!(check_file("a.rs", "fn f() {}\n").is_empty());
        let bad = [
            "fn f() {} \n",
            "fn f() {}",
            concat!("fn f() { todo", "!() }\n"),
            concat!("fn f() { uns", "afe { g() } }\n"),
            concat!("#[al", "low(dead_code)]\nfn f() {}\n"),
        ];
        for text in bad {
            assert_eq!(check_file("a.rs", text).len(), 1, "{text}");
        }
        assert_eq!(check_file("a.rs", &"x\n".repeat(401)).len(), 1);
    }

    #[test]
    fn the_table_must_agree_with_cargo() {
        let actual = Dependencies::from([
            ("core".into(), BTreeSet::new()),
            ("graph".into(), BTreeSet::from(["core".into()])),
        ]);
        let table = "| `rnn-core` | shapes | - |\n| `rnn-graph` | graphs | core |\n";
        assert!(check_dependencies(table, &actual).is_empty());
        assert_eq!(check_dependencies("| `rnn-core` | shapes | - |\n", &actual).len(), 1);
        assert_eq!(check_dependencies(&table.replace("core |", "ops |"), &actual).len(), 1);
    }
}
