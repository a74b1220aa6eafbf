use super::{SourceFile, Violation};

const MAX_LINES: [(&str, usize); 2] = [("rs", 400), ("wgsl", 300)];
const FORMATTED: [&str; 4] = ["rs", "wgsl", "md", "toml"];

/// Top-level directories that exist on one machine only. Named without slashes, lest the check
/// find itself.
const MACHINE_DIRECTORIES: [&str; 4] = ["root", "home", "work", "Users"];

/// Checks that hold whatever language a file is in.
pub(super) fn check(file: &SourceFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    let formatted = FORMATTED.iter().any(|extension| file.has_extension(extension));

    let lines = file.text.lines().count();
    for (extension, max) in MAX_LINES {
        if file.has_extension(extension) && lines > max {
            let what = format!("{lines} lines, more than {max}");
            violations.push(file.violation(max + 1, what, "split the file"));
        }
    }
    for (number, line) in (1..).zip(file.text.lines()) {
        if formatted && line.trim_end() != line {
            violations.push(file.violation(number, "trailing whitespace", "remove it"));
        }
        if let Some(directory) = MACHINE_DIRECTORIES.iter().find(|d| names_directory(line, d)) {
            let what = format!("absolute path into /{directory}");
            violations.push(file.violation(number, what, "use a path relative to the project"));
        }
    }
    if formatted && !file.text.is_empty() && !file.text.ends_with('\n') {
        violations.push(file.violation(lines, "no newline at the end", "add one"));
    }
    violations
}

/// Whether a line holds a path that begins with `/directory/`.
fn names_directory(line: &str, directory: &str) -> bool {
    line.match_indices(&format!("/{directory}/")).any(|(at, _)| {
        // After one of these the directory is part of a longer path or of an address.
        let continues = |c: char| c.is_alphanumeric() || "_-.~*)}]".contains(c);
        !line[..at].ends_with(continues)
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn whats(path: &str, text: &str) -> Vec<(usize, String)> {
        check(&file(path, text)).into_iter().map(|v| (v.line, v.what)).collect()
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(whats("a.rs", &"x\n".repeat(400)), []);
        assert_eq!(whats("a.rs", &"x\n".repeat(401)), [(401, "401 lines, more than 400".into())]);
        assert_eq!(whats("a.wgsl", &"x\n".repeat(301)), [(301, "301 lines, more than 300".into())]);
        assert_eq!(whats("a.txt", &"x\n".repeat(900)), []);
    }

    #[test]
    fn stray_whitespace_is_found() {
        assert_eq!(whats("a.md", "x\ny \n"), [(2, "trailing whitespace".into())]);
        assert_eq!(whats("a.toml", "x"), [(1, "no newline at the end".into())]);
        assert_eq!(whats("a.rs", "x\r\ny\r\n"), []);
        assert_eq!(whats("a.csv", "x "), []);
    }

    #[test]
    fn machine_paths_are_found() {
        let line = |prefix: &str, directory: &str| format!("{prefix}/{directory}/x\n");
        for prefix in ["", "at ", "\"", "file://"] {
            let found = whats("notes", &line(prefix, "home"));
            assert_eq!(found, [(1, "absolute path into /home".into())], "{prefix}");
        }
        assert_eq!(whats("notes", &line("https://example.org", "home")), []);
        assert_eq!(whats("notes", &line("shared", "work")), []);
        assert_eq!(whats("notes", &line("", "usr")), []);
    }
}
