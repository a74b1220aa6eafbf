//! Which calls can fail, and how.

use crate::common::rnn_gpu;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The calls of each kind that a command made.
pub type Calls = BTreeMap<String, usize>;

/// Early end of a read or write.
const EARLY: i32 = -1;

/// The numbers of errno on Linux that each kind of call is tried with.
const ERRORS: [(&str, &[i32]); 14] = [
    ("open", &[EIO, EACCES, EMFILE]),
    ("read", &[EIO, EINTR, EARLY]),
    ("write", &[ENOSPC, EIO, EINTR, EARLY]),
    ("sync", &[EIO]),
    ("rename", &[EIO, EACCES]),
    ("make", &[ENOSPC, EACCES]),
    ("remove", &[EACCES]),
    ("stat", &[EIO, EACCES]),
    ("list", &[EIO]),
    ("lock", &[ENOLCK, EINTR]),
    ("resize", &[ENOSPC]),
    ("map", &[ENOMEM]),
    ("thread", &[EAGAIN]),
    ("memory", &[ENOMEM]),
];
const EINTR: i32 = 4;
const EIO: i32 = 5;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const ENOLCK: i32 = 37;

/// The places of a kind that are tried at most, with each error: allocations are many.
const PLACES: usize = 400;

/// A call that fails.
pub struct Fault {
    kind: &'static str,
    place: usize,
    error: i32,
    /// All calls of the kind after it fail as well.
    on: bool,
}

impl Fault {
    /// Returns all faults of a command that makes these calls. A call that is interrupted for ever, or
    /// writes half for ever, is no fault that there is.
    pub fn all(calls: &Calls) -> Vec<Self> {
        let mut all = vec![];
        for (kind, errors) in ERRORS {
            let count = calls.get(kind).copied().unwrap_or(0);
            let places = || (1..=count).step_by(count.div_ceil(PLACES).max(1));
            for &error in errors {
                all.extend(places().map(|place| Self { kind, place, error, on: false }));
                if !matches!(error, EINTR | EARLY) {
                    all.extend(places().map(|place| Self { kind, place, error, on: true }));
                }
            }
        }
        all
    }
}

impl fmt::Display for Fault {
    /// Writes it as the layer reads it.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let on = if self.on { ":on" } else { "" };
        write!(f, "{}:{}:{}{on}", self.kind, self.place, self.error)
    }
}

/// The compiled `layer.c`.
pub struct Layer {
    library: PathBuf,
    _folder: TempDir,
}

impl Layer {
    /// Compiles it, or says what is missing.
    pub fn compile() -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("layer.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system_faults/layer.c");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(source);
        let output = cc.args(["-ldl", "-lpthread"]).output().map_err(|e| format!("no cc: {e}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "layer.c does not compile: {said}");
        Ok(Self { library, _folder: folder })
    }

    /// A command under the layer, with a fault, if any, and a file that is told its calls.
    pub fn command(&self, args: &[&str], fault: Option<&Fault>, calls: &Path) -> Command {
        let mut command = rnn_gpu(args);
        command.env("LD_PRELOAD", &self.library).env("SYSTEM_CALLS", calls);
        if let Some(fault) = fault {
            command.env("SYSTEM_FAULT", fault.to_string());
        }
        command
    }
}

/// Reads the calls that the layer has counted.
pub fn calls(text: &str) -> Calls {
    let line = |line: &str| {
        let (kind, count) = line.split_once(' ')?;
        Some((kind.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}
