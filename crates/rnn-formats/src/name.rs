//! Names that the system does not give to files.

use std::path::{Component, Path, PathBuf, Prefix};

/// The error that the system would write a path to another place than it says, or nowhere.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}: choose another name", path.display())]
pub struct NameError {
    /// The path.
    pub path: PathBuf,
    /// The reason, with the name that it is about.
    reason: String,
}

/// Checks that the system can have a file or folder at `path`, by the names in it. On Windows, `con`,
/// `nul.npz` and others stand for devices, a dot or a space at the end of a name is dropped, and what
/// follows a colon is a part of a file that few programs see. Paths that begin with `\\?\` are taken
/// literally, and other systems allow every name.
///
/// # Errors
/// Fails with [`NameError`] if a name in the path is not allowed.
pub fn check_names(path: &Path) -> Result<(), NameError> {
    if !cfg!(windows) {
        return Ok(());
    }
    let refuse = |reason| Err(NameError { path: path.to_owned(), reason });
    for component in path.components() {
        match component {
            Component::Prefix(prefix) if prefix.kind().is_verbatim() => return Ok(()),
            Component::Prefix(prefix) if matches!(prefix.kind(), Prefix::DeviceNS(_)) => {
                return refuse("it is a device".to_owned());
            }
            Component::Normal(name) => {
                let name = name.to_string_lossy();
                if let Some(why) = refusal(&name) {
                    return refuse(format!("Windows {why}, as in {name:?}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What Windows does that speaks against a name, as a verb and its object; `None` if it may be given
/// to a file. The source is Microsoft's "Naming Files, Paths, and Namespaces".
fn refusal(name: &str) -> Option<&'static str> {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    if name.contains(|c: char| r#"<>:"|?*"#.contains(c) || c.is_control()) {
        return Some(r#"allows no < > : " | ? * in a name"#);
    }
    if name.ends_with(['.', ' ']) {
        return Some("drops a dot or a space at the end of a name");
    }
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_uppercase();
    let port = stem.strip_prefix("COM").or(stem.strip_prefix("LPT"));
    let is_port = port.is_some_and(|number| {
        let mut digits = number.chars();
        matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    });
    (DEVICES.contains(&&*stem) || is_port).then_some("keeps some names for devices")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_reserves_are_told_apart() {
        let refused = [
            "con",
            "Aux.keras",
            "nul",
            "NUL.tar.gz",
            "prn .txt",
            "lpt1.npz",
            "COM³",
            "conout$",
            "a:b",
            "what?",
            "a*",
            "a\"b",
            "a|b",
            "<a>",
            "a\tb",
            "run.",
            "run ",
            "...",
        ];
        for name in refused {
            assert!(refusal(name).is_some(), "{name:?}");
        }
        let allowed = [
            "console",
            "auxiliary.keras",
            "com",
            "com10",
            "com1a",
            "lpt.npz",
            "null",
            ".hidden",
            "a b",
            "a.b.c",
            "größe",
            "日本",
            "run (1)",
            "~$x",
            "x-con.npy",
        ];
        for name in allowed {
            assert_eq!(refusal(name), None, "{name:?}");
        }
    }

    #[test]
    fn only_windows_refuses_names() {
        for path in ["runs/con", "runs./x", "a/lpt1.npz"] {
            assert_eq!(check_names(Path::new(path)).is_err(), cfg!(windows), "{path}");
        }
        for path in ["runs/a", "../runs/./b", "/x"] {
            assert!(check_names(Path::new(path)).is_ok(), "{path}");
        }
    }
}
