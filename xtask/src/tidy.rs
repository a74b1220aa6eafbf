//! Checks on the source tree that the compiler does not make.

mod architecture;
mod dependencies;
mod licences;
mod shaders;
mod table;
mod text;
mod workspace;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use self::workspace::Workspace;

/// Something untidy, and the way out.
#[derive(Debug, PartialEq)]
struct Violation {
    file: String,
    line: usize,
    what: String,
    remedy: &'static str,
}

impl Violation {
    fn new(file: &str, line: usize, what: impl Into<String>, remedy: &'static str) -> Self {
        Self { file: file.to_owned(), line, what: what.into(), remedy }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what, remedy } = self;
        write!(f, "{file}:{line}: {what}; {remedy}")
    }
}

/// A text file of the project; its path is relative to the root and uses `/`.
struct SourceFile {
    path: String,
    text: String,
}

impl SourceFile {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == extension)
    }

    fn violation(&self, line: usize, what: impl Into<String>, remedy: &'static str) -> Violation {
        Violation::new(&self.path, line, what, remedy)
    }
}

/// Runs every check on the files of the project at `root` and returns what they found.
///
/// # Errors
/// Fails if a file cannot be read, or git or cargo does not answer. Violations are not errors.
pub fn check(root: &Path) -> Result<Vec<impl fmt::Display>> {
    let files = source_files(root)?;
    let workspace = Workspace::load(root)?;

    let mut violations = architecture::check(&files, &workspace);
    violations.extend(dependencies::check(&files, &workspace));
    violations.extend(workspace::check(&files, &workspace));
    violations.extend(shaders::check(&files));
    violations.extend(licences::check(root, &files)?);
    for file in &files {
        violations.extend(text::check(file));
    }
    Ok(violations)
}

/// The text files that git tracks or would track.
fn source_files(root: &Path) -> Result<Vec<SourceFile>> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root)
        .output()
        .context("cannot start git")?;
    ensure!(
        listing.status.success(),
        "git ls-files failed: {}",
        String::from_utf8_lossy(&listing.stderr).trim()
    );
    let listing = String::from_utf8(listing.stdout).context("a file name is not UTF-8")?;

    let mut files = Vec::new();
    for path in listing.split_terminator('\0') {
        let on_disk = root.join(path);
        // Git also lists tracked files that were deleted.
        if !on_disk.is_file() {
            continue;
        }
        let bytes = fs::read(&on_disk).with_context(|| format!("cannot read {path}"))?;
        // What is not UTF-8 is a picture, a font or other data.
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(SourceFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_its_place_and_the_way_out() {
        let violation = Violation::new("a/b.rs", 7, "too long", "split it");
        assert_eq!(violation.to_string(), "a/b.rs:7: too long; split it");
    }
}
