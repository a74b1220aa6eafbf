//! Runs in folders that cannot be written: they are evaluated and predicted from, also where they
//! were not trained.
#![cfg(unix)]

mod common;

use common::line::{arrays, dense, train};
use common::{Sandbox, assert_names, contents, rnn_gpu, success, text};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Output;

/// Sets the modes of a folder and of what is in it.
fn chmod(path: &Path, folders: u32, files: u32) {
    let is_folder = path.is_dir();
    let mode = if is_folder { folders } else { files };
    if is_folder {
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("it is ours");
        fs::read_dir(path)
            .expect("a folder")
            .flatten()
            .for_each(|e| chmod(&e.path(), folders, files));
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

/// A project whose run, `alone/run`, nobody may write.
struct Project {
    sandbox: Sandbox,
    run: String,
}

impl Project {
    /// The run is moved away from its data if `moved` is true.
    fn new(moved: bool) -> Self {
        let sandbox = Sandbox::new();
        let data = sandbox.npz("d.npz", &arrays());
        fs::create_dir_all(sandbox.path("alone/far/off")).expect("a folder");
        let (begun, ended) = (sandbox.path("run"), sandbox.path("alone/far/off/run"));
        success(&train(&dense(&sandbox, 1), &data, &begun, &[]));
        let [(_, x), (_, y)] = arrays();
        sandbox.write("x.npy", &x);
        sandbox.npz("test.npz", &[("x", x), ("y", y)]);
        fs::create_dir(sandbox.path("out")).expect("a folder");
        let run = if moved { ended } else { begun };
        if moved {
            fs::rename(sandbox.path("run"), &run).expect("it moves");
        }
        let all = sandbox.path("");
        chmod(Path::new(&all), 0o755, 0o644);
        chmod(Path::new(&run), 0o555, 0o444);
        chmod(Path::new(&sandbox.path("out")), 0o777, 0o666);
        Self { sandbox, run }
    }

    /// What the command does as somebody whom modes of files bind, which they do not root.
    fn call(&self, args: &[&str]) -> Output {
        let mut command = rnn_gpu(args);
        command.env("RNN_GPU_CACHE", self.sandbox.path("out/cache")).env("HOME", "/nonexistent");
        if fs::metadata(&self.run).expect("a folder").uid() == 0 {
            command.uid(65_534).gid(65_534);
        }
        command.output().expect("it starts")
    }

    fn succeed(&self, args: &[&str]) -> (String, String) {
        let Output { status, stdout, stderr } = self.call(args);
        assert!(status.success(), "{args:?}: {}", text(&stderr));
        (text(&stdout), text(&stderr))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // So that the sandbox can be removed.
        chmod(Path::new(&self.run), 0o755, 0o644);
    }
}

#[test]
fn a_read_only_run_is_evaluated_and_its_files_stay() {
    let of = Project::new(false);
    let before = contents(&of.run);
    let (printed, remarks) = of.succeed(&["evaluate", &of.run, "--device", "cpu"]);
    assert!(printed.contains("loss"), "{printed}");
    assert_names(&remarks, &[&of.run, "read-only", "its files stay as they are"]);
    assert!(contents(&of.run) == before);
}

#[test]
fn a_read_only_run_is_predicted_from_and_read_wherever_it_lies() {
    let of = Project::new(true);
    let before = contents(&of.run);
    let [x, y, test, file] =
        ["x.npy", "out/y.npy", "test.npz", "out/m.keras"].map(|name| of.sandbox.path(name));
    of.succeed(&["predict", &of.run, "--input", &x, "--output", &y, "--device", "cpu"]);
    assert!(fs::metadata(&y).expect("predictions").len() > 0);
    of.succeed(&["evaluate", &of.run, "--data", &test, "--device", "cpu"]);
    of.succeed(&["export", &of.run, "--to", &file]);
    of.succeed(&["summary", &of.run]);
    of.succeed(&["history", &of.run]);
    let picture = of.sandbox.path("out/c.png");
    of.succeed(&["compare", &of.run, &of.run, "--out", &picture]);
    assert!(contents(&of.run) == before);
}

/// What has to write says so before any work, and leaves all as it is.
#[test]
fn a_read_only_run_is_not_gone_on_with() {
    let of = Project::new(false);
    let before = contents(&of.run);
    let args = ["train", "--resume", &of.run, "--epochs", "3", "--device", "cpu"];
    let output = of.call(&args);
    assert!(!output.status.success());
    assert_names(&text(&output.stderr), &[&of.run]);
    assert!(contents(&of.run) == before);
}
