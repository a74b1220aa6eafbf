use super::{SourceFile, Violation};

const FOLDER: &str = "shaders/";
const INDEX: &str = "shaders/lib.rs";
const CRATES: &str = "crates/";

/// Checks that `shaders/lib.rs` names every shader, and that a crate uses each name.
pub(super) fn check(files: &[SourceFile]) -> Vec<Violation> {
    let index = files.iter().find(|f| f.path == INDEX).map_or("", |f| f.text.as_str());
    let named = names(index);
    let crates: Vec<_> =
        files.iter().filter(|f| f.has_extension("rs") && f.path.starts_with(CRATES)).collect();
    let mut violations = Vec::new();
    for file in files.iter().filter(|f| f.path.starts_with(FOLDER) && f.has_extension("wgsl")) {
        let path = &file.path[FOLDER.len()..];
        match named.iter().find(|(_, named)| *named == path) {
            None => {
                let what = "shaders/lib.rs does not name this shader";
                violations.push(file.violation(1, what, "name or delete it"));
            }
            Some((name, _)) if !crates.iter().any(|f| mentions(&f.text, name)) => {
                let what = format!("no crate uses {name}");
                violations.push(file.violation(1, what, "use or delete it"));
            }
            Some(_) => {}
        }
    }
    violations
}

/// The constants of the index and their files: `wgsl!(NAME, "path", "..")`.
fn names(index: &str) -> Vec<(&str, &str)> {
    let calls = index.split("wgsl!(").skip(1);
    calls
        .filter_map(|call| {
            let (name, rest) = call.split_once(',')?;
            Some((name.trim(), rest.split('"').nth(1)?))
        })
        .collect()
}

/// Whether a text has the name as a word of its own.
fn mentions(text: &str, name: &str) -> bool {
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    text.match_indices(name).any(|(at, _)| {
        outside(text[..at].chars().next_back()) && outside(text[at + name.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn shaders_that_nothing_names_or_uses_are_found() {
        let files = [
            file("shaders/used.wgsl", ""),
            file("shaders/lost.wgsl", ""),
            file("shaders/shared/idle.wgsl", ""),
            file(
                INDEX,
                r#"wgsl!(USED, "used.wgsl", "Used.");
                pub mod shared { wgsl!(IDLE, "shared/idle.wgsl", "Not used."); }"#,
            ),
            file("crates/a/src/lib.rs", "const A: [&str; 1] = [rnn_shaders::USED];"),
        ];
        let found: Vec<_> = check(&files).into_iter().map(|v| v.file).collect();
        assert_eq!(found, ["shaders/lost.wgsl", "shaders/shared/idle.wgsl"]);
    }

    #[test]
    fn a_longer_name_is_another_shader() {
        let files = [
            file("shaders/rnn.wgsl", ""),
            file(INDEX, r#"wgsl!(RNN, "rnn.wgsl", "A shader.");"#),
            file("crates/a/src/lib.rs", "const A: &str = rnn_shaders::SIMPLE_RNN;"),
        ];
        assert_eq!(check(&files).len(), 1);
    }
}
