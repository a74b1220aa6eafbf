use std::collections::{BTreeMap, BTreeSet};

use super::architecture::full_name;
use super::workspace::{Workspace, line_naming};
use super::{SourceFile, Violation, table};

const DOCUMENT: &str = "docs/dependencies.md";
const MANIFEST: &str = "Cargo.toml";
const HEAD: [&str; 3] = ["dependency", "used by", "why"];

/// Checks that every package from outside the workspace that a crate names has a row in the table of
/// dependencies, with the crates that name it and a reason.
pub(super) fn check(files: &[SourceFile], workspace: &Workspace) -> Vec<Violation> {
    let Some(document) = files.iter().find(|file| file.path == DOCUMENT) else {
        return vec![Violation::new(DOCUMENT, 1, "the file is missing", "write it")];
    };
    let Some(rows) = table::rows(&document.text, HEAD) else {
        let what = format!("no table with the columns {}", HEAD.join(", "));
        return vec![document.violation(1, what, "add it")];
    };
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, package) in &workspace.packages {
        for dependency in &package.external {
            users.entry(dependency).or_default().insert(name);
        }
    }

    let mut violations = Vec::new();
    for (line, [name, said, why]) in rows {
        let name = table::plain(name);
        let Some(users) = users.remove(name) else {
            let what = format!("no crate depends on {name}, or a row above is of it");
            violations.push(document.violation(line, what, "remove the row"));
            continue;
        };
        let said: BTreeSet<String> = table::names(said).map(full_name).collect();
        if !said.iter().map(String::as_str).eq(users.iter().copied()) {
            let users: Vec<&str> = users.into_iter().collect();
            let what = format!("{name} is used by {}", users.join(", "));
            violations.push(document.violation(line, what, "correct the row"));
        }
        if why.is_empty() {
            let what = format!("{name} has no reason");
            violations.push(document.violation(
                line,
                what,
                "give it, or do without the dependency",
            ));
        }
    }
    for (name, _) in users {
        let line = line_naming(files, MANIFEST, name);
        let what = format!("{name} is missing from the table of {DOCUMENT}");
        violations.push(Violation::new(MANIFEST, line, what, "add a row"));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::super::workspace::example;
    use super::*;

    fn found(rows: &str) -> Vec<String> {
        let text = format!("# Title\n\n| dependency | used by | why |\n|---|---|---|\n{rows}\n");
        let manifest = file(MANIFEST, "[workspace.dependencies]\nhalf = 1\nclap = 1\nwgpu = 1\n");
        let found = check(&[file(DOCUMENT, &text), manifest], &example());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_true_table_passes() {
        let rows = "| `clap` | xtask | arguments |\n\
                    | `half` | core | half precision |\n\
                    | `wgpu` | graph, wgpu | GPUs |";
        assert_eq!(found(rows), [""; 0]);
    }

    #[test]
    fn rows_without_a_dependency_a_reason_or_all_users_are_found() {
        let rows = "| `clap` | xtask | |\n\
                    | `paste` | core | names |\n\
                    | `wgpu` | wgpu | GPUs |";
        assert_eq!(
            found(rows),
            [
                "docs/dependencies.md:5: clap has no reason; give it, or do without the dependency",
                "docs/dependencies.md:6: no crate depends on paste, or a row above is of it; remove \
                 the row",
                "docs/dependencies.md:7: wgpu is used by rnn-graph, rnn-wgpu; correct the row",
                "Cargo.toml:2: half is missing from the table of docs/dependencies.md; add a row",
            ]
        );
    }

    #[test]
    fn a_document_without_its_table_is_found() {
        assert_eq!(check(&[file(DOCUMENT, "# Title\n")], &example()).len(), 1);
        assert_eq!(check(&[], &example())[0].what, "the file is missing");
    }
}
