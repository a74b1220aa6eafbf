use std::collections::{BTreeMap, BTreeSet};

use super::workspace::{Workspace, line_naming};
use super::{SourceFile, Violation, table};

const DOCUMENT: &str = "ARCHITECTURE.md";
const MAX_LINES: usize = 200;
const PREFIX: &str = "rnn-";

/// A row of the dependency table: what a crate may depend on, and on which line that is said.
struct Row {
    line: usize,
    dependencies: BTreeSet<String>,
}

/// Checks that the dependency table of the architecture document is what cargo sees.
pub(super) fn check(files: &[SourceFile], workspace: &Workspace) -> Vec<Violation> {
    let Some(document) = files.iter().find(|file| file.path == DOCUMENT) else {
        return vec![Violation::new(DOCUMENT, 1, "the file is missing", "write it")];
    };
    let Some(table) = dependency_table(&document.text) else {
        let what = "no table with the columns crate, holds, may depend on";
        return vec![document.violation(1, what, "add it")];
    };

    let mut violations = Vec::new();
    let lines = document.text.lines().count();
    if lines > MAX_LINES {
        let what = format!("{lines} lines, more than {MAX_LINES}");
        violations.push(document.violation(MAX_LINES + 1, what, "shorten the document"));
    }
    for (name, row) in &table {
        match workspace.packages.get(name) {
            None => {
                let what = format!("the workspace has no crate {name}");
                violations.push(document.violation(row.line, what, "remove the row"));
            }
            Some(package) => {
                for surplus in row.dependencies.difference(&package.internal) {
                    let what = format!("{name} does not depend on {surplus}");
                    violations.push(document.violation(row.line, what, "remove it from the row"));
                }
            }
        }
    }
    for (name, package) in &workspace.packages {
        let row = table.get(name);
        if row.is_none() && is_of_family(name) {
            let what = format!("{name} is missing from the table of {DOCUMENT}");
            violations.push(Violation::new(&package.manifest, 1, what, "add a row"));
            continue;
        }
        // A package outside the family, such as xtask, needs no row to depend on nothing.
        let allowed =
            |dependency: &&String| row.is_some_and(|r| r.dependencies.contains(*dependency));
        for missing in package.internal.iter().filter(|dependency| !allowed(dependency)) {
            let line = line_naming(files, &package.manifest, missing);
            let what = format!("{name} depends on {missing}, which {DOCUMENT} does not allow");
            let remedy = "drop the dependency, or change the architecture";
            violations.push(Violation::new(&package.manifest, line, what, remedy));
        }
    }
    violations
}

/// The rows of the dependency table by crate, if the document has such a table.
fn dependency_table(document: &str) -> Option<BTreeMap<String, Row>> {
    let rows = table::rows(document, ["crate", "holds", "may depend on"])?;
    let rows = rows.map(|(line, [name, _, dependencies])| {
        let dependencies = table::names(dependencies).map(full_name).collect();
        (full_name(table::plain(name)), Row { line, dependencies })
    });
    Some(rows.collect())
}

/// Whether a crate is one of those that the table is about.
fn is_of_family(name: &str) -> bool {
    name == "rnn" || name.starts_with(PREFIX)
}

/// The name of a crate, of which tables may leave the common prefix out.
pub(super) fn full_name(name: &str) -> String {
    if is_of_family(name) || name == "xtask" { name.into() } else { format!("{PREFIX}{name}") }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::super::workspace::example;
    use super::*;

    fn found(rows: &str) -> Vec<String> {
        let table = format!("| crate | holds | may depend on |\n|---|---|---|\n{rows}");
        let files = [file(DOCUMENT, &format!("# Title\n\n{table}\n\nText.\n"))];
        check(&files, &example()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_true_table_passes() {
        let rows = "| `rnn-core` | shapes | - |\n\
                    | `rnn-graph` | graphs | `core` |\n\
                    | `rnn-wgpu` | GPU | core, graph |";
        assert_eq!(found(rows), [""; 0]);
    }

    #[test]
    fn missing_and_surplus_dependencies_are_found() {
        let rows = "| `rnn-core` | shapes | graph |\n\
                    | `rnn-graph` | graphs | core |\n\
                    | `rnn-wgpu` | GPU | graph |";
        assert_eq!(
            found(rows),
            [
                "ARCHITECTURE.md:5: rnn-core does not depend on rnn-graph; remove it from the row",
                "crates/rnn-wgpu/Cargo.toml:1: rnn-wgpu depends on rnn-core, which \
                 ARCHITECTURE.md does not allow; drop the dependency, or change the architecture",
            ]
        );
    }

    #[test]
    fn missing_and_surplus_rows_are_found() {
        let rows = "| `rnn-core` | shapes | – |\n\
                    | `rnn-wgpu` | GPU | core, graph |\n\
                    | `rnn-metal` | GPU | core |";
        assert_eq!(
            found(rows),
            [
                "ARCHITECTURE.md:7: the workspace has no crate rnn-metal; remove the row",
                "crates/rnn-graph/Cargo.toml:1: rnn-graph is missing from the table of \
                 ARCHITECTURE.md; add a row",
            ]
        );
    }

    #[test]
    fn a_document_without_its_table_is_found() {
        let without_table = check(&[file(DOCUMENT, "# Title\n")], &example());
        assert_eq!(without_table.len(), 1);
        assert_eq!(check(&[], &example())[0].what, "the file is missing");
    }

    #[test]
    fn a_long_document_is_found() {
        let rows = "| `rnn-core` | shapes | |\n\
                    | `rnn-graph` | graphs | core |\n\
                    | `rnn-wgpu` | GPU | core, graph |";
        let padding = "\n".repeat(MAX_LINES);
        assert_eq!(
            found(&format!("{rows}{padding}")),
            ["ARCHITECTURE.md:201: 209 lines, more than 200; shorten the document"]
        );
    }
}
