//! Folders of strangers, which may hold links to files of the user's: nothing is written through
//! them, and nothing that they lead to is truncated or removed.
#![cfg(unix)]

mod common;

use common::line::{arrays, bytes, dense, train};
use common::{Sandbox, assert_names, contents, failure, json_of, success};
use std::fs;
use std::os::unix::fs::symlink;

/// A run of two epochs and the arguments that train it anew.
struct Project {
    sandbox: Sandbox,
    model: String,
    data: String,
    run: String,
}

impl Project {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let (model, data) = (dense(&sandbox, 1), sandbox.npz("d.npz", &arrays()));
        let run = sandbox.path("run");
        success(&train(&model, &data, &run, &[]));
        Self { sandbox, model, data, run }
    }

    fn train<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        train(&self.model, &self.data, &self.run, more)
    }

    fn evaluate(&self) -> [&str; 4] {
        ["evaluate", &self.run, "--device", "cpu"]
    }

    fn resume<'a>(&'a self, epochs: &'a str) -> Vec<&'a str> {
        vec!["train", "--resume", &self.run, "--epochs", epochs, "--device", "cpu"]
    }

    /// Puts a link in the place of a file or folder of the run.
    fn link(&self, name: &str, target: &str) {
        let path = format!("{}/{name}", self.run);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
        symlink(target, path).expect("a link");
    }
}

#[test]
fn a_lock_that_is_a_link_is_refused_and_what_it_leads_to_stays() {
    let of = Project::new();
    let mine = of.sandbox.write("mine", b"precious");
    let absent = of.sandbox.path("absent");
    for target in [&mine, &absent] {
        of.link(".lock", target);
        for args in [&of.evaluate()[..], &of.resume("3"), &of.train(&["--overwrite"])] {
            assert_names(&failure(args), &[".lock is no lock of this program"]);
        }
    }
    assert_eq!(fs::read(&mine).expect("it stays"), b"precious");
    assert!(!fs::exists(&absent).expect("a folder"));
}

#[test]
fn files_that_are_links_are_replaced_and_what_they_lead_to_stays() {
    let of = Project::new();
    let mine = of.sandbox.write("mine", b"precious");
    let names: Vec<String> = contents(&of.run).into_keys().collect();
    let results = ["results.json", "report.json", "report.txt", "report.html", "curves.png"];
    assert!(results.iter().all(|name| names.iter().any(|there| there == name)));
    // What is read is kept: the results are written anew.
    let read = bytes(&of.run, "report.json");
    for name in results {
        let target = of.sandbox.write(&format!("mine-{name}"), &bytes(&of.run, name));
        of.link(name, &target);
    }
    success(&of.evaluate());
    for name in results {
        let path = format!("{}/{name}", of.run);
        assert!(!fs::symlink_metadata(&path).expect("it").is_symlink(), "{name}");
    }
    assert_eq!(fs::read(of.sandbox.path("mine-report.json")).expect("it stays"), read);
    // All files of a run, where a new one replaces it.
    for name in names.iter().filter(|name| !name.contains('/') && *name != "config.json") {
        of.link(name, &mine);
    }
    success(&of.train(&["--overwrite"]));
    assert_eq!(fs::read(&mine).expect("it stays"), b"precious");
    assert!(json_of(&of.run, "results.json").is_object());
}

#[test]
fn folders_that_are_links_are_not_written_through_or_cleared() {
    let of = Project::new();
    let step = "step-00000001.safetensors";
    let mine = of.sandbox.path("mine");
    fs::create_dir(&mine).expect("a folder");
    let checkpoints = format!("{}/checkpoints", of.run);
    for (name, bytes) in contents(&checkpoints) {
        fs::write(format!("{mine}/{name}"), bytes).expect("room");
    }
    fs::write(format!("{mine}/{step}"), "precious").expect("room");
    let before = contents(&mine);
    of.link("checkpoints", &mine);
    for args in [&of.train(&["--overwrite"]), &of.resume("3")] {
        assert_names(&failure(args), &["checkpoints is a symbolic link"]);
    }
    assert!(contents(&mine) == before);
}

#[test]
fn curves_are_not_written_through_links() {
    let of = Project::new();
    let mine = of.sandbox.path("mine");
    fs::create_dir_all(format!("{mine}/train")).expect("a folder");
    fs::write(format!("{mine}/train/events.out.tfevents.1.rnn-gpu.1.0"), "mine").expect("room");
    let before = contents(&mine);
    of.link("tensorboard", &mine);
    for args in [of.train(&["--overwrite", "--tensorboard"]), {
        fs::write(format!("{}/tensorboard.txt", of.run), "tensorboard\n").expect("room");
        of.resume("3")
    }] {
        assert_names(&failure(&args), &["tensorboard is a symbolic link"]);
        assert!(contents(&mine) == before);
    }
    fs::write(format!("{}/tensorboard.txt", of.run), "../mine\n").expect("room");
    assert_names(&failure(&of.resume("3")), &["tensorboard.txt leads out of the run"]);
    assert!(contents(&mine) == before);
    fs::remove_file(format!("{}/tensorboard", of.run)).expect("the link");
    fs::create_dir(format!("{}/tensorboard", of.run)).expect("a folder");
    fs::write(format!("{}/tensorboard.txt", of.run), "tensorboard\n").expect("room");
    of.link("tensorboard/train", &format!("{mine}/train"));
    assert_names(&failure(&of.resume("3")), &["tensorboard/train is a symbolic link"]);
    assert!(contents(&mine) == before);
}
