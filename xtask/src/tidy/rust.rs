use super::masked::{code_only, is_identifier, line_at};
use super::{SourceFile, Violation};

/// Files that may hold unsafe code, each of which says why it is sound.
const UNSAFE_FILES: [&str; 4] = [
    "crates/rnn-cpu/src/prefetch.rs",
    "crates/rnn-cpu/src/product.rs",
    "crates/rnn-gpu/src/main.rs",
    "crates/rnn-wgpu/src/trusted.rs",
];

/// Macros that mark work in progress.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Checks on the code of a Rust file; comments and literals do not count.
pub(super) fn check(file: &SourceFile) -> Vec<Violation> {
    let code = code_only(&file.text);
    let mut violations = Vec::new();

    for (at, attribute) in attributes(&code) {
        if attribute.starts_with("allow(") && !attribute.contains("reason") {
            let what = "`allow` without a reason";
            violations.push(file.violation(line_at(&code, at), what, "add `reason = \"...\"`"));
        }
    }
    if !UNSAFE_FILES.contains(&file.path.as_str()) {
        for at in words(&code, "unsafe") {
            let remedy = "use a safe abstraction, or list the file in xtask";
            violations.push(file.violation(line_at(&code, at), "unsafe code", remedy));
        }
    }
    for name in UNFINISHED {
        let calls = words(&code, name).filter(|at| code[at + name.len()..].starts_with('!'));
        for at in calls {
            let what = format!("`{name}!` left in");
            violations.push(file.violation(line_at(&code, at), what, "finish the work"));
        }
    }
    violations.sort_by_key(|violation| violation.line);
    violations
}

/// The offsets at which a whole word occurs.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !code[..*at].ends_with(is_identifier) && !code[at + word.len()..].starts_with(is_identifier)
    })
}

/// The offset and the content of every `#[..]` and `#![..]`.
fn attributes(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.match_indices('#').filter_map(|(at, _)| {
        let rest = code[at + 1..].trim_start_matches('!').strip_prefix('[')?;
        Some((at, rest[..bracketed_length(rest)].trim_start()))
    })
}

/// The length of what comes before the `]` that closes an open `[`.
fn bracketed_length(rest: &str) -> usize {
    let mut depth = 1usize;
    for (at, c) in rest.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn whats(text: &str) -> Vec<(usize, String)> {
        check(&file("a.rs", text)).into_iter().map(|v| (v.line, v.what)).collect()
    }

    #[test]
    fn allow_needs_a_reason() {
        let what = "`allow` without a reason".to_owned();
        assert_eq!(whats("#[allow(dead_code)]\nfn f() {}"), [(1, what.clone())]);
        assert_eq!(whats("\n#![allow(dead_code)]"), [(2, what)]);
        assert_eq!(whats("#[allow(\n    dead_code,\n    reason = \"why]\"\n)]"), []);
        assert_eq!(whats("#[allow_it(x)]"), []);
    }

    #[test]
    fn unsafe_code_is_found() {
        assert_eq!(whats("fn f() {\n    unsafe { g() }\n}"), [(2, "unsafe code".into())]);
        assert_eq!(whats("#![deny(unsafe_code)] // unsafe\nlet s = \"unsafe\";"), []);
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(whats("fn f() { todo!() }"), [(1, "`todo!` left in".into())]);
        assert_eq!(whats("\nlet x = dbg!(y);"), [(2, "`dbg!` left in".into())]);
        assert_eq!(whats("// todo!()\nlet todo = my_dbg!(1);"), []);
    }
}
