//! A Python with Keras and its neighbours, for tests that let them judge what we write.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange");

/// Runs `tests/interchange/<script>` with these arguments and returns what it printed. `None`,
/// with a line that names the test, where there is no Python; never where `CI` is set.
pub fn run(test: &str, script: &str, arguments: &[&Path]) -> Option<String> {
    let Some(python) = interpreter() else {
        assert!(std::env::var_os("CI").is_none(), "{test} needs Python 3.11 with venv and pip");
        println!("SKIPPED {test}: no Python 3.11 with {FOLDER}/requirements.txt");
        return None;
    };
    let script = Path::new(FOLDER).join(script);
    let output = Command::new(python).arg(&script).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{text}\n{error}", script.display());
    Some(text)
}

/// The interpreter in `RNN_GPU_PYTHON`, or one in a virtual environment below `target`, which is
/// made the first time.
pub fn interpreter() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || match std::env::var_os("RNN_GPU_PYTHON") {
        Some(python) => Some(python.into()),
        None => environment(),
    };
    PYTHON.get_or_init(find).as_deref()
}

fn environment() -> Option<PathBuf> {
    let requirements = Path::new(FOLDER).join("requirements.txt");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let folder = target.join("interchange");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // The copy says for which requirements the environment was completed.
    let done = folder.join("requirements.txt");
    let wanted = std::fs::read(&requirements).ok()?;
    if std::fs::read(&done).is_ok_and(|had| had == wanted) {
        return Some(python);
    }
    let succeeds = |command: &mut Command| command.status().is_ok_and(|s| s.success());
    let made = succeeds(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        && succeeds(
            Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(&requirements),
        );
    (made && std::fs::write(done, wanted).is_ok()).then_some(python)
}
