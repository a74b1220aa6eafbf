use std::path::Path;

use super::masked::code_only;
use super::{SourceFile, Violation};

const FOLDER: &str = "shaders/";
const INCLUDE: &str = "include_str!";

/// Checks that every shader is part of some program.
pub(super) fn check(files: &[SourceFile]) -> Vec<Violation> {
    let included: Vec<_> =
        files.iter().filter(|f| f.has_extension("rs")).flat_map(included_paths).collect();
    files
        .iter()
        .filter(|f| f.path.starts_with(FOLDER) && f.has_extension("wgsl"))
        .filter(|f| !included.iter().any(|path| Path::new(path).ends_with(&f.path)))
        .map(|f| f.violation(1, "no Rust source includes this shader", "include or delete it"))
        .collect()
}

/// The string literals in the arguments of `include_str!`.
fn included_paths(file: &SourceFile) -> Vec<&str> {
    // Comments and literals are blanked here, which rules out an `include_str!` within them.
    let code = code_only(&file.text);
    code.match_indices(INCLUDE)
        .flat_map(|(at, _)| {
            let start = at + INCLUDE.len();
            let end = code[start..].find(';').map_or(code.len(), |length| start + length);
            file.text[start..end].split('"').skip(1).step_by(2)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn shaders_that_nothing_includes_are_found() {
        let files = [
            file("shaders/used.wgsl", ""),
            file("shaders/lost.wgsl", ""),
            file("shaders/quoted.wgsl", ""),
            file(
                "crates/a/src/lib.rs",
                r#"const A: &str = include_str!("../../../shaders/used.wgsl");
                // include_str!("../../../shaders/lost.wgsl");
                const B: &str = "../../../shaders/quoted.wgsl";"#,
            ),
        ];
        let found: Vec<_> = check(&files).into_iter().map(|v| v.file).collect();
        assert_eq!(found, ["shaders/lost.wgsl", "shaders/quoted.wgsl"]);
    }

    #[test]
    fn a_longer_name_is_another_shader() {
        let files = [
            file("shaders/rnn.wgsl", ""),
            file("a.rs", r#"const A: &str = include_str!("shaders/simple_rnn.wgsl");"#),
        ];
        assert_eq!(check(&files).len(), 1);
    }
}
