//! The command, called as users call it, and a folder of files to feed it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod line;

use anyhow::{Result, ensure};
use rnn_core::{HostTensor, Rng};
use rnn_formats::npy;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The command with arguments. A test that runs elsewhere than it was built, such as under Wine, is told
/// by `RNN_GPU_PROGRAM` where the program is.
pub fn rnn_gpu(args: &[&str]) -> Command {
    let program = std::env::var_os("RNN_GPU_PROGRAM");
    let mut command = Command::new(program.unwrap_or(env!("CARGO_BIN_EXE_rnn-gpu").into()));
    command.args(args);
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The exit code of a command that fails.
pub const FAILED: i32 = 1;

/// The exit code where the arguments cannot be parsed.
pub const MISUSED: i32 = 2;

/// The message of a call that must fail, with either of the exit codes.
pub fn failure(args: &[&str]) -> String {
    let (code, message) = failed(args);
    assert!(matches!(code, Some(FAILED | MISUSED)), "{args:?}: {code:?}: {message}");
    message
}

/// The message of a call that must fail with this exit code.
pub fn failure_with(code: i32, args: &[&str]) -> String {
    let (found, message) = failed(args);
    assert_eq!(found, Some(code), "{args:?}: {message}");
    message
}

fn failed(args: &[&str]) -> (Option<i32>, String) {
    let output = rnn_gpu(args).output().expect("it starts");
    let message = text(&output.stderr);
    assert!(!output.status.success() && !message.contains("panicked"), "{args:?}: {message}");
    (output.status.code(), message)
}

/// Makes sure that a message names each of these.
pub fn assert_names(message: &str, names: &[&str]) {
    for name in names {
        assert!(message.contains(name), "{name:?} is not named in: {message}");
    }
}

pub fn success(args: &[&str]) -> String {
    let Output { status, stdout, stderr } = rnn_gpu(args).output().expect("it starts");
    assert!(status.success(), "{args:?}: {}", text(&stderr));
    text(&stdout)
}

/// Makes sure that a tensor is what Keras has, but for this difference relative to values above 1.
pub fn expect_close(got: &HostTensor, want: &HostTensor, tolerance: f32) -> Result<()> {
    ensure!(got.shape() == want.shape(), "{}, Keras has {}", got.shape(), want.shape());
    for (index, (got, want)) in got.as_f32()?.iter().zip(want.as_f32()?).enumerate() {
        let error = (got - want).abs() / want.abs().max(1.0);
        ensure!(error <= tolerance, "element {index} is {got}, Keras has {want}");
    }
    Ok(())
}

/// A file of the folder `cases` of the shared data; without it the running test is skipped.
pub fn case(name: &str) -> Option<String> {
    let path = rnn_testing::shared(&format!("cases/{name}"))?;
    Some(path.to_str().expect("a UTF-8 path").to_owned())
}

/// All files of a folder, by their paths, and what they hold.
pub fn contents(folder: &str) -> BTreeMap<String, Vec<u8>> {
    fn add(root: &Path, folder: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => add(root, &path, all),
                false => {
                    let name = path.strip_prefix(root).expect("it is in there");
                    all.insert(name.to_str().expect("UTF-8").into(), fs::read(&path).expect("it"));
                }
            }
        }
    }
    let mut all = BTreeMap::new();
    add(Path::new(folder), Path::new(folder), &mut all);
    all
}

/// Writes files into a folder, by their paths in it.
pub fn lay_out(files: &BTreeMap<String, Vec<u8>>, folder: &str) {
    for (name, bytes) in files {
        let to = Path::new(folder).join(name);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::write(to, bytes).expect("the disk has room");
    }
}

/// A JSON file of a run.
pub fn json_of(run: &str, name: &str) -> Value {
    let path = Path::new(run).join(name);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).expect("JSON")
}

/// A folder of files that a test feeds to the command.
pub struct Sandbox {
    folder: PathBuf,
    /// Removes the folder, if it is one test's own.
    _own: Option<TempDir>,
}

impl Sandbox {
    pub fn new() -> Self {
        Self::owning(tempfile::tempdir())
    }

    /// One in memory, where that is a file system: there a file is on the disk at once.
    pub fn in_memory() -> Self {
        Self::owning(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()))
    }

    fn owning(folder: std::io::Result<TempDir>) -> Self {
        let own = folder.expect("a folder");
        Self { folder: own.path().to_owned(), _own: Some(own) }
    }

    /// An empty folder of this name that tests share: nothing removes it before the next time,
    /// because what is shared lives as long as the process.
    pub fn shared(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("what an earlier run left");
        }
        fs::create_dir_all(&folder).expect("a folder");
        Self { folder, _own: None }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().expect("a UTF-8 path").to_owned()
    }

    /// A copy of a run, for a test that changes it.
    pub fn copy(&self, run: &str, name: &str) -> String {
        let copy = self.path(name);
        lay_out(&contents(run), &copy);
        copy
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("the folder is writable");
        path
    }

    /// An archive of arrays, each as the bytes of an `.npy` file.
    pub fn npz(&self, name: &str, arrays: &[(&str, Vec<u8>)]) -> String {
        let path = self.path(name);
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("a file"));
        for (array, bytes) in arrays {
            let stored = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Stored);
            zip.start_file(format!("{array}.npy"), stored).expect("an entry");
            zip.write_all(bytes).expect("the disk has room");
        }
        zip.finish().expect("an archive");
        path
    }
}

pub fn npy_bytes(tensor: Result<HostTensor, rnn_core::TensorError>) -> Vec<u8> {
    let mut bytes = Vec::new();
    npy::to_writer(&mut bytes, &tensor.expect("the shape fits")).expect("memory");
    bytes
}

/// A maker of arrays of a shape, of uniform numbers between -1 and 1: each time other ones, and the same
/// in every process.
pub fn random_arrays() -> impl FnMut(&[usize]) -> Vec<u8> {
    let mut rng = Rng::new(1, 0);
    move |shape| {
        let values = (0..shape.iter().product()).map(|_| rng.uniform_in(-1.0, 1.0) as f32);
        npy_bytes(HostTensor::from_f32(shape, values.collect()))
    }
}
